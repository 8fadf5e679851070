//! Statements on customers, by what they are for.

pub(super) mod balance;
pub(super) mod card;
pub(super) mod edit;
pub(super) mod list;
pub(super) mod moving;
pub(super) mod page;
pub(super) mod reach;
pub(super) mod recognize;
pub(super) mod summary;
