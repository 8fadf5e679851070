//! Corrects a call by hand. The form is tried in a transaction that is rolled back, which tells what it changes; it is done when
//! that has been confirmed and comes to the same.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use tollbook_core::ids::{CallId, CustomerId};
use tollbook_core::money::Currency;

use super::act::{Act, Waived};
use super::api::{Corrected, Mode, correct};
use super::effect::CustomerEffect;
use super::read;
use super::view::{CorrectPage, EffectView, PageAct};
use crate::app::App;
use crate::calls::call_party;
use crate::customers;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::caller::OrgAdmin;
use crate::http::frame::Frame;
use crate::http::input::{Form, Params, Path, ShortText};
use crate::invoices::Changed as Difference;
use crate::invoices::act_view::{Changed, Field};
use crate::pages::number::Amount;
use crate::pages::{Choice, Page, Section, reply};

/// Customers that are offered at once.
const FOUND_MAX: i64 = 20;

/// The form as it was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    /// What was looked for.
    q: String,
    /// Whose call it is.
    customer: String,
    reason: String,
    /// What it came to when that was shown; empty before.
    seen: String,
}

/// `GET /calls/{id}/{act}`
pub(crate) async fn form(
    State(app): State<App>,
    frame: Frame,
    admin: OrgAdmin,
    Path((call, act)): Path<(CallId, PageAct)>,
    Params(fields): Params<Fields>,
) -> Result<Response> {
    let page = frame.page(Section::Communications);
    let mut tx = app.db.begin(&admin.actor).await?;
    let view = fill(&mut tx, &app, &admin, page, (call, act), &fields).await?;
    Ok(reply::page(StatusCode::OK, &view))
}

/// `POST /calls/{id}/{act}`
pub(crate) async fn post(
    State(app): State<App>,
    frame: Frame,
    admin: OrgAdmin,
    Path((call, act)): Path<(CallId, PageAct)>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let page = frame.page(Section::Communications);
    let mut tx = app.db.begin(&admin.actor).await?;
    let mut view = fill(&mut tx, &app, &admin, page, (call, act), &fields).await?;
    let wanted = wanted(&mut tx, &admin, &mut view, call, &fields).await;
    tx.rollback().await?;
    let (wanted, reason) = match wanted {
        Ok(Some(wanted)) => wanted,
        Ok(None) => return Ok(reply::page(StatusCode::UNPROCESSABLE_ENTITY, &view)),
        Err(error) => return refused(view, error),
    };
    let mode = Mode::Confirm(fields.seen.clone());
    match correct(&app, &admin, &wanted, reason, mode).await {
        Ok(Corrected { effect: None, .. }) => {
            Ok(Redirect::to(&format!("/calls/{call}")).into_response())
        }
        Ok(tried) => {
            if !fields.seen.is_empty() {
                view.problem = Some(view.page.say("act-changed").to_string());
            }
            view.effect = Some(effect(&view.page, &tried, &fields)?);
            Ok(reply::page(StatusCode::OK, &view))
        }
        Err(error) => refused(view, error),
    }
}

fn refused(mut view: CorrectPage, error: Error) -> Result<Response> {
    let Error::Conflict { .. } = error else {
        return Err(error);
    };
    view.problem = Some(error.to_string());
    Ok(reply::page(StatusCode::CONFLICT, &view))
}

/// What is asked for, and why; `None` where the form says what is missing.
async fn wanted(
    tx: &mut Tx,
    admin: &OrgAdmin,
    view: &mut CorrectPage,
    call: CallId,
    fields: &Fields,
) -> Result<Option<(Act, String)>> {
    let customer: Option<CustomerId> = fields.customer.parse().ok();
    let act = match (view.act, customer) {
        (PageAct::Move, None) => {
            view.customer_problem = Some(view.page.say("correct-nobody").to_string());
            None
        }
        (PageAct::Move, Some(customer)) => Some(Act::MoveCall { call, customer }),
        (PageAct::Waive, _) => Some(Act::Waive(Waived::Call(call))),
        (PageAct::Bill, _) => {
            let waiver = read::waiver_of(tx, admin.organization, call).await?;
            let waiver = waiver.ok_or_else(|| {
                let detail = "this call is billed already";
                Error::conflict("not_waived", detail)
            })?;
            Some(Act::Undo(waiver))
        }
    };
    let reason = match ShortText::try_from(fields.reason.clone()) {
        Ok(reason) => Some(reason.into_inner()),
        Err(message) => {
            view.reason.problem = Some(message);
            None
        }
    };
    Ok(act.zip(reason))
}

async fn fill(
    tx: &mut Tx,
    app: &App,
    admin: &OrgAdmin,
    page: Page,
    (call, act): (CallId, PageAct),
    fields: &Fields,
) -> Result<CorrectPage> {
    let organization = admin.organization;
    let with = call_party(tx, app, &admin.actor, organization, call, &page).await?;
    let customers = if act == PageAct::Move {
        let query = fields.q.trim();
        let found = customers::find(tx, organization, query, FOUND_MAX).await?;
        let named = found.into_iter().filter(|it| !it.name.is_empty());
        named
            .map(|it| Choice {
                is_current: it.id.to_string() == fields.customer,
                value: it.id.to_string(),
                label: match it.phone_numbers.first() {
                    Some(number) => format!("{}, {number}", it.name),
                    None => it.name,
                },
            })
            .collect()
    } else {
        Vec::new()
    };
    Ok(CorrectPage {
        act,
        with,
        href: format!("/calls/{call}"),
        query: fields.q.trim().to_owned(),
        customers,
        customer_problem: None,
        reason: Field {
            value: fields.reason.clone(),
            problem: None,
        },
        problem: None,
        effect: None,
        page,
    })
}

fn effect(page: &Page, tried: &Corrected, fields: &Fields) -> Result<EffectView> {
    let mut rows = Vec::new();
    for customer in tried.effect.iter().flatten() {
        rows.extend(changes(page, customer)?);
    }
    let notes = tried.correction.credit_notes.iter().map(|note| {
        page.say("correct-note")
            .with("number", note.invoice_number.as_str())
            .with("amount", format!("{} {}", note.amount, note.currency))
            .to_string()
    });
    let sent = [
        ("q", fields.q.clone()),
        ("customer", fields.customer.clone()),
        ("reason", fields.reason.clone()),
        ("seen", tried.seen()),
    ];
    Ok(EffectView {
        rows,
        notes: notes.collect(),
        fields: sent.into_iter().filter(|(_, it)| !it.is_empty()).collect(),
    })
}

fn changes(page: &Page, customer: &CustomerEffect) -> Result<Vec<Changed>> {
    let name = match customer.name.as_str() {
        "" => page.say("correct-nameless").to_string(),
        name => name.to_owned(),
    };
    let row = |label: String, it: &Difference| {
        let currency = it.currency.parse::<Currency>();
        let currency = currency.map_err(|e| Error::Internal(format!("an effect: {e}")))?;
        Ok(Changed {
            label,
            before: Amount::price(page.text(), &it.before, currency),
            after: Amount::price(page.text(), &it.after, currency),
        })
    };
    let name = name.as_str();
    let of_drafts = page.say("correct-drafts").with("customer", name);
    let of_owed = page.say("correct-owed").with("customer", name);
    let of_credit = page.say("act-credit").with("customer", name);
    let changed = customer
        .drafts
        .totals
        .iter()
        .filter(|it| it.before != it.after);
    let drafts = changed.map(|it| row(of_drafts.to_string(), it));
    let owed = customer.owed.iter().map(|it| row(of_owed.to_string(), it));
    let credit = customer
        .credit
        .iter()
        .map(|it| row(of_credit.to_string(), it));
    drafts.chain(owed).chain(credit).collect()
}
