//! Offers: drafted, then published; a published version never changes.

mod check;
mod ops;

pub(crate) use ops::{create, publish, set_pay_per_call};
