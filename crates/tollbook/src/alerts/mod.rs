//! What people should look at: thresholds that were passed, usage and webhooks that failed, calls that are held.
//!
//! The same thing is one alert, however often it happens; what happens again after somebody has seen to it is open again.

pub(crate) mod api;
mod kind;
mod read;
mod store;
mod tally;
pub(crate) mod view;
mod watch;
pub(crate) mod web;

pub(crate) use kind::{AlertKind, Severity};
pub(crate) use read::{AlertView, by_ids, of_customer, open_count};
pub(crate) use store::{NewAlert, again, raise, tell};
pub(crate) use tally::{Tally, flush, start};
pub(crate) use watch::watch;
pub(crate) use web::title;
