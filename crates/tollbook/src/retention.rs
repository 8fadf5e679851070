//! Forgets what is past its time, and prepares the inbox for the next months.

use jiff_sqlx::ToSqlx as _;
use tollbook_core::actor::Actor;

use crate::app::App;
use crate::error::Result;
use crate::live;

/// Rows removed in one transaction, so that none takes long.
const CHUNK: i64 = 5_000;

/// Removes live events after an hour, answers to idempotency keys after 24 hours, and expired sessions and tokens;
/// makes the partitions of the inbox for this month and the two after it.
pub(crate) async fn run(app: &App) -> Result<()> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    sqlx::query!("select ensure_inbox_partitions(clock_timestamp())")
        .fetch_all(&mut *tx)
        .await?;
    // Credentials end by the application's clock, by which they were made.
    let now = app.clock.real();
    sqlx::query!(
        "delete from sessions where id in (
             select id from sessions where expires_at < $1 -- all organizations: expired for everyone
             for update skip locked)",
        now.to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "delete from refresh_tokens where digest in (
             select digest from refresh_tokens where expires_at < $1::timestamptz - interval '1 day' for update skip locked)",
        now.to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    live::prune(app, CHUNK).await?;
    while remove_idempotency_keys(app).await? == CHUNK.unsigned_abs() {}
    Ok(())
}

async fn remove_idempotency_keys(app: &App) -> Result<u64> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let removed = sqlx::query!(
        "delete from idempotency_keys where (principal, key) in (
             select principal, key from idempotency_keys where created_at < $2::timestamptz - interval '24 hours'
             order by created_at limit $1 for update skip locked)",
        CHUNK,
        app.clock.real().to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(removed.rows_affected())
}
