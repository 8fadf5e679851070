//! Double-entry postings: one entry per document, made of transfers that balance by construction.
//!
//! Nothing here is ever changed: a correction is a new entry.

mod account;
mod entry;
mod posting;

pub use account::{Account, AccountKind};
pub use entry::{Entry, LedgerError, Transfer, balances};
pub use posting::{
    FEE, apply_credit, cost, credit_note, goodwill, invoice, opening_credit, opening_invoice,
    opening_wallet, payment, payment_reversal, refund, release, wallet_draw, wallet_expiry,
    wallet_refund, wallet_top_up,
};
