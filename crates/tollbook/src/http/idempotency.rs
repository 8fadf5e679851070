//! `Idempotency-Key`: the same request sent again gets the first answer again.
//!
//! The row is written before the handler runs and completed after it, in the task that a client cannot cancel. A
//! process that dies in between leaves the row without an answer: whether the work was done is then unknown, and the
//! key is refused until it is forgotten.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tollbook_core::actor::Actor;

use super::caller::Caller;
use super::problem::Problem;
use crate::app::App;
use crate::error::{Error, Result};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const KEPT: SignedDuration = SignedDuration::from_hours(24);
/// The longest key in bytes.
const KEY_BYTES_MAX: usize = 255;

/// Answers a POST that has a key from what was answered before, or runs it and keeps the answer.
pub(crate) async fn replay(app: &App, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(KEY).cloned() else {
        return next.run(request).await;
    };
    let caller = request.extensions().get::<Caller>();
    let Some(principal) = caller.and_then(Caller::name) else {
        return next.run(request).await;
    };
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match run(app, &principal, &key, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn run(
    app: &App,
    principal: &str,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response> {
    let key = key
        .to_str()
        .ok()
        .filter(|it| (1..=KEY_BYTES_MAX).contains(&it.len()))
        .ok_or_else(|| {
            Error::invalid(
                "Idempotency-Key",
                format!("must be plain text of at most {KEY_BYTES_MAX} characters"),
            )
        })?;
    let (parts, body) = request.into_parts();
    let limited = Request::from_parts(parts.clone(), body);
    let body = match Bytes::from_request(limited, &()).await {
        Ok(body) => body,
        Err(rejection) => return Ok(Problem::of_status(rejection.status()).into_response()),
    };
    let organization = parts.headers.get("x-organization-id");
    let hash: [u8; 32] = Sha256::new()
        .chain_update(parts.uri.to_string())
        .chain_update(organization.map(HeaderValue::as_bytes).unwrap_or_default())
        .chain_update([0])
        .chain_update(&body)
        .finalize()
        .into();
    if !claim(app, principal, key, &hash).await? {
        return answered(app, principal, key, &hash).await;
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    keep(app, principal, key, response).await
}

/// Headers that belong to an answer and are replayed with it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KeptHeaders {
    content_type: Option<String>,
    location: Option<String>,
}

/// Whether the key is new, or was forgotten; it is then ours.
async fn claim(app: &App, principal: &str, key: &str, hash: &[u8; 32]) -> Result<bool> {
    let now = app.clock.real();
    let forgotten = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
    let mut tx = app.db.begin(&Actor::system()).await?;
    let claimed = sqlx::query_scalar!(
        "insert into idempotency_keys as k (principal, key, request_hash, created_at) values ($1, $2, $3, $4)
         on conflict (principal, key) do update
             set request_hash = excluded.request_hash, created_at = excluded.created_at, status = null, headers = null, body = null
             where k.created_at < $5
         returning key",
        principal,
        key,
        hash,
        now.to_sqlx() as _,
        forgotten.to_sqlx() as _,
    )
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(claimed.is_some())
}

/// The answer that was given to this key.
async fn answered(app: &App, principal: &str, key: &str, hash: &[u8; 32]) -> Result<Response> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let row = sqlx::query!(
        "select request_hash, status, headers, body from idempotency_keys where principal = $1 and key = $2",
        principal,
        key,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let in_progress = || {
        Error::conflict(
            "idempotency_in_progress",
            "the first request with this `Idempotency-Key` has not been answered yet",
        )
    };
    // Between the two statements a failed first request may have given the key back.
    let row = row.ok_or_else(in_progress)?;
    if row.request_hash != hash {
        return Err(Error::invalid(
            "Idempotency-Key",
            "was used for another request",
        ));
    }
    let status = row
        .status
        .and_then(|it| u16::try_from(it).ok())
        .and_then(|it| StatusCode::from_u16(it).ok())
        .ok_or_else(in_progress)?;
    let headers: KeptHeaders = row
        .headers
        .and_then(|it| serde_json::from_value(it).ok())
        .unwrap_or_default();
    let mut response = (status, row.body.unwrap_or_default()).into_response();
    let kept = [
        (header::CONTENT_TYPE, headers.content_type),
        (header::LOCATION, headers.location),
        (REPLAYED, Some("true".to_owned())),
    ];
    for (name, value) in kept {
        response.headers_mut().remove(&name);
        if let Some(value) = value.and_then(|it| HeaderValue::from_str(&it).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

/// Keeps the answer. One that says "try again" is not kept, and the key is free again.
async fn keep(app: &App, principal: &str, key: &str, mut response: Response) -> Result<Response> {
    let status = response.status();
    let is_final = !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS;
    // A problem is written out by the outermost middleware, so it has to be kept as what it becomes.
    if let Some(problem) = response.extensions().get::<Problem>().filter(|_| is_final) {
        let request_id = super::context::current().map(|it| it.request_id.clone());
        response = problem.document(&request_id.unwrap_or_default());
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX)
        .await
        .map_err(|error| Error::Internal(format!("an answer broke off: {error}")))?;
    let text = |name| {
        let value: &HeaderValue = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let headers = KeptHeaders {
        content_type: text(header::CONTENT_TYPE),
        location: text(header::LOCATION),
    };
    let mut tx = app.db.begin(&Actor::system()).await?;
    if is_final {
        sqlx::query!(
            "update idempotency_keys set status = $3, headers = $4, body = $5 where principal = $1 and key = $2",
            principal,
            key,
            i32::from(status.as_u16()),
            serde_json::to_value(headers).ok(),
            body.as_ref(),
        )
        .execute(&mut *tx)
        .await?;
    } else {
        sqlx::query!(
            "delete from idempotency_keys where principal = $1 and key = $2",
            principal,
            key,
        )
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}
