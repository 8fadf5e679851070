//! The pages of customers: the list, one customer, and notes.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde::Deserialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CallId, CustomerId, OrganizationId};
use tollbook_core::phone::E164;

use super::list::{self, Place, Which};
use super::page::{self, OrganizationFacts};
use super::reach;
use super::sql;
use super::summary::{Summary, summaries};
use super::view::{CustomerPage, CustomerRow, CustomersPage, Linking, Standing};
use crate::app::App;
use crate::calls::{Look, hours_left};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::caller::OrgMember;
use crate::http::frame::Frame;
use crate::http::input::{Form, Params, Path};
use crate::http::list::Paging;
use crate::pages::address::address;
use crate::pages::number::Amount;
use crate::pages::phone::Phone;
use crate::pages::text::Message;
use crate::pages::{Page, Pager, Section, Tab, reply};

const PATH: &str = "/customers";

/// The filter, as the address has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Query {
    /// `subscribers`, `prospects`, or nothing for all.
    #[serde(default)]
    tab: String,
    #[serde(default)]
    q: String,
    /// A number that is to be given to a customer, and the call that it was seen on.
    link: Option<E164>,
    call: Option<CallId>,
}

impl Query {
    /// What is typed is looked for among all.
    fn which(&self) -> Which {
        match self.tab.as_str() {
            "subscribers" if self.q.trim().is_empty() => Which::Subscribers,
            "prospects" if self.q.trim().is_empty() => Which::Prospects,
            _ => Which::All,
        }
    }

    fn href(&self, cursor: &str) -> String {
        let link = self.link.as_ref().map(ToString::to_string);
        let call = self.call.as_ref().map(ToString::to_string);
        let pairs = [
            ("tab", self.tab.as_str()),
            ("q", &self.q),
            ("link", link.as_deref().unwrap_or_default()),
            ("call", call.as_deref().unwrap_or_default()),
            ("cursor", cursor),
        ];
        address(PATH, &pairs)
    }
}

/// `GET /customers`
pub(crate) async fn list_page(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    Params(query): Params<Query>,
) -> Result<Response> {
    let organization = member.organization;
    let page = frame.page(Section::Customers);
    let mut tx = app.db.begin(&member.actor).await?;
    let after = paging.key::<Place>()?;
    let (which, rows) = (query.which(), paging.rows());
    let places = list::places(&mut tx, organization, which, &query.q, after.as_ref(), rows).await?;
    let list = paging.page(places, Clone::clone)?;
    let facts = page::organization(&mut tx, organization).await?;
    let look = page::look(&page, &facts);
    let ids: Vec<CustomerId> = list.data.iter().map(|it| it.id).collect();
    let rows = customer_rows(&mut tx, organization, &look, &ids).await?;
    let view = CustomersPage {
        tabs: tabs(&page, which),
        q: query.q.clone(),
        tab: query.tab.clone(),
        rows,
        pager: Pager {
            first: after.is_some().then(|| query.href("")),
            next: list.next_cursor.map(|cursor| query.href(&cursor)),
        },
        linking: query
            .link
            .as_ref()
            .zip(query.call)
            .map(|(number, call)| Linking {
                call_id: call.to_string(),
                phone: Phone::number(number, &facts.country),
            }),
        page,
    };
    Ok(reply::page_or_fragment(&view, &headers))
}

fn tabs(page: &Page, current: Which) -> Vec<Tab> {
    let tab = |which: Which, value: &str, label: Message| Tab {
        label: label.to_string(),
        href: address(PATH, &[("tab", value)]),
        is_current: which == current,
    };
    vec![
        tab(Which::All, "", page.say("customers-tab-all")),
        tab(
            Which::Subscribers,
            "subscribers",
            page.say("customers-tab-subscribers"),
        ),
        tab(
            Which::Prospects,
            "prospects",
            page.say("customers-tab-prospects"),
        ),
    ]
}

async fn customer_rows(
    tx: &mut Tx,
    organization: OrganizationId,
    look: &Look,
    ids: &[CustomerId],
) -> Result<Vec<CustomerRow>> {
    let mut known = summaries(tx, organization, ids, look.viewer.now).await?;
    let mut open = sql::card::open_invoices(tx, organization, ids, 0).await?;
    let last: HashMap<CustomerId, _> = sql::card::recent_calls(tx, organization, ids, 1).await?;
    let rows = ids.iter().filter_map(|id| {
        let summary = known.remove(id)?;
        let owed = open.remove(id).and_then(|it| it.totals.first().copied());
        let last_call = last.get(id).and_then(|calls| calls.first());
        Some(CustomerRow {
            id: id.to_string(),
            href: format!("{PATH}/{id}"),
            name: label(look, &summary),
            company: None,
            standing: standing(&summary),
            plan: summary.subscription.as_ref().map(|it| it.plan.clone()),
            phones: phones(look, &summary.numbers),
            hours: summary.hours.map(|hours| hours_left(look, hours)),
            open: owed.map(|owed| Amount::of(look.viewer.text, owed)),
            last_call: last_call.map(|call| look.viewer.stamp(call.started_at)),
        })
    });
    Ok(rows.collect())
}

fn phones(look: &Look, numbers: &[E164]) -> Vec<Phone> {
    let phone = |number: &E164| Phone::number(number, &look.country);
    numbers.iter().map(phone).collect()
}

/// The name, or else the number as people read it.
pub(super) fn label(look: &Look, summary: &Summary) -> String {
    let number = || {
        let number = summary.numbers.first()?;
        Some(number.display_in(&look.country))
    };
    let nobody = || look.viewer.text.say("standing-prospect").to_string();
    summary.name.clone().or_else(number).unwrap_or_else(nobody)
}

pub(super) fn standing(summary: &Summary) -> Standing {
    match &summary.subscription {
        Some(contract) if contract.is_in_force => Standing::Subscriber,
        Some(_) => Standing::Expired,
        None if summary.is_prospect => Standing::Prospect,
        None => Standing::PayPerCall,
    }
}

/// `GET /customers/{id}`
pub(crate) async fn customer_page(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    Path(id): Path<CustomerId>,
) -> Result<Response> {
    let view = render(&app, &frame, &member.actor, member.organization, id).await?;
    Ok(reply::page(StatusCode::OK, &view))
}

async fn render(
    app: &App,
    frame: &Frame,
    actor: &Actor,
    organization: OrganizationId,
    id: CustomerId,
) -> Result<CustomerPage> {
    let mut tx = app.db.begin(actor).await?;
    let page = frame.page(Section::Customers);
    page::customer(&mut tx, app, actor, organization, id, page).await
}

/// A note, as a page sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct NoteForm {
    #[serde(default)]
    text: String,
}

/// `POST /customers/{id}/notes`
pub(crate) async fn post_note(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    Path(id): Path<CustomerId>,
    Form(form): Form<NoteForm>,
) -> Result<Response> {
    let OrgMember {
        actor,
        organization,
    } = member;
    let mut tx = app.db.begin(&actor).await?;
    match reach::add_note(&mut tx, organization, id, &form.text).await {
        Ok(_) => {
            tx.commit().await?;
            Ok(Redirect::to(&format!("{PATH}/{id}#notes")).into_response())
        }
        Err(Error::Invalid(errors)) => {
            drop(tx);
            let mut view = render(&app, &frame, &actor, organization, id).await?;
            let why = errors.into_iter().map(|it| it.message).next();
            view.refused_note = Some((form.text, why.unwrap_or_default()));
            Ok(reply::page(StatusCode::UNPROCESSABLE_ENTITY, &view))
        }
        Err(error) => Err(error),
    }
}

impl OrganizationFacts {
    /// Whether amounts of a currency come first.
    pub(super) fn is_own(&self, currency: tollbook_core::money::Currency) -> bool {
        self.currency == currency
    }
}
