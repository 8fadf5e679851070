//! Recounts everything that is derived, and names each row that does not agree with what it is derived from.
//!
//! Works beside a running system. Rows are read in chunks, each in a short snapshot of its own; a sum that is longer than
//! a chunk is of rows that cannot appear any more, and only its newest part is read together with what it is compared
//! with. What looks wrong is looked at once more before it is reported. Memory holds a chunk, and the counters, grants
//! and tier totals of one organization.

mod charges;
mod check;
mod chunks;
mod commitments;
mod corrections;
mod counters;
mod documents;
mod gathered;
mod inbox;
mod legs;
mod numbers;
mod ops;
mod periods;
mod rows;
mod search;
mod snapshot;

pub use ops::{Difference, Progress, Report};
