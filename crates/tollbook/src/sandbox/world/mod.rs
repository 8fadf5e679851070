//! Made-up organizations: a support firm in New York that sells hours, and a hotline in Berlin that sells calls.
//!
//! They are made by the operations that people use, so the database holds nothing that a real installation could not.

mod accounts;
mod seed;
mod set_up;

use tollbook_providers::openphone::sandbox::Sandbox;

use crate::error::Result;

pub(crate) use accounts::PhoneAccount;
pub use accounts::{Provider, connect_workspace};
pub(crate) use set_up::{SignIn, World, set_up};

/// The accounts at the sandbox alone, each with the key that opens it.
pub(crate) fn accounts_alone(sandbox: &Sandbox) -> Result<Vec<(String, PhoneAccount)>> {
    let mut opened = Vec::new();
    for firm in seed::firms()? {
        for account in &firm.accounts {
            let key = accounts::api_key(account);
            opened.push((key, accounts::open(sandbox, &firm, account)?));
        }
    }
    Ok(opened)
}
