//! The third stage: usage becomes charges on the account that pays, with an explanation of every cent.
//!
//! The rules are those of `tollbook_core::rating`. Here an account is locked, what the rules need is loaded for a whole
//! batch, and what they say is stored in one transaction. Rating the same usage again changes nothing.

mod batch;
mod estimate;
mod load;
mod place;
mod store;
mod terms;
mod worker;

pub(crate) use estimate::{Estimate, Running, estimates, minute_price};
pub(crate) use load::grants_of;
pub(crate) use place::{FeePlace, fee_draft};
pub(crate) use store::{Fee, charge_fee};
pub(crate) use terms::TermsCache;
pub(crate) use worker::{drain, start};
