//! What payers may spend, and where people are told on the way there.
//!
//! What usage was charged is added up by account, currency and period in the transaction of the charges, by who has the
//! account. A call is let through under a cap by who has it too (see [`crate::authorizations`]), so the two never differ.

pub(crate) mod api;
mod caps;
mod spend;
mod threshold_api;
mod thresholds;
mod watch;

pub(crate) use spend::{Counted, Total, count};
pub(crate) use threshold_api::{create, list, remove};
pub(crate) use thresholds::{Allowance, spent, tell};
pub(crate) use watch::watch;
