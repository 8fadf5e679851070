//! The database: a pool whose sessions may do nothing, and transactions that say who acts.
//!
//! There is one way in: [`Db::begin`]. It turns the actor's role into a database role and tells row-level security
//! the organization, user and customer. Outside such a transaction every query is refused.

pub(crate) mod batch;
mod inspect;
mod listen;
mod migrate;
mod settings;
pub(crate) mod types;

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Postgres, Transaction};
use tollbook_core::actor::Actor;
use uuid::Uuid;

pub(crate) use inspect::{Seen, inspect};
pub(crate) use listen::{Heard, Listener, Notifier};
pub use migrate::{migrate, schema_digest};
pub use settings::Connection;

/// A transaction of one actor. Rolled back when dropped.
pub type Tx = Transaction<'static, Postgres>;

/// A pool of sessions that start as a role that may do nothing.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    ingest: PgPool,
    work: PgPool,
    dial: PgPool,
}

/// Sessions that take in webhooks and usage. Few, and always the same: a session that has just run a statement runs it
/// again in half the time of one whose turn comes once in twenty.
const INGEST_SESSIONS: u32 = 3;

/// Sessions that interpret, rate and read for viewers: one for each worker, one for live events, and one for each
/// organization that is read for at a time.
const WORK_SESSIONS: u32 = 10;

/// Sessions that let calls through: somebody waits at the phone, and planning the statements anew would take several times
/// as long as running them.
const DIAL_SESSIONS: u32 = 8;

/// Sessions get so long to end.
const CLOSE_MAX: Duration = Duration::from_secs(5);

impl Db {
    /// Opens a pool of at most `sessions_max` sessions.
    pub async fn connect(connection: &Connection, sessions_max: u32) -> sqlx::Result<Self> {
        let options = session_options(connection.options());
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_secs(5))
            // A broken session shows at its first statement and is replaced; a ping per use would cost a round trip.
            .test_before_acquire(false);
        let ingest = pool.clone().max_connections(INGEST_SESSIONS);
        let work = pool.clone().max_connections(WORK_SESSIONS);
        let dial = pool.clone().max_connections(DIAL_SESSIONS);
        let pool = pool.max_connections(sessions_max).min_connections(1);
        Ok(Self {
            pool: pool.connect_with(options.clone()).await?,
            ingest: ingest.connect_lazy_with(bulk_options(options.clone())),
            work: work.connect_lazy_with(bulk_options(options.clone())),
            dial: dial.connect_lazy_with(bulk_options(options)),
        })
    }

    /// Begins a transaction of `actor`, in one round trip.
    pub async fn begin(&self, actor: &Actor) -> sqlx::Result<Tx> {
        begin(&self.pool, actor).await
    }

    /// Begins a transaction of a worker, which runs the same statements on batches over and over.
    pub(crate) async fn begin_work(&self, actor: &Actor) -> sqlx::Result<Tx> {
        begin(&self.work, actor).await
    }

    /// Begins a transaction that lets a call through.
    pub(crate) async fn begin_dial(&self, actor: &Actor) -> sqlx::Result<Tx> {
        begin(&self.dial, actor).await
    }

    /// Begins a transaction that may only take in webhooks and usage, for many organizations at once. Who may write
    /// what was decided before.
    pub(crate) async fn begin_ingest(&self) -> sqlx::Result<Tx> {
        self.ingest
            .begin_with("begin; set local role tollbook_ingest")
            .await
    }

    /// Whether the database answers and has all migrations of this binary.
    pub(crate) async fn is_migrated(&self) -> sqlx::Result<bool> {
        let mut tx = self.begin(&Actor::system()).await?;
        // The migrator's own table is not there when queries are checked against a bare schema.
        let applied: Option<i64> =
            sqlx::query_scalar("select max(version) from _sqlx_migrations where success")
                .fetch_one(&mut *tx)
                .await?;
        Ok(applied >= migrate::newest_version())
    }

    /// Sessions in use and in all.
    pub(crate) fn pool_use(&self) -> (usize, u32) {
        let size = self.pool.size();
        let idle = self.pool.num_idle();
        (
            usize::try_from(size)
                .unwrap_or(usize::MAX)
                .saturating_sub(idle),
            size,
        )
    }

    /// Waits for the sessions in use and closes all.
    pub async fn close(&self) {
        let all = async {
            tokio::join!(
                self.pool.close(),
                self.ingest.close(),
                self.work.close(),
                self.dial.close()
            );
        };
        // A session whose server was killed may wait for its answer for ever.
        if tokio::time::timeout(CLOSE_MAX, all).await.is_err() {
            tracing::warn!("not every session of the database ended in time");
        }
    }
}

async fn begin(pool: &PgPool, actor: &Actor) -> sqlx::Result<Tx> {
    // Role names are constants and the identifiers are typed, so the text is safe. What an actor has no id of is not set
    // in the session either: it is only ever set for a transaction.
    let role = format!("begin; set local role {}", actor.db_role());
    let ids = [
        ("organization_id", actor.organization().map(Uuid::from)),
        ("user_id", actor.user().map(Uuid::from)),
        ("customer_id", actor.customer().map(Uuid::from)),
    ];
    let ids = ids
        .into_iter()
        .filter_map(|(name, id)| Some(format!("set local tollbook.{name} = '{}'", id?)));
    let statement = std::iter::once(role)
        .chain(ids)
        .collect::<Vec<_>>()
        .join("; ");
    pool.begin_with(AssertSqlSafe(statement)).await
}

/// For statements on batches, whose arrays say nothing about how many rows they will find: planned once, and each row
/// looked up by its key. Planned anew for each batch, they would now and then read a whole table, as soon as it is small
/// beside what is guessed of the batch.
fn bulk_options(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ])
}

/// A client that goes away in the middle must not leave a transaction that blocks every writer.
fn session_options(options: PgConnectOptions) -> PgConnectOptions {
    options
        .application_name("tollbook")
        .statement_cache_capacity(500)
        .options([
            ("idle_in_transaction_session_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("statement_timeout", "60s"),
        ])
}
