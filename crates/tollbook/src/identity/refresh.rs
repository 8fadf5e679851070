//! Refresh tokens: each is used once and replaced; using an old one again ends all that descend from the sign-in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::UserId;
use uuid::Uuid;

use super::tokens::{self, ACCESS_TOKEN_TIME};
use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::secrets::{digest, random};

/// A refresh token that is not used for so long ends.
const REFRESH_TOKEN_TIME: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What a program signs its requests with, and how it gets the next.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tokens {
    access_token: String,
    token_type: &'static str,
    /// Seconds until the access token ends.
    expires_in: i64,
    refresh_token: String,
}

/// The first pair of a new family.
pub(crate) async fn start(app: &App, user: UserId) -> Result<Tokens> {
    let family = Uuid::now_v7();
    let now = app.clock.real();
    let mut tx = app.db.begin(&Actor::system()).await?;
    sqlx::query!(
        "insert into refresh_families (id, user_id, created_at) values ($1, $2, $3)",
        family,
        user.uuid(),
        now.to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    let tokens = pair(app, &mut tx, family, user, now).await?;
    tx.commit().await?;
    Ok(tokens)
}

/// The next pair for a refresh token. A token that was used before is in two hands: its family ends.
pub(crate) async fn rotate(app: &App, token: &str) -> Result<Tokens> {
    let now = app.clock.real();
    let digest = digest(token.as_bytes());
    let mut tx = app.db.begin(&Actor::system()).await?;
    let row = sqlx::query!(
        "select t.family_id, t.used_at is not null as \"is_used!\", f.user_id,
             f.revoked_at is null and t.expires_at > $2 and u.disabled_at is null as \"is_valid!\"
         from refresh_tokens t join refresh_families f on f.id = t.family_id join users u on u.id = f.user_id
         where t.digest = $1 for update of t",
        &digest,
        now.to_sqlx() as _,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let refused =
        || Error::Unauthorized("the refresh token is not valid, sign in again".to_owned());
    let row = row.ok_or_else(refused)?;
    if row.is_used {
        revoke(&mut tx, row.family_id, now).await?;
        tx.commit().await?;
        tracing::warn!(user = %row.user_id, "a refresh token was used twice, its family is revoked");
        return Err(refused());
    }
    if !row.is_valid {
        return Err(refused());
    }
    sqlx::query!(
        "update refresh_tokens set used_at = $2 where digest = $1",
        &digest,
        now.to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    let tokens = pair(app, &mut tx, row.family_id, row.user_id.into(), now).await?;
    tx.commit().await?;
    Ok(tokens)
}

/// Ends the family of a refresh token; an unknown one has none.
pub(crate) async fn end(app: &App, token: &str) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let family = sqlx::query_scalar!(
        "select family_id from refresh_tokens where digest = $1",
        &digest(token.as_bytes()),
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(family) = family {
        revoke(&mut tx, family, app.clock.real()).await?;
    }
    tx.commit().await?;
    Ok(())
}

async fn revoke(tx: &mut Tx, family: Uuid, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "update refresh_families set revoked_at = $2 where id = $1 and revoked_at is null",
        family,
        now.to_sqlx() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn pair(
    app: &App,
    tx: &mut Tx,
    family: Uuid,
    user: UserId,
    now: Timestamp,
) -> Result<Tokens> {
    let refresh_token = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let expires_at = now
        .checked_add(REFRESH_TOKEN_TIME)
        .unwrap_or(Timestamp::MAX);
    sqlx::query!(
        "insert into refresh_tokens (digest, family_id, created_at, expires_at) values ($1, $2, $3, $4)",
        &digest(refresh_token.as_bytes()),
        family,
        now.to_sqlx() as _,
        expires_at.to_sqlx() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(Tokens {
        access_token: tokens::issue(&app.secrets, user, now)?,
        token_type: "bearer",
        expires_in: ACCESS_TOKEN_TIME.as_secs(),
        refresh_token,
    })
}
