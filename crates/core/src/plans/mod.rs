//! Plans as documents: what is offered, in a form that people write, tools check and versions keep.
//!
//! A [`Document`] is plain data, published once and never changed. [`crate::rating::Terms`] is the same made ready for
//! rating. [`Offer::read`] accepts the full form and the short one.

mod document;
mod key;
mod offer;
mod validate;

/// The JSON Schema of what [`Offer::read`] accepts, in camelCase. It says what a plan looks like; whether tiers follow
/// each other and bands exist, only reading it can tell.
pub const SCHEMA: &str = include_str!("../../schema/plan.schema.json");

pub use document::{
    Allowance, BandRate, Document, DurationStep, GrantCycle, Kind, Proration, Rate, Rollover, Tier,
    UsagePrice,
};
pub use key::{InvalidKey, Key};
pub use offer::Offer;
pub use validate::{FieldError, InvalidPlan};
