//! The page of alerts: look, see to them, release what is held.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::Value;
use tollbook_core::ids::{AlertId, FraudHoldId};

use super::api::{Filter, see_to};
use super::kind::AlertKind;
use super::read::{self, AlertView, Cursor};
use super::view::{AlertRow, AlertsPage, HeldCalls};
use crate::app::App;
use crate::error::Result;
use crate::fraud::{self, HoldView};
use crate::http::caller::OrgAdmin;
use crate::http::frame::Frame;
use crate::http::input::{Params, Path};
use crate::http::list::Paging;
use crate::pages::address::address;
use crate::pages::number::{count, decimal};
use crate::pages::text::Text;
use crate::pages::{Page, Pager, Section, Tab, reply};

const PATH: &str = "/alerts";

/// `GET /alerts`: those that are open, unless others are asked for.
pub(crate) async fn list_page(
    State(app): State<App>,
    frame: Frame,
    admin: OrgAdmin,
    headers: HeaderMap,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Response> {
    let organization = admin.organization;
    let state = match filter.state.as_str() {
        "all" => "",
        "" => "open",
        state => state,
    };
    let which = Filter {
        state: state.to_owned(),
        kind: filter.kind.clone(),
        customer_id: filter.customer_id,
    };
    let mut page = frame.page(Section::Alerts);
    let mut tx = app.db.begin(&admin.actor).await?;
    let after = paging.key::<Cursor>()?;
    let (which, rows) = (which.which()?, paging.rows());
    let found = read::alerts(&mut tx, organization, which, after, rows).await?;
    let list = paging.page(found, |alert| Cursor {
        last_seen_at: alert.last_seen_at,
        id: alert.id,
    })?;
    let held: Vec<String> = list
        .data
        .iter()
        .filter(|alert| alert.kind.0 == AlertKind::Fraud)
        .map(|alert| alert.subject.clone())
        .collect();
    let holds = fraud::by_destinations(&mut tx, organization, &held).await?;
    let holds: HashMap<&str, &HoldView> = holds
        .iter()
        .map(|hold| (hold.destination.as_str(), hold))
        .collect();
    page.alerts = read::open_count(&mut tx, organization).await?;
    let href = |cursor: &str| address(PATH, &[("state", &filter.state), ("cursor", cursor)]);
    let view = AlertsPage {
        tabs: tabs(&page, state),
        rows: list.data.iter().map(|it| row(&page, it, &holds)).collect(),
        pager: Pager {
            first: after.is_some().then(|| href("")),
            next: list.next_cursor.map(|cursor| href(&cursor)),
        },
        page,
    };
    Ok(reply::page_or_fragment(&view, &headers))
}

fn tabs(page: &Page, current: &str) -> Vec<Tab> {
    let tab = |state: &str, value: &str, label: String| Tab {
        label,
        href: address(PATH, &[("state", value)]),
        is_current: state == current,
    };
    vec![
        tab("open", "", page.say("alerts-tab-open").to_string()),
        tab(
            "acknowledged",
            "acknowledged",
            page.say("alerts-tab-acknowledged").to_string(),
        ),
        tab("", "all", page.say("alerts-tab-all").to_string()),
    ]
}

fn row(page: &Page, alert: &AlertView, holds: &HashMap<&str, &HoldView>) -> AlertRow {
    let text = page.text();
    let (severity, class) = match alert.severity.as_str() {
        "critical" => (text.say("severity-critical"), "bad"),
        "warning" => (text.say("severity-warning"), "warn"),
        _ => (text.say("severity-info"), "quiet"),
    };
    let is_fraud = alert.kind.0 == AlertKind::Fraud;
    let held = holds.get(alert.subject.as_str()).filter(|_| is_fraud);
    AlertRow {
        id: alert.id.to_string(),
        severity: severity.to_string(),
        class,
        title: title(text, alert),
        detail: detail(text, alert),
        customer: alert.customer_id.map(|id| {
            let name = alert.customer_name.clone().filter(|it| !it.is_empty());
            (
                name.unwrap_or_else(|| text.say("standing-prospect").to_string()),
                format!("/customers/{id}"),
            )
        }),
        count: (alert.count > 1).then(|| count(text, alert.count.unsigned_abs())),
        last_seen: page.viewer.stamp(alert.last_seen_at),
        is_open: alert.state == "open",
        held: held.map(|hold| HeldCalls {
            id: hold.id.to_string(),
            is_held: hold.state == "held",
        }),
    }
}

/// What an alert says, in one sentence.
pub(crate) fn title(text: Text, alert: &AlertView) -> String {
    let subject = &alert.subject;
    let number = |name: &str| {
        let plain = match alert.detail.get(name) {
            Some(Value::String(it)) => it.clone(),
            Some(it) => it.to_string(),
            None => String::new(),
        };
        decimal(text, &plain, 0)
    };
    match alert.kind.0 {
        AlertKind::Allowance => text
            .say("alert-allowance")
            .with("percent", number("percent"))
            .with("allowance", subject),
        AlertKind::Cap => text.say("alert-cap").with("percent", number("percent")),
        AlertKind::Wallet => text
            .say("alert-wallet")
            .with("left", number("left"))
            .with("currency", subject),
        AlertKind::Meter => text
            .say("alert-meter")
            .with("meter", subject)
            .with("used", number("used")),
        AlertKind::CapRefused => text.say("alert-cap-refused"),
        AlertKind::UsageRefused => text.say("alert-usage-refused").with("reason", subject),
        AlertKind::UsageParked => text.say("alert-usage-parked"),
        AlertKind::WebhookParked => text.say("alert-webhook-parked"),
        AlertKind::Fraud if subject.is_empty() => text.say("alert-fraud-all"),
        AlertKind::Fraud => text.say("alert-fraud").with("destination", subject),
    }
    .to_string()
}

fn detail(text: Text, alert: &AlertView) -> Option<String> {
    let field = |name: &str| alert.detail.get(name).and_then(Value::as_str);
    match alert.kind.0 {
        AlertKind::Allowance | AlertKind::Cap => {
            let (used, limit) = field("used").zip(field("limit"))?;
            let said = text
                .say("alert-used-of")
                .with("used", decimal(text, used, 0))
                .with("limit", decimal(text, limit, 0));
            Some(said.to_string())
        }
        AlertKind::Fraud => Some(
            match field("reason")? {
                "unusual_destination" => text.say("fraud-unusual-destination"),
                "calls_per_minute" => text.say("fraud-calls-per-minute"),
                "calls_per_hour" => text.say("fraud-calls-per-hour"),
                "concurrent_calls" => text.say("fraud-concurrent-calls"),
                _ => text.say("fraud-hourly-spend"),
            }
            .to_string(),
        ),
        AlertKind::Wallet | AlertKind::Meter | AlertKind::CapRefused => None,
        AlertKind::UsageRefused | AlertKind::UsageParked | AlertKind::WebhookParked => {
            field("example").map(str::to_owned)
        }
    }
}

fn back() -> Response {
    Redirect::to(PATH).into_response()
}

/// `POST /alerts/{id}/acknowledge`
pub(crate) async fn acknowledge(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<AlertId>,
) -> Result<Response> {
    see_to(&app, &admin.actor, admin.organization, id).await?;
    Ok(back())
}

/// `POST /alerts/holds/{id}/release`
pub(crate) async fn release(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<FraudHoldId>,
) -> Result<Response> {
    let now = app.clock.now();
    fraud::release(&app, &admin.actor, admin.organization, id, now).await?;
    Ok(back())
}

/// `POST /alerts/holds/{id}/block`
pub(crate) async fn block(
    State(app): State<App>,
    admin: OrgAdmin,
    Path(id): Path<FraudHoldId>,
) -> Result<Response> {
    let now = app.clock.now();
    fraud::block(&app, &admin.actor, admin.organization, id, now).await?;
    Ok(back())
}
