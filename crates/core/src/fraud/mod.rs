//! Calls out that look like fraud: to where nobody ever called, or more of them than people make.

mod destination;
mod guard;

pub use destination::{Destination, UnknownDestination};
pub use guard::{Activity, Guard, Reason, Scope, verdict};
