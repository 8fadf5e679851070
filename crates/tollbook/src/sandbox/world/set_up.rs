//! Makes the organizations, once, and connects their accounts, every time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use tollbook_core::actor::Actor;
use tollbook_core::calls::Provider as CallProvider;
use tollbook_core::ids::{CustomerId, OrganizationId, PhoneNumberId, PlanVersionId, UserId};
use tollbook_core::payer::Payer;
use tollbook_core::phone::E164;
use tollbook_core::plans::Offer;
use tollbook_core::time::Zone;

use super::PhoneAccount;
use super::accounts::{self, Providers};
use super::seed::{self, Customer, Firm};
use crate::app::App;
use crate::customers::{self, Profile};
use crate::error::{Error, Result};
use crate::identity::{self, NewUser};
use crate::numbers::{self, LineKey};
use crate::organizations::{self, BillingSettings, MemberRole, NewOrganization};
use crate::plans;
use crate::subscriptions::{self, NewSubscription};

/// The local hour at which subscriptions begin.
const MORNING: i8 = 9;

/// Who runs the installation.
const PLATFORM_ADMIN: &str = "admin@tollbook.example";

/// The made-up organizations, ready for traffic.
#[derive(Debug)]
pub(crate) struct World {
    /// Their accounts at the provider.
    pub(crate) accounts: Vec<PhoneAccount>,
    /// Whom to sign in as, administrators of organizations first.
    pub(crate) sign_ins: Vec<SignIn>,
}

/// Whom to sign in as.
#[derive(Debug, Clone)]
pub(crate) struct SignIn {
    /// The mail address.
    pub(crate) mail: String,
    /// What they may do, for people: `admin of Harbor IT Support`.
    pub(crate) role: String,
}

/// Makes what is not there yet, and connects the accounts. `today` is the day to which the past leads up; everybody
/// signs in with `password`.
pub(crate) async fn set_up(
    app: &App,
    providers: &Providers,
    password: &str,
    today: Date,
) -> Result<World> {
    let firms = seed::firms()?;
    refuse_others(app, &firms).await?;
    let mut world = World {
        accounts: Vec::new(),
        sign_ins: Vec::new(),
    };
    for firm in &firms {
        let (organization, is_new) = organization(app, firm).await?;
        let users = people(app, firm, organization, password).await?;
        world
            .accounts
            .extend(accounts::connect(app, providers, firm, organization, &users).await?);
        if is_new {
            assign(app, firm, organization, &users).await?;
            offer_and_sell(app, firm, organization, today).await?;
        }
        world.sign_ins.extend(sign_ins(firm));
    }
    user(app, PLATFORM_ADMIN, "Robin Platform", password, true).await?;
    world.sign_ins.push(SignIn {
        mail: PLATFORM_ADMIN.to_owned(),
        role: "platform admin".to_owned(),
    });
    // A stable order with the administrators first: the first one is who a visitor signs in as.
    world
        .sign_ins
        .sort_by_key(|it| !it.role.starts_with("admin"));
    Ok(world)
}

/// Made-up organizations with known passwords are not for an installation that is in use.
async fn refuse_others(app: &App, firms: &[Firm]) -> Result<()> {
    let keys: Vec<&str> = firms.iter().map(|firm| firm.key.as_str()).collect();
    match organizations::any_but(app, &keys).await? {
        None => Ok(()),
        Some(name) => Err(Error::conflict(
            "not_a_demo",
            format!(
                "the folder holds `{name}`, which is not the demo's: name another one with `--data-dir`"
            ),
        )),
    }
}

async fn organization(app: &App, firm: &Firm) -> Result<(OrganizationId, bool)> {
    match organizations::find(app, &firm.key).await {
        Ok(id) => return Ok((id, false)),
        Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    let new = NewOrganization {
        name: firm.name.clone(),
        external_key: Some(firm.key.clone()),
        country: firm.country.clone(),
        zone: firm.zone.clone(),
        currency: firm.currency.clone(),
        invoice_prefix: firm.invoice_prefix.clone(),
    };
    let made = organizations::create(app, &Actor::system(), new).await?;
    let settings = BillingSettings {
        invoice_grace_seconds: firm.billing.invoice_grace_seconds,
        payment_terms_days: firm.billing.payment_terms_days,
        is_invoiced_per_call: matches!(
            firm.billing.pay_per_call_invoicing,
            seed::PayPerCall::PerCall
        ),
    };
    let actor = Actor::organization_system(made.id);
    organizations::set_billing(app, &actor, made.id, &settings).await?;
    Ok((made.id, true))
}

async fn people(
    app: &App,
    firm: &Firm,
    organization: OrganizationId,
    password: &str,
) -> Result<BTreeMap<String, UserId>> {
    let mut users = BTreeMap::new();
    for person in &firm.people {
        let id = user(app, &person.mail, &person.name(), password, false).await?;
        let role = match person.role {
            seed::Role::OrgAdmin => MemberRole::OrgAdmin,
            seed::Role::OrgMember => MemberRole::OrgMember,
        };
        let actor = Actor::organization_system(organization);
        organizations::set_role(app, &actor, organization, id, role).await?;
        users.insert(person.mail.clone(), id);
    }
    Ok(users)
}

/// Finds or adds somebody; the password is theirs from now on.
async fn user(
    app: &App,
    mail: &str,
    name: &str,
    password: &str,
    is_platform_admin: bool,
) -> Result<UserId> {
    match identity::find_user(app, mail).await {
        Ok(id) => {
            identity::set_password(app, &Actor::system(), id, password.to_owned()).await?;
            Ok(id)
        }
        Err(Error::NotFound(_)) => {
            let new = NewUser {
                email: mail.to_owned(),
                name: name.to_owned(),
                password: password.to_owned(),
                is_platform_admin,
            };
            identity::add_user(app, &Actor::system(), new).await
        }
        Err(error) => Err(error),
    }
}

fn sign_ins(firm: &Firm) -> Vec<SignIn> {
    let one = |role: seed::Role, what: &str| {
        let person = firm.people.iter().find(|person| person.role == role)?;
        Some(SignIn {
            mail: person.mail.clone(),
            role: format!("{what} of {}", firm.name),
        })
    };
    [
        one(seed::Role::OrgAdmin, "admin"),
        one(seed::Role::OrgMember, "member"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Says who answers which line.
async fn assign(
    app: &App,
    firm: &Firm,
    organization: OrganizationId,
    users: &BTreeMap<String, UserId>,
) -> Result<()> {
    let now = app.clock.now();
    let lines: Vec<&E164> = firm
        .accounts
        .iter()
        .flat_map(|account| account.lines.iter().map(|line| &line.number))
        .collect();
    let mut tx = app.db.begin(&Actor::system()).await?;
    let keys: Vec<LineKey> = lines
        .iter()
        .map(|number| LineKey {
            provider: CallProvider::Openphone,
            sid: None,
            e164: Some((*number).clone()),
            at: now,
        })
        .collect();
    let known = numbers::resolve_lines(&mut tx, &keys).await?;
    tx.rollback().await?;
    let held: BTreeMap<&E164, PhoneNumberId> = lines
        .into_iter()
        .zip(known)
        .filter_map(|(number, line)| Some((number, line?.number)))
        .collect();
    let mut tx = app
        .db
        .begin(&Actor::organization_system(organization))
        .await?;
    for (mail, user) in users {
        let theirs: BTreeSet<_> = firm
            .accounts
            .iter()
            .flat_map(|account| &account.lines)
            .filter(|line| line.people.contains(mail))
            .filter_map(|line| held.get(&line.number).copied())
            .collect();
        numbers::replace_assignments(&mut tx, organization, *user, &theirs, now).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Publishes the plans, and makes the customers with their subscriptions.
async fn offer_and_sell(
    app: &App,
    firm: &Firm,
    organization: OrganizationId,
    today: Date,
) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app
        .db
        .begin(&Actor::organization_system(organization))
        .await?;
    let mut versions: BTreeMap<String, PlanVersionId> = BTreeMap::new();
    for plan in &firm.plans {
        let offer = Offer::read(plan.get().as_bytes())
            .map_err(|error| Error::Internal(format!("a made-up plan: {error}")))?;
        let (_, version) = plans::create(&mut tx, organization.uuid(), &offer).await?;
        plans::publish(&mut tx, organization.uuid(), version, now).await?;
        if let Some(code) = &offer.code {
            versions.insert(code.to_string(), version);
        }
    }
    if let Some(version) = versions.get(&firm.pay_per_call) {
        plans::set_pay_per_call(&mut tx, organization, *version, now).await?;
    }
    let zone = firm.zone()?;
    for customer in firm.everybody()? {
        let id = make(&mut tx, organization, &customer, now).await?;
        let version = customer.plan.as_ref().and_then(|code| versions.get(code));
        if let Some(plan_version) = version {
            let new = NewSubscription {
                organization,
                payer: Payer::Customer(id),
                plan_version: *plan_version,
                starts_at: begun(&zone, today, customer.since)?.max(now),
                billing_day: None,
                auto_renew: customer.renews.unwrap_or(true),
            };
            subscriptions::subscribe(&mut tx, &new, now).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// The morning `days` before a day.
fn begun(zone: &Zone, today: Date, days: u16) -> Result<Timestamp> {
    let at = today
        .checked_sub(jiff::Span::new().days(i64::from(days)))
        .and_then(|date| date.at(MORNING, 0, 0, 0).to_zoned(zone.rules().clone()))
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(at.timestamp())
}

async fn make(
    tx: &mut crate::db::Tx,
    organization: OrganizationId,
    customer: &Customer,
    now: Timestamp,
) -> Result<CustomerId> {
    let profile = Profile {
        name: customer.name.clone(),
        email: customer.mail.clone(),
        tax_exempt: customer.tax_exempt,
        tax_percent: customer.tax_percent,
        ..Profile::default()
    };
    let numbers: Vec<E164> = customer.numbers.clone();
    let id = customers::create_customer(tx, organization, &profile, &numbers, now).await?;
    if let Some(name) = &customer.contact {
        let mail = customer.mail.as_deref();
        customers::add_contact(tx, organization, id, name, mail, "").await?;
    }
    if let Some(note) = &customer.note {
        customers::add_note(tx, organization, id, note).await?;
    }
    Ok(id)
}
