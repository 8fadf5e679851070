//! One timeline of calls, messages and voicemails.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CallId, OrganizationId};
use uuid::Uuid;

use super::filter::{Filter, Kind};
use super::places::{Place, places};
use super::read::{Message, Voicemail, messages_by_id, voicemails_by_id};
use crate::app::App;
use crate::calls::{self, Moment};
use crate::error::Result;

/// A communication in its place.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) what: What,
}

/// A communication.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Call {
        moment: Box<Moment>,
        has_recording: bool,
    },
    Message(Box<Message>),
    Voicemail(Box<Voicemail>),
}

/// At most `limit` communications after `after`, newest first, as `actor`, who is that of `tx`, may see them.
pub(crate) async fn items(
    tx: &mut PgConnection,
    app: &App,
    actor: &Actor,
    organization: OrganizationId,
    filter: &Filter,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Item>> {
    let found = places(tx, actor, organization, filter, after, limit).await?;
    let ids = |wanted: Kind| -> Vec<Uuid> {
        let wanted = found.iter().filter(|(_, kind)| *kind == wanted);
        wanted.map(|(place, _)| place.id).collect()
    };
    let calls = ids(Kind::Call);
    let mut moments = calls::moments(tx, app, actor, organization, &calls).await?;
    let recorded = recorded(tx, organization, &calls).await?;
    let mut messages: HashMap<Uuid, Message> =
        messages_by_id(tx, organization, &ids(Kind::Message))
            .await?
            .into_iter()
            .map(|message| (message.id.uuid(), message))
            .collect();
    let mut voicemails: HashMap<Uuid, Voicemail> =
        voicemails_by_id(tx, organization, &ids(Kind::Voicemail))
            .await?
            .into_iter()
            .map(|voicemail| (voicemail.id.uuid(), voicemail))
            .collect();
    let mut items = Vec::with_capacity(found.len());
    for (place, kind) in found {
        let what = match kind {
            Kind::Call => moments
                .calls
                .remove(&CallId::new(place.id))
                .map(|moment| What::Call {
                    moment: Box::new(moment),
                    has_recording: recorded.contains(&place.id),
                }),
            Kind::Message => messages
                .remove(&place.id)
                .map(|it| What::Message(Box::new(it))),
            Kind::Voicemail => voicemails
                .remove(&place.id)
                .map(|it| What::Voicemail(Box::new(it))),
        };
        items.extend(what.map(|what| Item { place, what }));
    }
    Ok(items)
}

/// Which of these calls have a recording that the reader may hear.
async fn recorded(
    tx: &mut PgConnection,
    organization: OrganizationId,
    calls: &[Uuid],
) -> Result<HashSet<Uuid>> {
    if calls.is_empty() {
        return Ok(HashSet::new());
    }
    let ids = sqlx::query_scalar!(
        "select distinct call_id from recordings where organization_id = $1 and call_id = any ($2)",
        organization.uuid(),
        calls,
    )
    .fetch_all(tx)
    .await?;
    Ok(ids.into_iter().collect())
}
