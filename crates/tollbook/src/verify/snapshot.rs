//! What is read of a busy database as of one moment.

use std::time::Duration;

use jiff::Timestamp;
use tollbook_core::actor::Actor;
use uuid::Uuid;

use crate::app::App;
use crate::db::Tx;
use crate::error::Result;

/// Identifiers are made before their row is written. After so long, every row of that time is there: a statement takes
/// a minute at most, and the clocks of nodes differ by seconds.
const SETTLED_AFTER: Duration = Duration::from_mins(2);

/// A transaction that sees one moment, however many statements it has. To be held for seconds at most.
pub(super) async fn snapshot(app: &App) -> Result<Tx> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

/// No row with an identifier below this appears any more. Identifiers are UUIDv7: they begin with the milliseconds
/// since 1970.
pub(super) fn settled() -> Uuid {
    let at = Timestamp::now()
        .checked_sub(SETTLED_AFTER)
        .unwrap_or(Timestamp::UNIX_EPOCH);
    let milliseconds = u128::try_from(at.as_millisecond()).unwrap_or(0);
    Uuid::from_u128(milliseconds << 80)
}
