//! Contracts: their periods, generated once; the base fee and the grants of each.

mod extend;
mod fee;
mod periods;
mod subscribe;

pub(crate) use extend::extend_due;
pub(crate) use subscribe::{NewSubscription, subscribe};
