//! Page sessions: a random token in a cookie, and its digest here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{OrganizationId, SessionId, UserId};
use uuid::Uuid;

use super::sql;
use crate::app::App;
use crate::error::Result;
use crate::http::caller::User;
use crate::ids::new_id;
use crate::secrets::{digest, random};

/// A session ends when it was not used for so many days.
pub(crate) const DAYS: u32 = 14;
/// Use is written this often.
const USE_WRITTEN_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// So much of the browser's name is kept.
const USER_AGENT_CHARACTERS: usize = 200;

fn expiry(now: Timestamp) -> Timestamp {
    let days = SignedDuration::from_hours(24 * i64::from(DAYS));
    now.checked_add(days).unwrap_or(Timestamp::MAX)
}

/// The user of the session with this digest; its time is extended by use.
pub(super) async fn user(app: &App, digest: &[u8; 32]) -> Result<Option<User>> {
    let now = app.clock.real();
    let mut tx = app.db.begin(&Actor::system()).await?;
    let Some(session) = sql::session(&mut tx, digest, now).await? else {
        return Ok(None);
    };
    let Some(mut user) = sql::user_in(&mut tx, session.user_id).await? else {
        return Ok(None);
    };
    if now.duration_since(session.seen_at.to_jiff()) >= USE_WRITTEN_EVERY {
        sqlx::query!(
            "update sessions set seen_at = $2, expires_at = $3 where id = $1 -- all organizations: a session is of a user",
            session.id.uuid(),
            now.to_sqlx() as _,
            expiry(now).to_sqlx() as _,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    user.session = Some(session.into_session());
    Ok(Some(user))
}

/// Starts a session in the first of the user's organizations and returns its token, for the cookie.
pub(crate) async fn start(app: &App, user: UserId, user_agent: &str) -> Result<String> {
    let token = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let csrf_token = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let user_agent: String = user_agent.chars().take(USER_AGENT_CHARACTERS).collect();
    let now = app.clock.real();
    let mut tx = app.db.begin(&Actor::system()).await?;
    // Whoever has no membership is a platform admin, for whom any organization will do.
    sqlx::query!(
        "insert into sessions (id, user_id, token_digest, csrf_token, organization_id, user_agent, created_at, seen_at, expires_at)
         values ($1, $2, $3, $4,
             coalesce((select m.organization_id from memberships m join organizations o on o.id = m.organization_id
                 where m.user_id = $2 order by o.name, o.id limit 1),
                 (select o.id from organizations o join users u on u.id = $2 and u.platform_admin order by o.name, o.id limit 1)),
             $5, $6, $6, $7)",
        new_id::<SessionId>().uuid(),
        user.uuid(),
        &digest(token.as_bytes()),
        csrf_token,
        user_agent,
        now.to_sqlx() as _,
        expiry(now).to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(token)
}

/// Ends a session.
pub(crate) async fn end(app: &App, id: SessionId) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    sqlx::query!(
        "delete from sessions where id = $1 -- all organizations: a session is of a user",
        id.uuid()
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    app.live.recheck();
    Ok(())
}

/// Keeps the organization that the person works in from now on. Whether they may was decided before.
pub(crate) async fn work_in(app: &App, id: SessionId, organization: OrganizationId) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    sqlx::query!(
        "update sessions set organization_id = $2 where id = $1",
        id.uuid(),
        organization.uuid(),
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Ends all sessions and refresh tokens of a user, within the transaction that changes their password or rights.
pub(super) async fn end_all(tx: &mut crate::db::Tx, user: UserId, now: Timestamp) -> Result<()> {
    let user = Uuid::from(user);
    sqlx::query!(
        "delete from sessions where id in (
             select id from sessions where user_id = $1 -- all organizations: a session is of a user
             order by id for update)",
        user
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "update refresh_families set revoked_at = $2 where id in (
             select id from refresh_families where user_id = $1 and revoked_at is null order by id for no key update)",
        user,
        now.to_sqlx() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
