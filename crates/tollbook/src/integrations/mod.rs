//! Accounts at providers: an organization's own, or the platform's. Credentials are encrypted in the database.

mod account;
mod sql;

pub(crate) use account::{Account, Accounts, Credentials, account, connect, platform_account};
