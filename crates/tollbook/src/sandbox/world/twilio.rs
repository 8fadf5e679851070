//! The organizations' accounts at the stand-in of Twilio.

use std::collections::BTreeMap;

use tollbook_core::actor::Actor;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, OrganizationId, UserId};
use tollbook_providers::Secret;
use tollbook_providers::twilio::sandbox::{AccountSeed, FlowHooks, Sandbox};

use super::accounts::{PhoneAccount, account_of, api_key, people};
use super::seed::{Account, Firm};
use crate::app::App;
use crate::calls::client_name;
use crate::error::Result;
use crate::inbox;
use crate::integrations::{self, Credentials};

/// The stand-in, and where both sides are reached.
#[derive(Debug, Clone)]
pub struct Twilio {
    /// The stand-in.
    pub sandbox: Sandbox,
    /// Its address.
    pub url: String,
    /// Our own address, for its webhooks.
    pub our_url: String,
}

/// Connects an account of an organization.
pub(super) async fn connect(
    app: &App,
    provider: &Twilio,
    firm: &Firm,
    account: &Account,
    organization: OrganizationId,
    users: &BTreeMap<String, UserId>,
) -> Result<PhoneAccount> {
    let names = people(firm, account).filter_map(|person| {
        let user = users.get(&person.mail)?;
        Some((person.mail.clone(), client_name(*user)))
    });
    let names = names.collect();
    let (sid, opened) = open(&provider.sandbox, firm, account, names)?;
    let token = api_key(account);
    connect_twilio(
        app,
        provider,
        Some(organization),
        &account.name,
        &sid,
        &token,
    )
    .await?;
    Ok(opened)
}

/// Opens an account at the stand-in; its id, too.
pub(super) fn open(
    sandbox: &Sandbox,
    firm: &Firm,
    account: &Account,
    names: BTreeMap<String, String>,
) -> Result<(String, PhoneAccount)> {
    let seeded = sandbox.add_account(&AccountSeed {
        name: account.name.clone(),
        auth_token: Secret::new(api_key(account)),
        numbers: account
            .lines
            .iter()
            .map(|line| line.number.clone())
            .collect(),
        hooks: FlowHooks::default(),
    });
    let opened = account_of(firm, account, Provider::Twilio, names)?;
    Ok((seeded.sid, opened))
}

/// Connects an account of the stand-in as one of an organization, or of the platform: makes it unless there is one of
/// that name, and lets the stand-in deliver webhooks to it. Then reads the account's numbers.
pub async fn connect_twilio(
    app: &App,
    provider: &Twilio,
    organization: Option<OrganizationId>,
    name: &str,
    account_sid: &str,
    auth_token: &str,
) -> Result<IntegrationId> {
    let credentials = Credentials::Twilio {
        account_sid: account_sid.to_owned(),
        auth_token: auth_token.to_owned(),
        webhook_secrets: Vec::new(),
        app_sid: None,
    };
    let url = Some(provider.url.as_str());
    let mut tx = app.db.begin(&Actor::system()).await?;
    let known = match organization {
        Some(organization) => integrations::find(&mut tx, organization, name).await?,
        None => None,
    };
    let id = match known {
        Some(id) => id,
        None => integrations::connect(app, &mut tx, organization, name, url, &credentials).await?,
    };
    tx.commit().await?;
    if known.is_some() {
        integrations::set_credentials(app, id, url, &credentials).await?;
    }
    let base = match organization {
        Some(_) => format!("{}/webhooks/twilio/{id}", provider.our_url),
        None => format!("{}/webhooks/twilio", provider.our_url),
    };
    provider.sandbox.set_hooks(account_sid, &hooks(&base));
    inbox::sync_numbers(app, id).await?;
    Ok(id)
}

/// Where an account's webhooks go, below our address of it.
pub(super) fn hooks(base: &str) -> FlowHooks {
    FlowHooks {
        voice_url: format!("{base}/voice"),
        status_url: format!("{base}/call-status"),
        leg_status_url: format!("{base}/call-status"),
        dial_action_url: format!("{base}/voice"),
        recording_status_url: format!("{base}/recording-status"),
        sms_url: format!("{base}/sms"),
        sms_status_url: format!("{base}/sms-status"),
    }
}
