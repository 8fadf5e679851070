//! Offers: drafted, then published; a published version never changes.

mod ops;

pub(crate) use ops::{create, publish, set_pay_per_call};
