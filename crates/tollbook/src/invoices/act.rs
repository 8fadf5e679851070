//! Pays, credits or withdraws an invoice by hand. The form is tried in a transaction that is rolled back, which tells what
//! it changes; it is done when that has been confirmed and nothing has changed since.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::civil::Date;
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::InvoiceId;
use tollbook_core::invoices::Standing;
use tollbook_core::money::{Money, Price};
use tollbook_core::payer::Payer;

use super::act_view::{Act, ActPage, Changed, Effect, Field};
use super::read::Head;
use super::void;
use super::web::{PATH, head};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::credit_notes;
use crate::db::Tx;
use crate::error::{Error, FieldError, Result};
use crate::http::caller::OrgAdmin;
use crate::http::frame::Frame;
use crate::http::input::{Form, Path};
use crate::organizations;
use crate::pages::number::Amount;
use crate::pages::{Choice, Page, Section, reply};
use crate::payments::{self, Channel};

/// The form as it was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Fields {
    channel: Option<Channel>,
    amount: String,
    reference: String,
    received_on: String,
    reason: String,
    /// What stood when the effect was shown; empty before that.
    seen: String,
}

/// `GET /invoices/{id}/{act}`
pub(crate) async fn form(
    State(app): State<App>,
    frame: Frame,
    admin: OrgAdmin,
    Path((id, act)): Path<(InvoiceId, Act)>,
) -> Result<Response> {
    let page = frame.page(Section::Invoices);
    let mut tx = app.db.begin(&admin.actor).await?;
    let head = finalized(&mut tx, &admin, id, page.viewer.now).await?;
    let fields = Fields {
        amount: match act {
            Act::Payment => head.open.amount(),
            Act::CreditNote | Act::Void => String::new(),
        },
        ..Fields::default()
    };
    let view = fill(page, act, &head, &fields, &[]);
    Ok(reply::page(StatusCode::OK, &view))
}

async fn finalized(
    tx: &mut Tx,
    admin: &OrgAdmin,
    id: InvoiceId,
    now: jiff::Timestamp,
) -> Result<Head> {
    let head = head(tx, admin, id, now).await?;
    if head.number.is_none() {
        return Err(Error::conflict(
            "draft",
            "this invoice is not finalized yet",
        ));
    }
    Ok(head)
}

/// `POST /invoices/{id}/{act}`
pub(crate) async fn post(
    State(app): State<App>,
    frame: Frame,
    admin: OrgAdmin,
    Path((id, act)): Path<(InvoiceId, Act)>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let page = frame.page(Section::Invoices);
    let now = app.clock.now();
    let mut seen = app.db.begin(&admin.actor).await?;
    let head = finalized(&mut seen, &admin, id, now).await?;
    seen.rollback().await?;
    // Numbers of credit notes are the platform's to give; the invoice was seen with the admin's own rights.
    let actor = match act {
        Act::CreditNote => Actor::Platform {
            user: admin.actor.user(),
        },
        Act::Payment | Act::Void => admin.actor,
    };
    let mut tx = app.db.begin(&actor).await?;
    let payer = head.customer.map_or(Payer::Organization, Payer::Customer);
    payments::hold_payer(&mut tx, admin.organization, payer).await?;
    let before = Figures::read(&mut tx, &admin, payer, id, now).await?;
    let done = perform(&mut tx, &admin, act, &head, &fields, now).await;
    let (status, errors, problem) = match done {
        Ok(()) => {
            let after = Figures::read(&mut tx, &admin, payer, id, now).await?;
            if fields.seen == before.seen() {
                tx.commit().await?;
                app.wake.live.notify_one();
                return Ok(Redirect::to(&format!("{PATH}/{id}")).into_response());
            }
            tx.rollback().await?;
            let problem = (!fields.seen.is_empty()).then(|| page.say("act-changed").to_string());
            let mut view = fill(page, act, &head, &fields, &[]);
            view.problem = problem;
            view.effect = Some(effect(&view.page, act, &head, &fields, &before, &after));
            return Ok(reply::page(StatusCode::OK, &view));
        }
        Err(Error::Invalid(errors)) => (StatusCode::UNPROCESSABLE_ENTITY, errors, None),
        Err(error @ Error::Conflict { .. }) => {
            (StatusCode::CONFLICT, Vec::new(), Some(error.to_string()))
        }
        Err(error) => return Err(error),
    };
    let mut view = fill(page, act, &head, &fields, &errors);
    view.problem = problem;
    Ok(reply::page(status, &view))
}

/// What an act may change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Figures {
    state: String,
    open: Money,
    paid: Money,
    credited: Money,
    /// The payer's, beyond all invoices.
    credit: Money,
}

impl Figures {
    async fn read(
        tx: &mut Tx,
        admin: &OrgAdmin,
        payer: Payer,
        id: InvoiceId,
        now: jiff::Timestamp,
    ) -> Result<Self> {
        let head = head(tx, admin, id, now).await?;
        let credit = payments::credit(tx, admin.organization, payer, head.currency).await?;
        let standing = Standing {
            total: head.total,
            paid: head.paid,
            credited: head.credited,
        };
        let open = match head.state.as_str() {
            "void" => Money::zero(head.currency),
            _ => standing
                .open()
                .map_err(|e| Error::Internal(format!("invoice {id}: {e}")))?,
        };
        Ok(Self {
            state: head.state,
            open,
            paid: head.paid,
            credited: head.credited,
            credit,
        })
    }

    /// As the confirmation carries it: what it changes has not changed since.
    fn seen(&self) -> String {
        let amounts = [self.open, self.paid, self.credited, self.credit];
        let amounts = amounts.map(|it| it.minor().to_string());
        format!("{} {}", self.state, amounts.join(" "))
    }
}

async fn perform(
    tx: &mut Tx,
    admin: &OrgAdmin,
    act: Act,
    head: &Head,
    fields: &Fields,
    now: jiff::Timestamp,
) -> Result<()> {
    let organization = admin.organization;
    let payer = head.customer.map_or(Payer::Organization, Payer::Customer);
    match act {
        Act::Payment => {
            let zone = organizations::business(tx, organization).await?.zone;
            let new = payments::NewPayment {
                organization,
                payer,
                channel: fields.channel.unwrap_or(Channel::Check),
                amount: payments::positive("amount", amount(fields)?, head.currency)?,
                reference: payments::reference(&fields.reference)?,
                received_at: payments::received_at(&zone, day(fields)?, now)?,
                invoices: Some(vec![payments::Named {
                    invoice: head.id,
                    amount: None,
                }]),
            };
            let id = payments::record(tx, &new).await?;
            let deed = Deed::new(organization, "payment.recorded", "payment", id);
            audit::record(tx, &admin.actor, deed).await
        }
        Act::CreditNote => {
            let new = credit_notes::NewNote {
                organization,
                payer,
                invoice: head.id,
                reason: reason(fields)?,
                what: if fields.amount.trim().is_empty() {
                    credit_notes::What::All
                } else {
                    credit_notes::What::Amount(amount(fields)?)
                },
            };
            let id = credit_notes::issue(tx, &new, now).await?;
            let deed = Deed::new(organization, "credit_note.issued", "credit_note", id);
            audit::record(tx, &admin.actor, deed).await
        }
        Act::Void => {
            let reason = reason(fields)?;
            void::void(tx, organization, payer, head.id, &reason, now).await?;
            let deed = Deed::new(organization, "invoice.voided", "invoice", head.id);
            audit::record(tx, &admin.actor, deed).await
        }
    }
}

fn amount(fields: &Fields) -> Result<Price> {
    let amount = fields.amount.trim().parse::<Price>();
    amount.map_err(|e| Error::invalid("amount", e.to_string()))
}

fn day(fields: &Fields) -> Result<Option<Date>> {
    let day = fields.received_on.trim();
    if day.is_empty() {
        return Ok(None);
    }
    let day = day.parse::<Date>();
    day.map(Some)
        .map_err(|_| Error::invalid("receivedOn", "is not a day"))
}

fn reason(fields: &Fields) -> Result<String> {
    let reason = crate::http::input::ShortText::try_from(fields.reason.clone());
    reason
        .map(crate::http::input::ShortText::into_inner)
        .map_err(|message| Error::invalid("reason", message))
}

fn fill(page: Page, act: Act, head: &Head, fields: &Fields, errors: &[FieldError]) -> ActPage {
    let problem = |name: &str| {
        let is_it =
            |field: &str| field == name || field.starts_with("invoices") && name == "amount";
        let error = errors.iter().find(|it| is_it(&it.field))?;
        Some(error.message.clone())
    };
    let field = |name: &str, value: &str| Field {
        value: value.to_owned(),
        problem: problem(name),
    };
    let chosen = fields.channel.unwrap_or(Channel::Check);
    let channel = |it: Channel| Choice {
        value: it.as_str().to_owned(),
        label: channel_label(&page, it),
        is_current: chosen == it,
    };
    ActPage {
        act,
        number: head.number.clone().unwrap_or_default(),
        href: format!("{PATH}/{}", head.id),
        currency: head.currency.code().to_owned(),
        channels: Channel::ALL.map(channel).into(),
        amount: field("amount", &fields.amount),
        reference: field("reference", &fields.reference),
        received_on: field("receivedOn", &fields.received_on),
        reason: field("reason", &fields.reason),
        problem: None,
        effect: None,
        page,
    }
}

fn channel_label(page: &Page, channel: Channel) -> String {
    match channel {
        Channel::Check => page.say("channel-check"),
        Channel::Transfer => page.say("channel-transfer"),
        Channel::Cash => page.say("channel-cash"),
        Channel::Other => page.say("channel-other"),
        Channel::Credit => page.say("channel-credit"),
    }
    .to_string()
}

fn effect(
    page: &Page,
    act: Act,
    head: &Head,
    fields: &Fields,
    before: &Figures,
    after: &Figures,
) -> Effect {
    let changed = |label: String, was: Money, is: Money| Changed {
        label,
        before: Amount::of(page.text(), was),
        after: Amount::of(page.text(), is),
    };
    let mut rows = vec![changed(
        page.say("invoice-amount-open").to_string(),
        before.open,
        after.open,
    )];
    for (label, was, is) in [
        (page.say("invoice-payments"), before.paid, after.paid),
        (
            page.say("invoice-credited"),
            before.credited,
            after.credited,
        ),
        (
            page.say("act-credit")
                .with("customer", head.customer_name.as_str()),
            before.credit,
            after.credit,
        ),
    ] {
        if was != is {
            rows.push(changed(label.to_string(), was, is));
        }
    }
    let note = match act {
        Act::Void => Some(page.say("act-void-note").to_string()),
        Act::Payment | Act::CreditNote => None,
    };
    let channel = fields.channel.map_or("", Channel::as_str);
    Effect {
        rows,
        note,
        fields: [
            ("channel", channel),
            ("amount", &fields.amount),
            ("reference", &fields.reference),
            ("received_on", &fields.received_on),
            ("reason", &fields.reason),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name, value.to_owned()))
        .chain([("seen", before.seen())])
        .collect(),
    }
}
