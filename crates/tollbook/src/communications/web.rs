//! The page of communications, and the same as CSV.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sqlx::PgConnection;
use tollbook_core::calls::{Direction as Way, MessageStatus};
use tollbook_core::ids::OrganizationId;
use tollbook_core::phone::Party as Other;

use super::csv;
use super::filter::Kind;
use super::list::{Item, What, items};
use super::query::Query;
use super::read::{Message, Voicemail};
use crate::app::App;
use crate::calls::view::Outcome;
use crate::calls::view::list::{
    CommunicationRow, CommunicationsFilter, CommunicationsPage, Kind as KindView,
};
use crate::calls::{self, Look};
use crate::error::Result;
use crate::http::caller::OrgMember;
use crate::http::frame::Frame;
use crate::http::input::Params;
use crate::http::list::Paging;
use crate::pages::address::address;
use crate::pages::phone::Phone;
use crate::pages::text::Text;
use crate::pages::{Choice, Page, Pager, Party, Price, Section, Tab, reply};

/// Characters of a message or transcript in the list.
const EXCERPT_MAX: usize = 160;
const PATH: &str = "/communications";

/// `GET /communications`
pub(crate) async fn page(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    Params(query): Params<Query>,
) -> Result<Response> {
    let OrgMember {
        actor,
        organization,
    } = member;
    let page = frame.page(Section::Communications);
    let mut tx = app.db.begin(&actor).await?;
    let filter = query
        .filter(&mut tx, organization, &page.viewer.zone, None)
        .await?;
    let after = paging.key()?;
    let found = items(
        &mut tx,
        &app,
        &actor,
        organization,
        &filter,
        after,
        paging.rows(),
    )
    .await?;
    let list = paging.page(found, |item| item.place)?;
    let look = Look {
        viewer: page.viewer.clone(),
        country: calls::country(&mut tx, organization).await?,
        csrf: String::new(),
    };
    let numbers = numbers(&mut tx, organization, &look, &query).await?;
    let view = CommunicationsPage {
        tabs: tabs(&page, &query),
        filter: form(&page, &query, numbers),
        rows: list.data.iter().map(|item| row(&look, item)).collect(),
        pager: Pager {
            first: after.is_some().then(|| here(&query, &query.tab, "")),
            next: list
                .next_cursor
                .map(|cursor| here(&query, &query.tab, &cursor)),
        },
        csv_href: with_query(&format!("{PATH}.csv"), &query, &query.tab, ""),
        page,
    };
    Ok(reply::page_or_fragment(&view, &headers))
}

/// `GET /communications.csv`
pub(crate) async fn csv(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    Params(query): Params<Query>,
) -> Result<Response> {
    let viewer = frame.page(Section::None).viewer;
    csv::stream(&app, member, viewer, &query, None).await
}

/// The list with another tab or from another place, filters kept.
fn here(query: &Query, tab: &str, cursor: &str) -> String {
    with_query(PATH, query, tab, cursor)
}

fn with_query(path: &str, query: &Query, tab: &str, cursor: &str) -> String {
    let pairs = [
        ("tab", tab),
        ("q", &query.q),
        ("direction", &query.direction),
        ("outcome", &query.outcome),
        ("number", &query.number),
        ("customerId", &query.customer_id),
        ("from", &query.from),
        ("to", &query.to),
        ("cursor", cursor),
    ];
    address(path, &pairs)
}

fn tabs(page: &Page, query: &Query) -> Vec<Tab> {
    let tab = |value: &str, label: crate::pages::text::Message| Tab {
        label: label.to_string(),
        href: here(query, value, ""),
        is_current: query.tab == value,
    };
    vec![
        tab("", page.say("tab-all")),
        tab("calls", page.say("tab-calls")),
        tab("messages", page.say("tab-messages")),
        tab("voicemails", page.say("tab-voicemails")),
    ]
}

fn form(page: &Page, query: &Query, numbers: Vec<Choice>) -> CommunicationsFilter {
    let choice = |current: &str, value: &str, label: &'static str| Choice {
        value: value.to_owned(),
        label: page.say(label).to_string(),
        is_current: current == value,
    };
    let direction = |value, label| choice(&query.direction, value, label);
    let outcome = |value, label| choice(&query.outcome, value, label);
    CommunicationsFilter {
        q: query.q.clone(),
        tab: query.tab.clone(),
        from: query.from.clone(),
        to: query.to.clone(),
        directions: vec![
            direction("", "filter-any"),
            direction("incoming", "direction-inbound"),
            direction("outgoing", "direction-outbound"),
        ],
        outcomes: vec![
            outcome("", "filter-any"),
            outcome("completed", "outcome-completed"),
            outcome("missed", "outcome-missed"),
            outcome("voicemail", "outcome-voicemail"),
            outcome("unsuccessful", "outcome-failed"),
        ],
        numbers,
    }
}

/// The numbers to choose from.
async fn numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    look: &Look,
    query: &Query,
) -> Result<Vec<Choice>> {
    let rows = sqlx::query!(
        "select id, e164, label from phone_numbers where organization_id = $1 order by label, e164 limit 500",
        organization.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let any = Choice {
        value: String::new(),
        label: look.viewer.text.say("filter-any").to_string(),
        is_current: query.number.is_empty(),
    };
    let numbers = rows.into_iter().map(|row| {
        let value = row.id.to_string();
        Choice {
            label: if row.label.is_empty() {
                look.phone(&row.e164).text().to_owned()
            } else {
                row.label
            },
            is_current: query.number == value,
            value,
        }
    });
    Ok(std::iter::once(any).chain(numbers).collect())
}

/// A communication as a row.
pub(crate) fn row(look: &Look, item: &Item) -> CommunicationRow {
    match &item.what {
        What::Call {
            moment,
            has_recording,
        } => CommunicationRow {
            id: item.place.id.to_string(),
            href: format!("/calls/{}", item.place.id),
            kind: KindView::Call,
            direction: calls::direction(moment.call.direction),
            with: calls::party(look, &moment.call),
            line: line(look, moment.call.line_label.as_deref(), moment.call.line()),
            agent: calls::agent_of(&moment.call),
            at: look.viewer.stamp(item.place.at),
            outcome: calls::outcome(&moment.call),
            length: calls::length(moment.call.billable_seconds),
            excerpt: None,
            has_recording: *has_recording,
            price: calls::price_of(look, moment),
        },
        What::Message(message) => message_row(look, item, message),
        What::Voicemail(voicemail) => voicemail_row(look, item, voicemail),
    }
}

fn message_row(look: &Look, item: &Item, message: &Message) -> CommunicationRow {
    let ours = match message.direction {
        Way::Incoming => message.to.first().map_or("", String::as_str),
        Way::Outgoing => &message.from,
    };
    CommunicationRow {
        id: item.place.id.to_string(),
        href: format!("{PATH}?tab=messages#row-{}", item.place.id),
        kind: KindView::Message,
        direction: calls::direction(message.direction),
        with: other(
            look,
            &message.with,
            message.customer_id.map(|id| id.to_string()),
            message.customer_name.as_deref(),
        ),
        line: line(look, None, ours),
        agent: None,
        at: look.viewer.stamp(item.place.at),
        outcome: match message.status {
            MessageStatus::Queued | MessageStatus::Sent => Outcome::Sent,
            MessageStatus::Delivered => Outcome::Delivered,
            MessageStatus::Received => Outcome::Received,
            MessageStatus::Undelivered | MessageStatus::Failed => Outcome::Failed,
        },
        length: String::new(),
        excerpt: excerpt(&message.text),
        has_recording: false,
        price: Price::Hidden,
    }
}

fn voicemail_row(look: &Look, item: &Item, voicemail: &Voicemail) -> CommunicationRow {
    CommunicationRow {
        id: item.place.id.to_string(),
        href: format!("/calls/{}", voicemail.call_id),
        kind: KindView::Voicemail,
        direction: calls::direction(Way::Incoming),
        with: other(
            look,
            &voicemail.with,
            voicemail.customer_id.map(|id| id.to_string()),
            voicemail.customer_name.as_deref(),
        ),
        line: line(look, None, &voicemail.to),
        agent: None,
        at: look.viewer.stamp(item.place.at),
        outcome: Outcome::Voicemail,
        length: voicemail
            .duration_seconds
            .map(calls::length)
            .unwrap_or_default(),
        excerpt: voicemail.transcript.as_deref().and_then(excerpt),
        has_recording: false,
        price: Price::Hidden,
    }
}

fn other(look: &Look, party: &str, customer: Option<String>, name: Option<&str>) -> Party {
    Party {
        name: name.map(str::to_owned),
        company: None,
        href: customer.map(|id| format!("/customers/{id}")),
        phone: Phone::of(&Other::read(party), &look.country),
    }
}

fn line(look: &Look, label: Option<&str>, number: &str) -> String {
    label.map_or_else(|| look.phone(number).text().to_owned(), str::to_owned)
}

fn excerpt(text: &str) -> Option<String> {
    let text = text.trim();
    let short: String = text.chars().take(EXCERPT_MAX).collect();
    let mark = if short.len() < text.len() { " …" } else { "" };
    (!short.is_empty()).then(|| format!("{short}{mark}"))
}

/// The kind's name, for a column.
pub(super) fn kind_label(text: Text, kind: Kind) -> String {
    match kind {
        Kind::Call => KindView::Call,
        Kind::Message => KindView::Message,
        Kind::Voicemail => KindView::Voicemail,
    }
    .label(text)
}
