//! The organizations' accounts at the sandbox of the phone provider: connected at every start, since the sandbox
//! forgets and its address changes.

use std::collections::BTreeMap;

use tollbook_core::actor::Actor;
use tollbook_core::calls::Provider as CallProvider;
use tollbook_core::ids::{IntegrationId, OrganizationId, UserId};
use tollbook_core::phone::E164;
use tollbook_core::time::Zone;
use tollbook_providers::openphone::sandbox::{
    NumberSeed, Sandbox, SeededWorkspace, UserSeed, WorkspaceSeed,
};
use tollbook_providers::openphone::{Client, Surface};
use tollbook_providers::{Http, Secret};

use super::seed::{self, Account, Firm};
use super::twilio::{self, Twilio};
use crate::app::App;
use crate::error::Result;
use crate::integrations::{self, Credentials};
use crate::sandbox::traffic::{OurLine, Profile, Shares};
use crate::{inbox, organizations};

/// The sandbox, and where both sides are reached.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The sandbox's address.
    pub url: String,
    /// Our own address, for its webhooks.
    pub our_url: String,
    /// Asks the sandbox while accounts are connected.
    pub http: Http,
}

/// The stand-ins of all providers.
#[derive(Debug, Clone)]
pub(crate) struct Providers {
    pub(crate) openphone: Provider,
    pub(crate) twilio: Twilio,
}

/// An account with the traffic that goes through it.
#[derive(Debug)]
pub(crate) struct PhoneAccount {
    pub(in crate::sandbox) provider: CallProvider,
    pub(in crate::sandbox) zone: Zone,
    /// On the days that are watched.
    pub(in crate::sandbox) busy: Profile,
    /// On the days before.
    pub(in crate::sandbox) quiet: Profile,
    /// The provider's ids of users by their mail addresses.
    pub(in crate::sandbox) user_sids: BTreeMap<String, String>,
}

/// Connects the accounts of an organization.
pub(super) async fn connect(
    app: &App,
    providers: &Providers,
    firm: &Firm,
    organization: OrganizationId,
    users: &BTreeMap<String, UserId>,
) -> Result<Vec<PhoneAccount>> {
    let provider = &providers.openphone;
    let mut accounts = Vec::new();
    for account in &firm.accounts {
        let surface = match account.surface {
            seed::Surface::Current => Surface::V2026,
            seed::Surface::First => Surface::V1,
            seed::Surface::Twilio => {
                let at = &providers.twilio;
                accounts.push(twilio::connect(app, at, firm, account, organization, users).await?);
                continue;
            }
        };
        let opened = open(&provider.sandbox, firm, account)?;
        let key = api_key(account);
        connect_workspace(app, provider, organization, &account.name, &key, surface).await?;
        link_users(app, organization, users, &opened.user_sids).await?;
        accounts.push(opened);
    }
    Ok(accounts)
}

/// Opens an account at the sandbox.
pub(super) fn open(sandbox: &Sandbox, firm: &Firm, account: &Account) -> Result<PhoneAccount> {
    let seeded = add_workspace(sandbox, firm, account);
    let mails = people(firm, account).map(|person| person.mail.clone());
    let user_sids = mails.zip(seeded.user_sids).collect();
    account_of(firm, account, CallProvider::Openphone, user_sids)
}

/// An account with its traffic.
pub(super) fn account_of(
    firm: &Firm,
    account: &Account,
    provider: CallProvider,
    user_sids: BTreeMap<String, String>,
) -> Result<PhoneAccount> {
    let everybody: Vec<E164> = firm
        .everybody()?
        .into_iter()
        .flat_map(|customer| customer.numbers)
        .collect();
    Ok(PhoneAccount {
        provider,
        zone: firm.zone()?,
        busy: profile(firm, account, &everybody, account.calls_per_day),
        quiet: profile(firm, account, &everybody, account.calls_per_past_day),
        user_sids,
    })
}

/// Whoever answers one of the account's lines.
pub(super) fn people<'a>(
    firm: &'a Firm,
    account: &'a Account,
) -> impl Iterator<Item = &'a seed::Person> {
    firm.people.iter().filter(|person| {
        account
            .lines
            .iter()
            .any(|line| line.people.contains(&person.mail))
    })
}

fn add_workspace(sandbox: &Sandbox, firm: &Firm, account: &Account) -> SeededWorkspace {
    sandbox.add_workspace(&WorkspaceSeed {
        name: account.name.clone(),
        api_key: Secret::new(api_key(account)),
        users: people(firm, account)
            .map(|person| UserSeed {
                email: person.mail.clone(),
                first_name: person.first.clone(),
                last_name: person.last.clone(),
            })
            .collect(),
        numbers: account
            .lines
            .iter()
            .map(|line| NumberSeed {
                number: line.number.clone(),
                name: line.name.clone(),
            })
            .collect(),
        has_transcripts: account.surface == seed::Surface::Current,
    })
}

/// The key of an account; one of the sandbox opens nothing else.
pub(super) fn api_key(account: &Account) -> String {
    format!("sandbox-{}", account.key)
}

/// Connects a workspace of the sandbox as an account of an organization: makes it unless there is one of that name, and
/// asks the provider for webhooks to it. Then reads the workspace's numbers, which become the organization's.
pub async fn connect_workspace(
    app: &App,
    provider: &Provider,
    organization: OrganizationId,
    name: &str,
    api_key: &str,
    surface: Surface,
) -> Result<IntegrationId> {
    let credentials = |webhook_secrets| Credentials::Openphone {
        api_key: api_key.to_owned(),
        webhook_secrets,
    };
    let url = Some(provider.url.as_str());
    let mut tx = app.db.begin(&Actor::system()).await?;
    let known = integrations::find(&mut tx, organization, name).await?;
    let id = if let Some(id) = known {
        id
    } else {
        let none = credentials(Vec::new());
        integrations::connect(app, &mut tx, Some(organization), name, url, &none).await?
    };
    tx.commit().await?;
    let client = Client::new(&provider.http, &provider.url, Secret::new(api_key))
        .map_err(tollbook_providers::Error::from)?;
    let hook_url = format!("{}/webhooks/openphone/{id}", provider.our_url);
    let hooks = client
        .create_webhooks(surface, &hook_url, "Tollbook")
        .await?;
    let secrets = hooks.iter().map(|hook| hook.secret.reveal().to_owned());
    integrations::set_credentials(app, id, url, &credentials(secrets.collect())).await?;
    inbox::sync_numbers(app, id).await?;
    Ok(id)
}

async fn link_users(
    app: &App,
    organization: OrganizationId,
    users: &BTreeMap<String, UserId>,
    user_sids: &BTreeMap<String, String>,
) -> Result<()> {
    let actor = Actor::organization_system(organization);
    for (mail, sid) in user_sids {
        if let Some(user) = users.get(mail) {
            organizations::link_provider_user(app, &actor, organization, *user, sid).await?;
        }
    }
    Ok(())
}

fn profile(firm: &Firm, account: &Account, customers: &[E164], calls_per_day: u32) -> Profile {
    let lines = account.lines.iter().map(|line| OurLine {
        number: line.number.clone(),
        users: line.people.clone(),
        forwards_to: account.forwards_to.clone(),
    });
    Profile {
        calls_by_hour: firm.hours,
        messages_by_hour: firm.hours,
        closes_hour: firm.closes_hour,
        messages_per_day: calls_per_day / 4,
        shares: Shares {
            // Customers come back again and again, so that most callers are known.
            repeated: 0.65,
            strangers: 0.06,
            ..Shares::default()
        },
        ..Profile::support(lines.collect(), customers.to_vec(), calls_per_day)
    }
}
