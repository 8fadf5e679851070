//! Recordings and their sound.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, SeekFrom};
use tollbook_core::ids::{CallId, RecordingId};

use super::sql::{self, Place, Recording};
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::caller::OrgMember;
use crate::http::csv;
use crate::http::input::{Params, Path};
use crate::http::list::Paging;
use crate::objects::{ObjectStore as _, Part, part};

/// Bytes read from a file at a time.
const CHUNK: usize = 64 << 10;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Filter {
    call_id: Option<CallId>,
}

/// `GET /api/recordings`
pub(crate) async fn list(
    State(app): State<App>,
    member: OrgMember,
    headers: HeaderMap,
    paging: Paging,
    Params(filter): Params<Filter>,
) -> Result<Response> {
    if csv::is_wanted(&headers) {
        return as_csv(app, member, filter).await;
    }
    let mut tx = app.db.begin(&member.actor).await?;
    let after: Option<Place> = paging.key()?;
    let rows = sql::list(
        &mut tx,
        member.organization,
        filter.call_id,
        after,
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(rows, place)?).into_response())
}

fn place(row: &Recording) -> Place {
    Place {
        at: row.occurred_at,
        id: row.id.uuid(),
    }
}

/// All of the list.
async fn as_csv(app: App, member: OrgMember, filter: Filter) -> Result<Response> {
    const COLUMNS: [&str; 7] = [
        "id",
        "callId",
        "provider",
        "durationSeconds",
        "contentType",
        "isReady",
        "occurredAt",
    ];
    csv::stream("recordings", &COLUMNS, move |after: Option<Place>| {
        let (app, actor) = (app.clone(), member.actor);
        let (organization, call) = (member.organization, filter.call_id);
        async move {
            let mut tx = app.db.begin(&actor).await?;
            let rows = sql::list(&mut tx, organization, call, after, csv::CHUNK).await?;
            Ok(csv::Chunk::new(&rows, place, cells))
        }
    })
    .await
}

fn cells(row: &Recording) -> Vec<String> {
    vec![
        row.id.to_string(),
        row.call_id.to_string(),
        row.provider.to_string(),
        row.duration_seconds
            .map(|it| it.to_string())
            .unwrap_or_default(),
        row.content_type.clone().unwrap_or_default(),
        row.is_ready.to_string(),
        row.occurred_at.to_string(),
    ]
}

/// `GET /api/recordings/{id}/media`
pub(crate) async fn media(
    State(app): State<App>,
    member: OrgMember,
    Path(id): Path<RecordingId>,
    headers: HeaderMap,
) -> Result<Response> {
    let mut tx = app.db.begin(&member.actor).await?;
    let found = sql::media(&mut tx, member.organization, id).await?;
    drop(tx);
    let sound = found.ok_or(Error::NotFound("recording"))?;
    let key = sound.object_key.ok_or_else(|| {
        let (code, text) = if sound.is_expected {
            let text = "the recording is still being fetched from the provider";
            ("recording_not_ready", text)
        } else {
            ("recording_gone", "the provider has this recording no more")
        };
        Error::conflict(code, text)
    })?;
    let stored =
        |e: std::io::Error| Error::Unavailable(format!("recording {id} cannot be read: {e}"));
    let opened = app.objects.open(&key).await.map_err(stored)?;
    let (mut file, len) = opened.ok_or(Error::NotFound("recording"))?;
    let range = headers.get(header::RANGE).and_then(|it| it.to_str().ok());
    let (status, first, count) = match part(range, len) {
        Part::Whole => (StatusCode::OK, 0, len),
        Part::Bytes { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Part::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    file.seek(SeekFrom::Start(first)).await.map_err(stored)?;
    let content_range = match status {
        StatusCode::PARTIAL_CONTENT => Some(format!("bytes {first}-{}/{len}", first + count - 1)),
        StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{len}")),
        _ => None,
    };
    let mut response = (status, Body::from_stream(chunks(file.take(count)))).into_response();
    let headers = response.headers_mut();
    // A recording never changes, and is heard only by those who may: the browser may keep it, nobody between.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, max-age=3600"),
    );
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(count));
    headers.insert(
        header::CONTENT_TYPE,
        media_type(sound.content_type.as_deref()),
    );
    if let Some(range) = content_range.and_then(|it| HeaderValue::from_str(&it).ok()) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    Ok(response)
}

/// The provider's word for it, as long as it is sound: nothing else is sent under our address as what it claims to be.
fn media_type(stated: Option<&str>) -> HeaderValue {
    let sound = stated.filter(|it| it.starts_with("audio/"));
    sound
        .and_then(|it| HeaderValue::from_str(it).ok())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

fn chunks(
    file: impl AsyncRead + Unpin + Send + 'static,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send {
    stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut file)
            .take(u64::try_from(CHUNK).unwrap_or(u64::MAX))
            .read_to_end(&mut chunk)
            .await?;
        Ok((read > 0).then(|| (Bytes::from(chunk), file)))
    })
}
