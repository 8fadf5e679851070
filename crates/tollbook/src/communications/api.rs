//! Calls, messages and voicemails as programs read them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use jiff::tz::TimeZone;
use serde::Serialize;
use tollbook_core::ids::{MessageId, VoicemailId};

use super::csv;
use super::filter::Kind;
use super::list::{Item, What, items};
use super::query::Query;
use super::read::{Message, Voicemail, messages_by_id, voicemails_by_id};
use crate::app::App;
use crate::calls::CallDocument;
use crate::error::{Error, Result};
use crate::http::caller::OrgMember;
use crate::http::frame::Frame;
use crate::http::input::{Params, Path};
use crate::http::list::Paging;
use crate::pages::Section;

/// `GET /api/calls`
pub(crate) async fn calls(
    state: State<App>,
    frame: Frame,
    member: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    query: Params<Query>,
) -> Result<Response> {
    list(
        state,
        &frame,
        member,
        &headers,
        &paging,
        query,
        Kind::Call,
        |what| match what {
            What::Call { moment, .. } => Some(CallDocument::brief(&moment)),
            What::Message(_) | What::Voicemail(_) => None,
        },
    )
    .await
}

/// `GET /api/messages`
pub(crate) async fn messages(
    state: State<App>,
    frame: Frame,
    member: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    query: Params<Query>,
) -> Result<Response> {
    list(
        state,
        &frame,
        member,
        &headers,
        &paging,
        query,
        Kind::Message,
        |what| match what {
            What::Message(message) => Some(*message),
            What::Call { .. } | What::Voicemail(_) => None,
        },
    )
    .await
}

/// `GET /api/voicemails`
pub(crate) async fn voicemails(
    state: State<App>,
    frame: Frame,
    member: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    query: Params<Query>,
) -> Result<Response> {
    list(
        state,
        &frame,
        member,
        &headers,
        &paging,
        query,
        Kind::Voicemail,
        |what| match what {
            What::Voicemail(voicemail) => Some(*voicemail),
            What::Call { .. } | What::Message(_) => None,
        },
    )
    .await
}

/// `GET /api/messages/{id}`
pub(crate) async fn message(
    State(app): State<App>,
    member: OrgMember,
    Path(id): Path<MessageId>,
) -> Result<Json<Message>> {
    let mut tx = app.db.begin(&member.actor).await?;
    let found = messages_by_id(&mut tx, member.organization, &[id.uuid()]).await?;
    found
        .into_iter()
        .next()
        .map(Json)
        .ok_or(Error::NotFound("message"))
}

/// `GET /api/voicemails/{id}`
pub(crate) async fn voicemail(
    State(app): State<App>,
    member: OrgMember,
    Path(id): Path<VoicemailId>,
) -> Result<Json<Voicemail>> {
    let mut tx = app.db.begin(&member.actor).await?;
    let found = voicemails_by_id(&mut tx, member.organization, &[id.uuid()]).await?;
    found
        .into_iter()
        .next()
        .map(Json)
        .ok_or(Error::NotFound("voicemail"))
}

#[expect(
    clippy::too_many_arguments,
    reason = "what the three handlers have in common"
)]
async fn list<T: Serialize>(
    State(app): State<App>,
    frame: &Frame,
    member: OrgMember,
    headers: &HeaderMap,
    paging: &Paging,
    Params(query): Params<Query>,
    kind: Kind,
    document: impl Fn(What) -> Option<T>,
) -> Result<Response> {
    let viewer = frame.page(Section::None).viewer;
    if wants_csv(headers) {
        return csv::stream(&app, member, viewer, &query, Some(kind)).await;
    }
    let mut tx = app.db.begin(&member.actor).await?;
    let zone: &TimeZone = &viewer.zone;
    let filter = query
        .filter(&mut tx, member.organization, zone, Some(kind))
        .await?;
    let after = paging.key()?;
    let found = items(
        &mut tx,
        &app,
        &member.actor,
        member.organization,
        &filter,
        after,
        paging.rows(),
    )
    .await?;
    let page = paging.page(found, |item: &Item| item.place)?;
    Ok(Json(page.map(|item| document(item.what))).into_response())
}

fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    accept.is_some_and(|it| it.contains("text/csv"))
}
