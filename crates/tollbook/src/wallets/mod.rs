//! Prepaid credit of payers. What is charged is drawn from it at once, the oldest expiring credit first; what there is no
//! credit for is kept, and asked for by an invoice.
//!
//! A wallet is locked after the account and the drafts that it pays for, and before the ledger.

pub(crate) mod api;
mod draw;
mod expire;
mod opening;
mod ops;
mod read;
mod store;

pub(crate) use draw::{DueDocument, Reserved, Spent, charged, charged_again, charged_beside, pay};
pub(crate) use expire::expire_due;
pub(crate) use opening::{OpeningLot, OpeningWallet, open_with};
pub(crate) use store::{decimal, money};
