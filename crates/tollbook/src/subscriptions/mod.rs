//! Contracts: their life and their terms, their periods, generated once; the base fee and the grants of each.

pub(crate) mod act_api;
mod acts;
pub(crate) mod api;
mod contract;
mod correct;
mod extend;
mod fee;
mod grants;
mod moment;
mod opening;
mod overlap;
mod periods;
mod read;
mod subscribe;

pub(crate) use contract::{Contract, Plan, load};
pub(crate) use extend::extend_due;
pub(crate) use opening::{Opening, UsedBefore, open_all, use_before};
pub(crate) use overlap::{fees_charged, overlapping};
pub(crate) use subscribe::{NewSubscription, account, subscribe};
