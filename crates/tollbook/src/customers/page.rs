//! The page of one customer, filled.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::phone::E164;
use tollbook_core::plans::{Document, Rate};
use tollbook_core::time::{Period, Zone};

use super::card::{self, OpenInvoices};
use super::list::{self, CustomerNumber};
use super::summary::{Contract, summaries};
use super::view::{Contact, CustomerPage, SubscriptionView};
use super::web::{label, standing};
use super::{balance, sql};
use crate::alerts;
use crate::app::App;
use crate::calls::view::card::OpenInvoice;
use crate::calls::{Look, hours_left};
use crate::communications;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::invoices::view::{InvoiceRow, InvoiceState};
use crate::pages::address::address;
use crate::pages::chart::columns::{Column, ColumnWords, Columns};
use crate::pages::number::Amount;
use crate::pages::phone::Phone;
use crate::pages::{Note, Page, duration};

/// Communications, invoices and open invoices on the page.
const HISTORY_MAX: i64 = 10;
const INVOICES_MAX: i64 = 12;
const OPEN_MAX: i64 = 20;
/// Alerts on the page.
const ALERTS_MAX: i64 = 3;
/// Contacts on the page.
const CONTACTS_MAX: i64 = 50;
/// Days of the chart.
const DAYS_MAX: i64 = 31;

/// What pages need to know of the organization.
#[derive(Debug, Clone)]
pub(super) struct OrganizationFacts {
    pub(super) country: String,
    pub(super) currency: Currency,
    pub(super) zone: Zone,
}

/// Reads them.
pub(super) async fn organization(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<OrganizationFacts> {
    Ok(sql::page::organization(tx, organization).await?)
}

/// How the page's viewer reads.
pub(super) fn look(page: &Page, facts: &OrganizationFacts) -> Look {
    Look {
        viewer: page.viewer.clone(),
        country: facts.country.clone(),
        csrf: page.csrf.clone(),
    }
}

/// Everything on the page of a customer, as `actor` may see it.
pub(super) async fn customer(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: CustomerId,
    page: Page,
) -> Result<CustomerPage> {
    let facts = self::organization(tx, organization).await?;
    let look = look(&page, &facts);
    let now = page.viewer.now;
    let customer = list::customer(tx, organization, id).await?;
    let found = summaries(tx, organization, &[id], now).await?.remove(&id);
    let summary = found.ok_or(Error::NotFound("customer"))?;
    let contract = summary.subscription.as_ref();
    let period = match contract.and_then(|it| it.period) {
        Some(period) => period,
        None => facts.zone.month(now).map_err(internal)?,
    };
    // Calls may be older than the first day here: they come along when a provider is connected.
    let first_call = sql::page::first_call_at(tx, organization, id).await?;
    let since = first_call.map_or(customer.created_at, |at| at.min(customer.created_at));
    let mut open = sql::card::open_invoices(tx, organization, &[id], OPEN_MAX).await?;
    let open = open.remove(&id).unwrap_or_default();
    let owed = balance::balance(tx, actor, organization, id).await?;
    Ok(CustomerPage {
        id: id.to_string(),
        name: label(&look, &summary),
        company: None,
        standing: standing(&summary),
        alerts: alerts(tx, actor, organization, id, &look).await?,
        since: page.viewer.date(facts.zone.date(since)),
        contacts: contacts(tx, organization, id, &look).await?,
        subscription: match contract {
            Some(contract) => Some(subscription(tx, organization, contract, &look).await?),
            None => None,
        },
        hours: summary.hours.map(|hours| hours_left(&look, hours)),
        balance: Amount::of(look.viewer.text, first(&facts, &owed)),
        open_invoices: open_invoices(&look, &facts, &open),
        unbilled: unbilled(tx, actor, organization, id, &look, &facts).await?,
        usage: Some(usage(tx, organization, id, &look, &facts, period).await?),
        history: history(tx, app, actor, organization, id, &look).await?,
        history_href: address("/communications", &[("customerId", &id.to_string())]),
        invoices: invoices(tx, organization, id, &look, &label(&look, &summary)).await?,
        notes: notes(tx, organization, id, &look).await?,
        may_write: true,
        refused_note: None,
        page,
    })
}

/// The latest alerts of the customer, in sentences.
async fn alerts(
    tx: &mut Tx,
    actor: &Actor,
    organization: OrganizationId,
    id: CustomerId,
    look: &Look,
) -> Result<Vec<String>> {
    if !actor.administers(organization) {
        return Ok(Vec::new());
    }
    let found = alerts::of_customer(tx, organization, id, ALERTS_MAX).await?;
    let text = look.viewer.text;
    Ok(found.iter().map(|it| alerts::title(text, it)).collect())
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}

/// The amount in the organization's own currency, or else the first.
fn first(facts: &OrganizationFacts, amounts: &[Money]) -> Money {
    let own = amounts.iter().find(|it| facts.is_own(it.currency()));
    let any = own.or_else(|| amounts.first());
    any.copied().unwrap_or_else(|| Money::zero(facts.currency))
}

async fn unbilled(
    tx: &mut Tx,
    actor: &Actor,
    organization: OrganizationId,
    id: CustomerId,
    look: &Look,
    facts: &OrganizationFacts,
) -> Result<Option<Amount>> {
    if !actor.administers(organization) {
        return Ok(None);
    }
    let amounts = balance::unbilled(tx, organization, id).await?;
    let own = amounts.iter().find(|it| facts.is_own(it.currency));
    let text = look.viewer.text;
    Ok(Some(match own.or_else(|| amounts.first()) {
        Some(amount) => Amount::price(text, &amount.plain, amount.currency),
        None => Amount::of(text, Money::zero(facts.currency)),
    }))
}

/// Contacts with their numbers; numbers that are no contact's come last.
async fn contacts(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CustomerId,
    look: &Look,
) -> Result<Vec<Contact>> {
    let people = list::contacts(tx, organization, Some(id), None, CONTACTS_MAX).await?;
    let numbers = list::numbers(tx, organization, id).await?;
    let phones = |of: &dyn Fn(&CustomerNumber) -> bool| -> Vec<Phone> {
        let live = numbers.iter().filter(|it| it.ends_at.is_none() && of(it));
        let parsed = live.filter_map(|it| it.phone_number.parse::<E164>().ok());
        parsed.map(|it| Phone::number(&it, &look.country)).collect()
    };
    let mut contacts: Vec<Contact> = people
        .iter()
        .map(|person| Contact {
            name: Some(person.name.clone()).filter(|it| !it.is_empty()),
            email: person.email.clone(),
            phones: phones(&|it| it.contact_id == Some(person.id)),
        })
        .collect();
    let others = phones(&|it| it.contact_id.is_none());
    if !others.is_empty() {
        contacts.push(Contact {
            name: None,
            email: None,
            phones: others,
        });
    }
    Ok(contacts)
}

async fn subscription(
    tx: &mut Tx,
    organization: OrganizationId,
    contract: &Contract,
    look: &Look,
) -> Result<SubscriptionView> {
    let text = look.viewer.text;
    let stored = sql::page::document(tx, organization, contract.id, look.viewer.now).await?;
    let document = stored.map(|json| Document::read(json.as_bytes()));
    let document = document.transpose().map_err(internal)?;
    let price = document.as_ref().map(|document| {
        let fee = Amount::price(text, &document.base_fee.to_string(), document.currency);
        let message = match document.interval_months {
            1 => text.say("price-a-month").with("price", fee.text()),
            12 => text.say("price-a-year").with("price", fee.text()),
            months => text
                .say("price-for-months")
                .with("price", fee.text())
                .number("count", months),
        };
        message.to_string()
    });
    let span = contract
        .period
        .map(|period| span(look, &contract.zone, &period));
    let renews = contract
        .period
        .filter(|_| contract.is_in_force && contract.ends_at.is_none());
    Ok(SubscriptionView {
        plan: contract.plan.clone(),
        state: crate::calls::contract_state(look, contract),
        is_active: contract.is_in_force,
        price: price.unwrap_or_default(),
        period: span.unwrap_or_default(),
        renews_on: renews.map(|period| look.viewer.date_short(contract.zone.date(period.end()))),
        overage: document
            .as_ref()
            .and_then(|document| overage(document, look)),
    })
}

/// What a minute costs past the hours, where it is one price.
fn overage(document: &Document, look: &Look) -> Option<String> {
    let mut prices = document.prices.iter();
    let price = prices.find(|it| it.meter.as_str() == "CALL_DURATION_SECONDS")?;
    let Rate::PerUnit { price, per } = &price.rate else {
        return None;
    };
    let text = look.viewer.text;
    let amount = Amount::price(text, &price.to_string(), document.currency);
    let message = match per.to_whole_units()? {
        60 => text.say("rate-per-minute").with("price", amount.text()),
        3600 => text.say("rate-per-hour").with("price", amount.text()),
        _ => return None,
    };
    Some(message.to_string())
}

/// `Nov 1 to Nov 30`, in the zone in which the period's days are counted.
fn span(look: &Look, zone: &Zone, period: &Period) -> String {
    let last = period.end() - SignedDuration::from_nanos(1);
    let day = |at: Timestamp| look.viewer.date_short(zone.date(at));
    let text = look.viewer.text;
    text.say("period-span")
        .with("from", day(period.start()))
        .with("to", day(last))
        .to_string()
}

fn open_invoices(look: &Look, facts: &OrganizationFacts, open: &OpenInvoices) -> Vec<OpenInvoice> {
    let day = |at: Timestamp| look.viewer.date_short(facts.zone.date(at));
    open.first
        .iter()
        .map(|invoice| OpenInvoice {
            href: format!("/invoices/{}", invoice.id),
            number: invoice.number.clone(),
            open: Amount::of(look.viewer.text, invoice.open),
            due_on: invoice.due_at.map(day).unwrap_or_default(),
            is_overdue: invoice.due_at.is_some_and(|at| at < look.viewer.now),
        })
        .collect()
}

/// Time talked per day, in the organization's zone, from the start of the period or a month ago until today.
async fn usage(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CustomerId,
    look: &Look,
    facts: &OrganizationFacts,
    period: Period,
) -> Result<Columns> {
    let today = facts.zone.date(look.viewer.now);
    let earliest = today.checked_sub((DAYS_MAX - 1).days()).map_err(internal)?;
    let first = facts.zone.date(period.start()).max(earliest);
    let from = facts.zone.day_start(first).map_err(internal)?;
    let zone = facts.zone.name();
    let talked = sql::page::talked(tx, organization, id, from, zone).await?;
    let customer = id.to_string();
    let column = |day: Date| {
        let seconds = talked.get(&day).copied().unwrap_or(0);
        let date = day.to_string();
        let filter = [
            ("customerId", customer.as_str()),
            ("from", &date),
            ("to", &date),
        ];
        Column {
            label: look.viewer.date_short(day),
            value: seconds,
            shown: duration::clock(seconds),
            href: (seconds > 0).then(|| address("/communications", &filter)),
        }
    };
    let days = first.series(1.day()).take_while(|day| *day <= today);
    let text = look.viewer.text;
    let words = ColumnWords {
        title: text.say("customer-usage").to_string(),
        axis: text.say("chart-day").to_string(),
        unit: text.say("chart-time").to_string(),
        zone: zone.to_owned(),
    };
    Ok(Columns::new(
        text,
        words,
        days.map(column).collect(),
        3_600,
        |seconds| {
            let hours = duration::hours(text, seconds);
            text.say("chart-hours").with("hours", hours).to_string()
        },
    ))
}

async fn history(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    id: CustomerId,
    look: &Look,
) -> Result<Vec<crate::calls::view::list::CommunicationRow>> {
    let filter = communications::Filter {
        customer: Some(id),
        ..communications::Filter::default()
    };
    let items =
        communications::items(tx, app, actor, organization, &filter, None, HISTORY_MAX).await?;
    Ok(items
        .iter()
        .map(|item| communications::row(look, item))
        .collect())
}

async fn invoices(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CustomerId,
    look: &Look,
    customer: &str,
) -> Result<Vec<InvoiceRow>> {
    let rows = sql::page::invoices(tx, organization, id, INVOICES_MAX).await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let day = |at: Timestamp| look.viewer.date_short(row.zone.date(at));
            InvoiceRow {
                href: format!("/invoices/{}", row.id),
                number: row.number.clone(),
                customer: customer.to_owned(),
                state: invoice_state(&row, look.viewer.now),
                period: span(look, &row.zone, &row.period),
                issued_on: row.finalized_at.map(day),
                due_on: row.due_at.map(day),
                total: Amount::of(look.viewer.text, row.total),
                open: Amount::of(look.viewer.text, row.open),
            }
        })
        .collect())
}

fn invoice_state(row: &sql::page::Invoice, now: Timestamp) -> InvoiceState {
    match row.state.as_str() {
        "draft" => InvoiceState::Draft,
        "paid" => InvoiceState::Paid,
        "void" => InvoiceState::Void,
        "uncollectible" => InvoiceState::Uncollectible,
        _ if row.due_at.is_some_and(|due| due < now) => InvoiceState::Overdue,
        _ => InvoiceState::Open,
    }
}

async fn notes(
    tx: &mut Tx,
    organization: OrganizationId,
    id: CustomerId,
    look: &Look,
) -> Result<Vec<Note>> {
    let notes = card::notes(tx, organization, id).await?;
    Ok(notes
        .into_iter()
        .map(|note| Note {
            author: note.author,
            at: look.viewer.stamp(note.created_at),
            text: note.body,
        })
        .collect())
}
