//! Made-up organizations: a support firm in New York that sells hours, and a hotline in Berlin that sells calls.
//!
//! They are made by the operations that people use, so the database holds nothing that a real installation could not.

mod accounts;
mod seed;
mod set_up;
mod twilio;

use std::collections::BTreeMap;

use crate::error::Result;
use crate::sandbox::Phones;

pub(crate) use accounts::{PhoneAccount, Providers};
pub use accounts::{Provider, connect_workspace};
pub(crate) use set_up::{SignIn, World, set_up};
pub use twilio::{Twilio, connect_twilio};

/// The accounts at the stand-ins alone, each with the settings that lead `tollbook serve` to it. Twilio's webhooks go to
/// `our_url`; OpenPhone is asked for them by whoever wants some.
pub(crate) fn accounts_alone(
    phones: &Phones,
    url: &str,
    our_url: &str,
) -> Result<Vec<(String, PhoneAccount)>> {
    let mut opened = Vec::new();
    for firm in seed::firms()? {
        for account in &firm.accounts {
            let key = accounts::api_key(account);
            if account.surface == seed::Surface::Twilio {
                let names = BTreeMap::new();
                let (sid, account) = twilio::open(&phones.twilio, &firm, account, names)?;
                let base = format!("{our_url}/webhooks/twilio");
                phones.twilio.set_hooks(&sid, &twilio::hooks(&base));
                let settings = format!(
                    "TWILIO_BASE_URL={url} TWILIO_ACCOUNT_SID={sid} TWILIO_AUTH_TOKEN={key} SERVER_URL={our_url}"
                );
                opened.push((settings, account));
            } else {
                let account = accounts::open(&phones.openphone, &firm, account)?;
                let settings = format!("OPENPHONE_BASE_URL={url} OPENPHONE_API_KEY={key}");
                opened.push((settings, account));
            }
        }
    }
    Ok(opened)
}
