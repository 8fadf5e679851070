//! Payments that people record: what comes in, which invoices it pays, and how it is taken back.
//!
//! Whoever moves a payer's money holds the payer's account, so that what is open and what is credit stand still.

pub(crate) mod api;
mod hold;
mod open;
mod read;
mod record;
mod undo;

pub(crate) use api::{positive, received_at, reference};
pub(crate) use hold::{credit, credit_is_spent, hold_payer};
pub(crate) use open::Named;
pub(crate) use record::{Channel, NewPayment, record};
