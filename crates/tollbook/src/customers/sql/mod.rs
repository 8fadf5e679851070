//! Statements on customers, by what they are for.

pub(super) mod recognize;
