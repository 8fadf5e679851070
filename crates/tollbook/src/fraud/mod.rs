//! Calls out that look like fraud are held: who asks for one is refused, and when one happened that nobody asked for, no
//! other is let through until somebody has looked.
//!
//! Who calls out is the organization, so it is its calls that a call is compared with; a customer is on the other side.
//! What was called lately is derived from calls and from what was let through, by their indexes, whenever it is asked:
//! most calls go to allowed countries, nothing has to be kept up where no guard is on, and nothing can go astray.

pub(crate) mod api;
mod holds;
mod observe;
mod settings;
mod standing;

pub(crate) use api::{block, release};
pub(crate) use holds::{HoldView, NewHold, by_destinations, hold, refused};
pub(crate) use observe::{Outgoing, observe};
pub(crate) use standing::{Judgement, Standing, Where};
