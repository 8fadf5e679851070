//! Pure rules of phone billing: no I/O, no clock, no randomness, no floating point.

pub mod actor;
pub mod calls;
pub mod fraud;
pub mod ids;
pub mod invoices;
pub mod ledger;
pub mod limits;
pub mod metering;
pub mod money;
pub mod moving;
pub mod named;
pub mod payer;
pub mod phone;
pub mod plans;
pub mod pricing;
pub mod rating;
pub mod subscriptions;
pub mod time;
pub mod wallets;
