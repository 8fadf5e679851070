//! Reports that bring together what other capabilities keep: what was earned beside what it cost.

pub(crate) mod analytics;
pub(crate) mod bill;
pub(crate) mod margin;
mod of_user;
