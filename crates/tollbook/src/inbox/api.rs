//! Where providers deliver webhooks.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use tollbook_core::ids::IntegrationId;
use tollbook_providers::openphone::{self, SignatureError};

use super::accept::{Stored, Webhook};
use super::sql;
use crate::app::App;
use crate::error::{Error, Result};
use crate::http::input::Path;
use crate::integrations::{self, Account};

/// Headers worth keeping with a webhook. Signatures are checked and not kept; nothing else is ours to keep.
const KEPT: [&str; 6] = [
    "content-type",
    "i-twilio-idempotency-token",
    "user-agent",
    "webhook-id",
    "webhook-timestamp",
    "x-request-id",
];

/// `POST /webhooks/openphone/{integrationId}`
pub(crate) async fn openphone(
    State(app): State<App>,
    Path(integration): Path<IntegrationId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode> {
    let account = integrations::account(&app, integration).await?;
    if account.provider != tollbook_core::calls::Provider::Openphone {
        return Err(Error::NotFound("integration"));
    }
    accept_openphone(&app, &account, &headers, &body).await
}

/// `POST /webhooks/openphone`: the platform's own account.
pub(crate) async fn openphone_platform(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode> {
    let account =
        integrations::platform_account(&app, tollbook_core::calls::Provider::Openphone).await?;
    accept_openphone(&app, &account, &headers, &body).await
}

async fn accept_openphone(
    app: &App,
    account: &Account,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<StatusCode> {
    let verified =
        match openphone::verify(headers, body, account.webhook_secrets(), app.clock.now()) {
            Ok(verified) => verified,
            Err(error) => {
                let reason = match &error {
                    SignatureError::Missing | SignatureError::Malformed => "missing",
                    SignatureError::Mismatch => "wrong",
                    SignatureError::Stale { .. } => "stale",
                };
                refuse(app, account.id, reason).await;
                return Err(Error::Unauthorized(error.to_string()));
            }
        };
    let webhook = Webhook {
        integration: account.id,
        organization: account.organization,
        provider: account.provider,
        event_key: openphone::dedupe_key(&verified, body),
        verdict: match verified.scheme {
            openphone::Scheme::Legacy => "openphone-signature",
            openphone::Scheme::Standard => "standard-webhooks",
        },
        headers: kept_headers(headers),
        body: body.to_vec(),
    };
    match app.inbox.submit(webhook).await? {
        Stored::New | Stored::Duplicate => Ok(StatusCode::NO_CONTENT),
        Stored::Conflict => Err(Error::conflict(
            "event_conflict",
            "this event came before with another body",
        )),
    }
}

/// Nothing of a webhook that is not the provider's is kept but a count.
pub(super) async fn refuse(app: &App, integration: IntegrationId, reason: &'static str) {
    metrics::counter!("tollbook_webhooks_refused_total", "reason" => reason).increment(1);
    // In a task of its own: a client that goes away must not leave a transaction open.
    let db = app.db.clone();
    let counted = tokio::spawn(async move {
        let mut tx = db.begin_inbox().await?;
        sql::count_rejection(&mut tx, integration, reason).await?;
        tx.commit().await
    });
    if let Err(error) = counted
        .await
        .map_err(|e| e.to_string())
        .and_then(|r| r.map_err(|e| e.to_string()))
    {
        tracing::warn!(%error, "a refused webhook was not counted");
    }
}

pub(super) fn kept_headers(headers: &HeaderMap) -> Value {
    let kept = KEPT.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), Value::String(value.to_owned())))
    });
    Value::Object(kept.collect::<Map<_, _>>())
}
