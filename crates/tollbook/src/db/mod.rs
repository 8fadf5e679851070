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

use rustix::process::{Pid, getpriority_process, setpriority_process};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};
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
    inbox: PgPool,
    usage: PgPool,
    work: PgPool,
    background: PgPool,
    dial: PgPool,
}

/// Sessions that take in webhooks, and as many that take in usage. Few, and always the same: a session that has just run a
/// statement runs it again in half the time of one whose turn comes once in twenty.
const INGEST_SESSIONS: u32 = 2;

/// Sessions that interpret and read for viewers: one for each worker, one for live events, and one for each organization
/// that is read for at a time.
const WORK_SESSIONS: u32 = 8;

/// Sessions that rate and invoice.
const BACKGROUND_SESSIONS: u32 = 4;

/// How much sessions that nobody waits for give way to the others where the processor is short: steps of `nice`, each about
/// a fifth less of it.
const BACKGROUND_NICE: i32 = 8;

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
        let inbox = pool.clone().max_connections(INGEST_SESSIONS);
        let work = pool.clone().max_connections(WORK_SESSIONS);
        let dial = pool.clone().max_connections(DIAL_SESSIONS);
        let giving_way = if connection.is_builtin() {
            pool.clone()
                .after_connect(|session, _| Box::pin(give_way(session)))
        } else {
            pool.clone()
        };
        let usage = giving_way.clone().max_connections(INGEST_SESSIONS);
        let background = giving_way.max_connections(BACKGROUND_SESSIONS);
        let pool = pool.max_connections(sessions_max).min_connections(1);
        let bulk = bulk_options(options.clone());
        Ok(Self {
            pool: pool.connect_with(options).await?,
            inbox: inbox.connect_lazy_with(bulk.clone()),
            usage: usage.connect_lazy_with(bulk.clone()),
            work: work.connect_lazy_with(bulk.clone()),
            background: background.connect_lazy_with(bulk.clone()),
            dial: dial.connect_lazy_with(bulk),
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

    /// The same for work that nobody looks at while it is done.
    pub(crate) async fn begin_background(&self, actor: &Actor) -> sqlx::Result<Tx> {
        begin(&self.background, actor).await
    }

    /// Begins a transaction that lets a call through.
    pub(crate) async fn begin_dial(&self, actor: &Actor) -> sqlx::Result<Tx> {
        begin(&self.dial, actor).await
    }

    /// Begins a transaction that may only take in webhooks, for many organizations at once. Who may write what was decided
    /// before.
    pub(crate) async fn begin_inbox(&self) -> sqlx::Result<Tx> {
        begin_ingest(&self.inbox).await
    }

    /// The same for usage.
    pub(crate) async fn begin_usage(&self) -> sqlx::Result<Tx> {
        begin_ingest(&self.usage).await
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
                self.inbox.close(),
                self.usage.close(),
                self.work.close(),
                self.background.close(),
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

async fn begin_ingest(pool: &PgPool) -> sqlx::Result<Tx> {
    pool.begin_with("begin; set local role tollbook_ingest")
        .await
}

/// Makes a session of the built-in cluster give way where the processor is short: a phone that rings is seen before what it
/// costs is rated. Not of another cluster, whose processes are not ours.
async fn give_way(session: &mut PgConnection) -> sqlx::Result<()> {
    let process: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(session)
        .await?;
    let process = Pid::from_raw(process);
    let lower = |nice| setpriority_process(process, nice + BACKGROUND_NICE);
    if let Err(error) = getpriority_process(process).and_then(lower) {
        tracing::debug!(%error, "a session in the background keeps its priority");
    }
    Ok(())
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
