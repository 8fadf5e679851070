//! Accounts at providers: an organization's own, or the platform's. Credentials are encrypted in the database.

mod account;
pub(crate) mod api;
mod sql;

pub(crate) use account::{
    Account, Accounts, Credentials, account, check_own, connect, credentials_open, find,
    follow_settings, platform_account, set_credentials,
};
