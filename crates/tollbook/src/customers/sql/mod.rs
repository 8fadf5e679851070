//! Statements on customers, by what they are for.

pub(super) mod card;
pub(super) mod recognize;
pub(super) mod summary;
