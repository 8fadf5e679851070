//! Brings a database to the schema of this binary: numbered migrations, then what can be recreated.

use sha2::{Digest as _, Sha256};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Connection as _, PgConnection};

use super::Connection;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Roles, policies, guards: idempotent, applied after the migrations at every run, in this order.
const SCHEMA: [&str; 3] = [
    include_str!("../../schema/roles.sql"),
    include_str!("../../schema/policies.sql"),
    include_str!("../../schema/guards.sql"),
];

/// Applies what is missing. Safe to run twice, and on several nodes at once.
pub async fn migrate(connection: &Connection) -> Result<(), MigrateError> {
    let mut session = PgConnection::connect_with(&connection.owner_options()).await?;
    MIGRATOR.run(&mut session).await?;
    // Roles belong to the whole server and policies to the whole database: one run at a time.
    let mut tx = session.begin().await?;
    sqlx::raw_sql("select pg_advisory_xact_lock(8243001)")
        .execute(&mut *tx)
        .await?;
    for statements in SCHEMA {
        sqlx::raw_sql(statements).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    session.close().await?;
    Ok(())
}

/// The number of the last migration.
pub(super) fn newest_version() -> Option<i64> {
    MIGRATOR.iter().map(|it| it.version).max()
}

/// Names this binary's schema: equal digests mean equal migrations and schema files.
pub fn schema_digest() -> String {
    let mut digest = Sha256::new();
    for migration in MIGRATOR.iter() {
        digest.update(&migration.checksum);
    }
    for statements in SCHEMA {
        digest.update(statements);
    }
    hex::encode(digest.finalize())
}
