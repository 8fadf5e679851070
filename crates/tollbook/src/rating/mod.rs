//! The third stage: usage becomes charges on the account that pays, with an explanation of every cent.
//!
//! The rules are those of `tollbook_core::rating`. Here an account is locked, what the rules need is loaded for a whole
//! batch, and what they say is stored in one transaction. Rating the same usage again changes nothing.

pub(crate) mod api;
mod batch;
mod books;
mod by_hand;
mod carry;
mod compared;
mod credits;
mod destinations;
mod estimate;
mod in_force;
mod items;
mod passed;
mod place;
mod queue;
mod replay;
mod row;
mod store;
mod tail;
mod terms;
mod unchanged;
mod worker;

pub(crate) use by_hand::{ByHand, charge_by_hand, hold_account};
pub(crate) use carry::carry_due;
pub(crate) use compared::{Compared, ComparedView};
pub(crate) use credits::Credits;
pub(crate) use destinations::{Dialed, add_decks};
pub(crate) use estimate::{Estimate, Running, estimates, minute_price, month_start};
pub(crate) use queue::{lock_accounts, queue_customers_since, queue_since, queue_usages, unpark};
pub(crate) use replay::{
    On, Reached, Replay, Replayed, grants as unused_grants, replay, too_large,
};
pub(crate) use row::{ChargeRow, Charged, Manual, insert as insert_charges};
pub(crate) use store::{Undo, undo};
pub(crate) use terms::{Prepared, Ready, TermsCache, TermsKey};
pub(crate) use worker::{drain, rate_account, start};
