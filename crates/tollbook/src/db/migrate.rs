//! Brings a database to the schema of this binary: numbered migrations, then what can be recreated.

use sha2::{Digest as _, Sha256};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::Connection;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Applied at every run: roles belong to the server, and which role a login starts as is not copied with a database.
const ROLES: &str = include_str!("../../schema/roles.sql");

/// Policies, guards, views, functions: idempotent, applied after the migrations where they are others than those that are
/// there, in this order. Each locks the tables that it is about.
const SCHEMA: [&str; 7] = [
    include_str!("../../schema/policies.sql"),
    include_str!("../../schema/guards.sql"),
    include_str!("../../schema/imports.sql"),
    include_str!("../../schema/seeds.sql"),
    include_str!("../../schema/reports.sql"),
    STORE_USAGE,
    include_str!("../../schema/supabase.sql"),
];

/// The statement by which the application stores and counts usage, as a function for those who call from SQL: what is
/// counted is written down once.
const STORE_USAGE: &str = concat!(
    "create or replace function store_usage(uuid[], uuid[], text[], numeric[], timestamptz[], text[], bytea[], bytea[], \
     uuid[], uuid[], uuid[], uuid[], text[], text[], jsonb[], uuid[]) returns setof uuid language plpgsql as $store$ \
     begin return query\n",
    include_str!("../metering/insert.sql"),
    ";\nend $store$;\n",
    "revoke execute on function store_usage from public;\n",
    "grant execute on function store_usage to tollbook_platform, tollbook_admin;\n",
);

/// The function whose comment names the schema that was applied.
const MARKED: &str = "public.acting_organization_id()";

/// Views stand in the way of migrations that change what they show. They are made again afterwards.
const DROP_VIEWS: &str = "do $$ declare view_name text; begin \
    if to_regprocedure('public.acting_organization_id()') is not null then \
        comment on function public.acting_organization_id() is null; \
    end if; \
    for view_name in select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        where n.nspname = 'public' and c.relkind = 'v' loop \
        execute format('drop view if exists public.%I cascade', view_name); \
    end loop; end $$";

/// How often the schema is tried to apply beside a node that is running.
const ATTEMPTS_MAX: usize = 5;

/// Applies what is missing. Safe to run twice, and on several nodes at once.
pub async fn migrate(connection: &Connection) -> Result<(), MigrateError> {
    let mut session = PgConnection::connect_with(&connection.owner_options()).await?;
    if !is_newest(&mut session).await? {
        sqlx::raw_sql(DROP_VIEWS).execute(&mut session).await?;
    }
    MIGRATOR.run(&mut session).await?;
    let mut attempt = 1;
    while let Err(error) = apply(&mut session).await {
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        // It took locks in another order than the traffic of a node that is running.
        if attempt == ATTEMPTS_MAX || code.as_deref() != Some("40P01") {
            return Err(error.into());
        }
        attempt += 1;
    }
    session.close().await?;
    Ok(())
}

/// Applies roles, and the schema if it is another one than that of this binary. One run at a time: roles belong to the
/// whole server and policies to the whole database.
async fn apply(session: &mut PgConnection) -> sqlx::Result<()> {
    let mut tx = session.begin().await?;
    sqlx::raw_sql("select pg_advisory_xact_lock(8243001)")
        .execute(&mut *tx)
        .await?;
    sqlx::raw_sql(ROLES).execute(&mut *tx).await?;
    let digest = schema_digest();
    let applied: Option<String> =
        sqlx::query_scalar("select obj_description(to_regprocedure($1), 'pg_proc')")
            .bind(MARKED)
            .fetch_one(&mut *tx)
            .await?;
    if applied.as_ref() != Some(&digest) {
        for statements in SCHEMA {
            sqlx::raw_sql(statements).execute(&mut *tx).await?;
        }
        let mark = format!("comment on function {MARKED} is '{digest}'");
        sqlx::raw_sql(AssertSqlSafe(mark)).execute(&mut *tx).await?;
    }
    tx.commit().await
}

/// Whether every migration has been applied already.
async fn is_newest(session: &mut PgConnection) -> sqlx::Result<bool> {
    let is_begun: bool =
        sqlx::query_scalar("select to_regclass('public._sqlx_migrations') is not null")
            .fetch_one(&mut *session)
            .await?;
    if !is_begun {
        return Ok(false);
    }
    let applied: Vec<i64> =
        sqlx::query_scalar("select version from _sqlx_migrations where success")
            .fetch_all(session)
            .await?;
    Ok(MIGRATOR.iter().all(|it| applied.contains(&it.version)))
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
    digest.update(ROLES);
    for statements in SCHEMA {
        digest.update(statements);
    }
    hex::encode(digest.finalize())
}
