//! Contracts: their periods, generated once; the base fee and the grants of each.

pub(crate) mod api;
mod contract;
mod extend;
mod fee;
mod periods;
mod read;
mod subscribe;

pub(crate) use extend::extend_due;
pub(crate) use subscribe::{NewSubscription, account, subscribe};
