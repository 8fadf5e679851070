//! The pages of invoices.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::InvoiceId;
use tollbook_core::money::{Currency, Money, Quantity};
use tollbook_core::payer::PayerKind;
use tollbook_core::phone::Party;

use super::act_view::Act;
use super::closing::Told;
use super::due::{self, Sale};
use super::finalize;
use super::read::{self, Behind, Head, Place, Printed, Which};
use super::view::{
    ActLink, Address, InvoiceLine, InvoicePage, InvoiceRow, InvoiceState, InvoicesPage, LineCall,
    TaxLine,
};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::customers;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::caller::{OrgAdmin, OrgMember};
use crate::http::frame::Frame;
use crate::http::input::{Params, Path};
use crate::http::list::Paging;
use crate::pages::address::address;
use crate::pages::number::{Amount, count, decimal};
use crate::pages::phone::Phone;
use crate::pages::text::Text;
use crate::pages::{Page, Pager, Section, Tab, duration, reply};

pub(super) const PATH: &str = "/invoices";
const TABS: [&str; 5] = ["", "draft", "open", "overdue", "paid"];
/// Customers that a search may mean.
const CUSTOMERS_MAX: i64 = 50;

/// The filter, as the address has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    #[serde(default)]
    tab: String,
    #[serde(default)]
    q: String,
}

/// `GET /invoices`
pub(crate) async fn list_page(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    Params(query): Params<Query>,
) -> Result<Response> {
    let page = frame.page(Section::Invoices);
    let mut tx = app.db.begin(&member.actor).await?;
    let tab = TABS
        .into_iter()
        .find(|tab| *tab == query.tab)
        .unwrap_or_default();
    let mut which = Which {
        tab: tab.to_owned(),
        ..Which::default()
    };
    if !query.q.trim().is_empty() {
        let found = customers::find(&mut tx, member.organization, &query.q, CUSTOMERS_MAX).await?;
        which.customers = Some(found.into_iter().map(|customer| customer.id).collect());
        which.number = Some(query.q.trim().to_uppercase());
    }
    let after = paging.key::<Place>()?;
    let now = page.viewer.now;
    let heads = read::heads(
        &mut tx,
        member.organization,
        &which,
        None,
        after.as_ref(),
        now,
        paging.rows(),
    )
    .await?;
    let list = paging.page(heads, |head| Place {
        period_start: head.period_start,
        id: head.id,
    })?;
    let href = |cursor: &str| address(PATH, &[("tab", tab), ("q", &query.q), ("cursor", cursor)]);
    let view = InvoicesPage {
        tabs: tabs(&page, tab),
        tab: tab.to_owned(),
        rows: list.data.iter().map(|head| row(&page, head)).collect(),
        pager: Pager {
            first: after.is_some().then(|| href("")),
            next: list.next_cursor.map(|cursor| href(&cursor)),
        },
        q: query.q.clone(),
        page,
    };
    Ok(reply::page_or_fragment(&view, &headers))
}

fn tabs(page: &Page, current: &str) -> Vec<Tab> {
    TABS.into_iter()
        .map(|tab| Tab {
            label: match tab {
                "draft" => InvoiceState::Draft.label(page.text()),
                "open" => InvoiceState::Open.label(page.text()),
                "overdue" => InvoiceState::Overdue.label(page.text()),
                "paid" => InvoiceState::Paid.label(page.text()),
                _ => page.say("invoices-tab-all").to_string(),
            },
            href: address(PATH, &[("tab", tab)]),
            is_current: tab == current,
        })
        .collect()
}

fn row(page: &Page, head: &Head) -> InvoiceRow {
    let day = |at| page.viewer.date_short(head.zone.date(at));
    InvoiceRow {
        href: format!("{PATH}/{}", head.id),
        number: head.number.clone(),
        customer: head.customer_name.clone(),
        state: state(page, head),
        period: period(page, head),
        issued_on: head.finalized_at.map(day),
        due_on: head.due_at.map(day),
        total: Amount::of(page.text(), head.total),
        open: Amount::of(page.text(), head.open),
    }
}

fn state(page: &Page, head: &Head) -> InvoiceState {
    match head.state.as_str() {
        "draft" => InvoiceState::Draft,
        "paid" => InvoiceState::Paid,
        "void" => InvoiceState::Void,
        "uncollectible" => InvoiceState::Uncollectible,
        _ if head.due_at.is_some_and(|due| due < page.viewer.now) => InvoiceState::Overdue,
        _ => InvoiceState::Open,
    }
}

/// The days of the period, the last one being the last that belongs to it.
fn period(page: &Page, head: &Head) -> String {
    days(page, head, head.period_start, head.period_end)
}

fn days(page: &Page, head: &Head, start: jiff::Timestamp, end: jiff::Timestamp) -> String {
    let first = head.zone.date(start);
    let last = end
        .checked_sub(jiff::SignedDuration::from_secs(1))
        .map_or(first, |at| head.zone.date(at));
    if first == last {
        return page.viewer.date_short(first);
    }
    page.say("period-span")
        .with("from", page.viewer.date_short(first))
        .with("to", page.viewer.date_short(last))
        .to_string()
}

/// `GET /invoices/{id}`
pub(crate) async fn invoice_page(
    State(app): State<App>,
    frame: Frame,
    admin: OrgAdmin,
    Path(id): Path<InvoiceId>,
) -> Result<Response> {
    let page = frame.page(Section::Invoices);
    let mut tx = app.db.begin(&admin.actor).await?;
    let head = head(&mut tx, &admin, id, page.viewer.now).await?;
    let is_draft = head.state == "draft";
    let (printed, head, taxes) = if is_draft {
        preview(&mut tx, &admin, head).await?
    } else {
        let lines = read::lines(&mut tx, admin.organization, &head).await?;
        let taxes = read::taxes(&mut tx, admin.organization, &head).await?;
        (lines, head, taxes)
    };
    let country = read::country(&mut tx, admin.organization).await?;
    let behind = read::calls_behind(&mut tx, admin.organization, id).await?;
    let view = fill(page, &head, printed, taxes, behind, &country);
    Ok(reply::page(axum::http::StatusCode::OK, &view))
}

pub(super) async fn head(
    tx: &mut Tx,
    admin: &OrgAdmin,
    id: InvoiceId,
    now: jiff::Timestamp,
) -> Result<Head> {
    read::heads(
        tx,
        admin.organization,
        &Which::default(),
        Some(id),
        None,
        now,
        1,
    )
    .await?
    .into_iter()
    .next()
    .ok_or(Error::NotFound("invoice"))
}

/// A draft as it would be finalized now: from its charges, by the same rules.
async fn preview(
    tx: &mut Tx,
    admin: &OrgAdmin,
    mut head: Head,
) -> Result<(Vec<Printed>, Head, Vec<(String, Money)>)> {
    let sale = Sale {
        organization: admin.organization,
        payer: PayerKind::Customer,
    };
    let drafts = due::read(tx, sale, &[head.id]).await?;
    let documents = finalize::documents(tx, admin.organization, &drafts).await?;
    let Some(document) = documents.into_iter().next() else {
        return Ok((Vec::new(), head, Vec::new()));
    };
    let lines = document
        .lines
        .iter()
        .map(|line| Printed {
            line_group: line.group.clone(),
            description: line.description.clone(),
            quantity: line.quantity,
            unit: line.unit.clone(),
            unit_price: line.unit_price.map(|price| price.normalize().to_string()),
            divisor: line
                .divisor
                .and_then(|divisor| Quantity::try_from(divisor).ok()),
            amount: line.amount,
            starts_at: line.starts_at,
            ends_at: line.ends_at,
        })
        .collect();
    (head.subtotal, head.total) = (document.totals.subtotal, document.totals.total);
    let taxes = document
        .totals
        .taxes
        .iter()
        .map(|t| (t.rate.percent.to_string(), t.tax))
        .collect();
    Ok((lines, head, taxes))
}

fn lines(
    page: &Page,
    head: &Head,
    printed: Vec<Printed>,
    behind: Vec<Behind>,
    country: &str,
) -> Vec<InvoiceLine> {
    let text = page.text();
    let mut calls: HashMap<String, Vec<Behind>> = HashMap::new();
    for call in behind {
        calls.entry(call.line_group.clone()).or_default().push(call);
    }
    let line = |(index, line): (usize, Printed)| {
        let behind = calls.remove(&line.line_group).unwrap_or_default();
        let price = line.unit_price.as_deref();
        let of = behind.first().map_or(0, |b| b.of);
        InvoiceLine {
            id: (index + 1).to_string(),
            detail: Some(days(page, head, line.starts_at, line.ends_at)),
            quantity: quantity(text, line.quantity, &line.unit, line.divisor),
            unit_price: price.map_or_else(String::new, |price| {
                unit_price(text, price, line.divisor, &line.unit, head.currency)
            }),
            amount: Amount::of(text, line.amount),
            calls_count: u64::try_from(of).unwrap_or(0),
            calls: behind
                .iter()
                .map(|b| line_call(page, head, b, &line.unit, country))
                .collect(),
            calls_href: None,
            description: line.description,
        }
    };
    printed.into_iter().enumerate().map(line).collect()
}

fn fill(
    page: Page,
    head: &Head,
    printed: Vec<Printed>,
    taxes: Vec<(String, Money)>,
    behind: Vec<Behind>,
    country: &str,
) -> InvoicePage {
    let text = page.text();
    let lines = lines(&page, head, printed, behind, country);
    let day = |at| page.viewer.date(head.zone.date(at));
    InvoicePage {
        id: head.id.to_string(),
        number: head.number.clone(),
        state: state(&page, head),
        seller: Address {
            name: head.seller_name.clone(),
            lines: Vec::new(),
        },
        buyer: Address {
            name: head.customer_name.clone(),
            lines: head.customer_email.clone().into_iter().collect(),
        },
        customer_href: head.customer.map(|id| format!("/customers/{id}")),
        period: period(&page, head),
        issued_on: head.finalized_at.map(day),
        due_on: head.due_at.map(day),
        currency: head.currency.code().to_owned(),
        lines,
        subtotal: Amount::of(text, head.subtotal),
        taxes: taxes
            .into_iter()
            .map(|(percent, amount)| TaxLine {
                label: page
                    .say("invoice-tax")
                    .with("percent", decimal(text, &percent, 0))
                    .to_string(),
                amount: Amount::of(text, amount),
            })
            .collect(),
        total: Amount::of(text, head.total),
        paid: Amount::of(text, head.paid),
        open: Amount::of(text, head.open),
        finalizes_at: head
            .finalize_at
            .filter(|_| head.number.is_none())
            .map(|at| page.viewer.stamp(at)),
        may_finalize: head.state == "draft",
        credited: Amount::of(text, head.credited),
        acts: acts(&page, head),
        void_reason: head.void_reason.clone(),
        closing: closing(&page, head),
        footer: Some(head.notes.clone()).filter(|notes| !notes.is_empty()),
        page,
    }
}

/// Whether everything of the period is on the document.
fn closing(page: &Page, head: &Head) -> Vec<String> {
    let Some(closed) = head.closed else {
        return Vec::new();
    };
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    let (usages, rated) = (count(closed.usages), count(closed.usages_rated));
    let mut said = vec![if rated >= usages {
        page.say("invoice-closing-complete")
            .number("usages", usages)
            .to_string()
    } else {
        page.say("invoice-closing-gap")
            .number("usages", usages)
            .number("rated", rated)
            .to_string()
    }];
    if closed.webhooks_parked > 0 {
        let parked = count(closed.webhooks_parked);
        let parked = page.say("invoice-closing-parked").number("count", parked);
        said.push(parked.to_string());
    }
    said
}

/// What may be done to a finalized invoice: paid while something is open, credited while something is left, and withdrawn
/// while nothing was paid or credited.
fn acts(page: &Page, head: &Head) -> Vec<ActLink> {
    let is = |states: &[&str]| states.contains(&head.state.as_str());
    let is_untouched = head.paid.is_zero() && head.credited.is_zero();
    let can_pay = is(&["finalized", "uncollectible"]) && !head.open.is_zero();
    let can_credit = is(&["finalized", "paid"]) && head.credited.minor() < head.total.minor();
    let can_void = is(&["finalized", "uncollectible"]) && is_untouched;
    [
        (can_pay, Act::Payment, page.say("invoice-pay")),
        (can_credit, Act::CreditNote, page.say("invoice-give-credit")),
        (can_void, Act::Void, page.say("invoice-withdraw")),
    ]
    .into_iter()
    .filter(|(can, ..)| *can)
    .map(|(_, act, label)| ActLink {
        href: format!("{PATH}/{}/{}", head.id, act.as_str()),
        label: label.to_string(),
        is_primary: act == Act::Payment,
    })
    .collect()
}

fn line_call(page: &Page, head: &Head, behind: &Behind, unit: &str, country: &str) -> LineCall {
    let text = page.text();
    let with = match Party::read(&behind.external_party) {
        Party::Number(number) => Phone::number(&number, country).text().to_owned(),
        _ => page.say("party-unknown").to_string(),
    };
    let price = behind.unit_price.as_deref();
    LineCall {
        href: format!("/calls/{}", behind.call),
        at: page.viewer.stamp(behind.at),
        with,
        raw: duration::clock(u64::try_from(behind.used_seconds).unwrap_or(0)),
        billed: quantity(text, behind.quantity, unit, behind.divisor),
        included: None,
        rate: price.map(|price| unit_price(text, price, behind.divisor, unit, head.currency)),
        amount: Amount::price(text, &behind.amount, head.currency),
    }
}

/// Time as a clock shows it, a fee as the share of its period, everything else as a number.
fn quantity(text: Text, quantity: Quantity, unit: &str, divisor: Option<Quantity>) -> String {
    let whole = |it: Quantity| it.to_whole_units().and_then(|n| u64::try_from(n).ok());
    match (unit, whole(quantity), divisor.and_then(whole)) {
        ("second", Some(seconds), _) => duration::clock(seconds),
        ("share", Some(part), Some(full)) if part == full => count(text, 1),
        ("share", Some(part), Some(full)) => format!("{}/{}", count(text, part), count(text, full)),
        (_, Some(n), _) => count(text, n),
        (_, None, _) => decimal(text, &quantity.to_string(), 0),
    }
}

/// `$1.20/min`, `$0.01`, `$5 per 1,000`.
fn unit_price(
    text: Text,
    price: &str,
    divisor: Option<Quantity>,
    unit: &str,
    currency: Currency,
) -> String {
    let amount = Amount::price(text, price, currency).text().to_owned();
    let per = divisor.and_then(Quantity::to_whole_units).unwrap_or(1);
    match (unit, per) {
        ("second", 60) => text
            .say("price-per-minute")
            .with("price", amount)
            .to_string(),
        ("second", 3_600) => text.say("price-per-hour").with("price", amount).to_string(),
        ("second", 1) => text
            .say("price-per-second")
            .with("price", amount)
            .to_string(),
        (_, 1) | ("share", _) => amount,
        (_, n) => text
            .say("price-per-many")
            .with("price", amount)
            .with("count", count(text, u64::try_from(n).unwrap_or(0)))
            .to_string(),
    }
}

/// `POST /invoices/{id}/finalize`
pub(crate) async fn finalize_now(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<InvoiceId>,
) -> Result<Response> {
    let sale = Sale {
        organization: admin.organization,
        payer: PayerKind::Customer,
    };
    let now = app.clock.now();
    let mut seen = app.db.begin(&admin.actor).await?;
    head(&mut seen, &admin, id, now).await?;
    seen.rollback().await?;
    // Numbers are the platform's to give; the invoice was seen with the admin's own rights.
    let mut tx = app
        .db
        .begin(&Actor::Platform {
            user: admin.actor.user(),
        })
        .await?;
    let drafts = due::lock(&mut tx, sale, &[id], true).await?;
    if drafts.is_empty() {
        return Err(Error::conflict(
            "not_finalizable",
            "this invoice is finalized already, or some of what belongs on it is not rated yet",
        ));
    }
    let told = &mut Told::default();
    finalize::finalize(&mut tx, admin.organization, &drafts, told, now).await?;
    let deed = Deed::new(admin.organization, "invoice.finalized", "invoice", id);
    audit::record(&mut tx, &admin.actor, deed).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok(Redirect::to(&format!("{PATH}/{id}")).into_response())
}
