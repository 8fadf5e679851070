//! The live page and the page of a call.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use tollbook_core::ids::CallId;

use super::api::WhoseInput;
use super::attribute::attribute;
use super::board;
use super::elements::{Element, Look};
use super::page::call_page;
use super::view::live::LivePage;
use crate::alerts;
use crate::alerts::view::AlertsNotice;
use crate::app::App;
use crate::error::Result;
use crate::http::caller::OrgMember;
use crate::http::frame::Frame;
use crate::http::input::{Form, Path};
use crate::live;
use crate::pages::address::address;
use crate::pages::{Section, reply};

/// `GET /`
pub(crate) async fn live_page(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    headers: HeaderMap,
) -> Result<Response> {
    let OrgMember {
        actor,
        organization,
    } = member;
    let mut page = frame.page(Section::Live);
    let mut tx = app.db.begin(&actor).await?;
    // What happens while the page is made and sent is heard on the stream, which goes on from here.
    let mark = live::present(&mut tx).await?;
    let (viewer, csrf) = (page.viewer.clone(), page.csrf.clone());
    let mut country = String::new();
    let elements = board::elements(&mut tx, &app, &actor, organization, |moments| {
        country.clone_from(&moments.country);
        Look {
            viewer: viewer.clone(),
            country: moments.country.clone(),
            csrf,
        }
    })
    .await?;
    let look = Look {
        viewer: viewer.clone(),
        country,
        csrf: String::new(),
    };
    let team = board::team(&mut tx, organization).await?;
    let start = board::day_start(&viewer.zone, viewer.now)?;
    let day = board::day(&mut tx, &actor, organization, start, viewer.now).await?;
    let has_numbers = board::has_numbers(&mut tx, organization).await?;
    let alerts = if actor.administers(organization) {
        page.alerts = alerts::open_count(&mut tx, organization).await?;
        Some(AlertsNotice {
            text: page.text(),
            count: page.alerts,
        })
    } else {
        None
    };
    if let Some(account) = &mut page.account {
        account.stream = address(&account.stream, &[("after", &mark.to_string())]);
    }
    let mut view = LivePage {
        tiles: board::tiles(&look, &day, &team),
        agents: team.iter().map(|one| board::agent(&look, one)).collect(),
        ringing: Vec::new(),
        talking: Vec::new(),
        ended: Vec::new(),
        has_numbers,
        alerts,
        page,
    };
    for element in elements {
        match element {
            Element::Ringing(call) => view.ringing.push(*call),
            Element::Talking(call) => view.talking.push(*call),
            Element::Ended(call) => view.ended.push(*call),
        }
    }
    // They came oldest first.
    view.talking.reverse();
    Ok(reply::page_or_fragment(&view, &headers))
}

/// `GET /calls/{id}`
pub(crate) async fn call(
    State(app): State<App>,
    frame: Frame,
    member: OrgMember,
    Path(id): Path<CallId>,
) -> Result<Response> {
    let page = frame.page(Section::Communications);
    let mut tx = app.db.begin(&member.actor).await?;
    let view = call_page(&mut tx, &app, &member.actor, member.organization, id, page).await?;
    Ok(reply::page(StatusCode::OK, &view))
}

/// `POST /calls/{id}/customer`: says who is on the line, from the live page or from the list of customers.
pub(crate) async fn post_customer(
    State(app): State<App>,
    member: OrgMember,
    Path(id): Path<CallId>,
    headers: HeaderMap,
    Form(form): Form<WhoseInput>,
) -> Result<Response> {
    attribute(&app, &member.actor, member.organization, id, &form.whose()?).await?;
    let referer = headers.get(header::REFERER).and_then(|it| it.to_str().ok());
    let referer = referer.and_then(|it| it.parse::<Uri>().ok());
    // Whoever answers phones stays at the phones.
    let back = match referer.as_ref().map(Uri::path) {
        Some("/") => "/".to_owned(),
        _ => format!("/calls/{id}"),
    };
    Ok(Redirect::to(&back).into_response())
}
