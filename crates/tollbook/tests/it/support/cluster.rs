//! One private cluster for the test run, with a migrated template from which each test's database is cloned.
//!
//! The cluster's folder is kept between runs, so that a rerun with the same schema starts in a tenth of a second; it
//! holds nothing but templates. It stops with this process, however that ends.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::OnceCell;
use tollbook::{Connection, migrate, schema_digest};
use tollbook_postgres::{APPLICATION_LOGIN, Durability, Options, Server, start};

/// The cluster and the name of its template.
struct Cluster {
    server: Server,
    template: String,
}

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// A database of one test.
pub(crate) struct Database {
    pub(crate) connection: Connection,
    /// As the application's own login, without saying who acts.
    pub(crate) url: String,
    /// As the superuser, for what no role of the application may do.
    pub(crate) superuser_url: String,
    name: String,
}

impl Database {
    /// Clones the template.
    pub(crate) async fn new() -> Self {
        let cluster = CLUSTER.get_or_init(Cluster::start).await;
        Self::of(cluster, &cluster.template).await
    }

    async fn of(cluster: &Cluster, template: &str) -> Self {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let mut session = cluster.session("postgres").await;
        clone(&mut session, template, &name).await;
        Self {
            connection: Connection::builtin(&cluster.server.url(&name)).unwrap(),
            url: cluster.server.url(&name),
            superuser_url: cluster.server.superuser_url(&name),
            name,
        }
    }

    /// A copy of this database, to which no session may be open.
    pub(crate) async fn copy(&self) -> Self {
        let cluster = CLUSTER.get().unwrap();
        Self::of(cluster, &self.name).await
    }

    /// Counts the jobs that were given up, and drops the database.
    pub(crate) fn dispose(&self) -> i64 {
        // The runtime of the test cannot be waited on where this is called.
        std::thread::scope(|scope| {
            let finish = || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap()
                    .block_on(self.finish())
            };
            scope.spawn(finish).join().unwrap()
        })
    }

    async fn finish(&self) -> i64 {
        let cluster = CLUSTER.get().unwrap();
        let mut session = PgConnection::connect(&self.superuser_url).await.unwrap();
        let dead = sqlx::query_scalar("select count(*) from jobs where state = 'dead'")
            .fetch_one(&mut session)
            .await
            .unwrap();
        session.close().await.unwrap();
        let mut session = cluster.session("postgres").await;
        run(
            &mut session,
            &format!("drop database {} with (force)", self.name),
        )
        .await;
        dead
    }
}

impl Cluster {
    async fn start() -> Self {
        let server = tokio::task::spawn_blocking(start_server).await.unwrap();
        let template = format!("template_{}", &schema_digest()[..24]);
        let cluster = Self { server, template };
        cluster.prepare().await;
        cluster
    }

    async fn session(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.server.superuser_url(database))
            .await
            .unwrap()
    }

    /// Drops what killed runs left behind, and makes the template unless it is there.
    async fn prepare(&self) {
        let mut session = self.session("postgres").await;
        let names: Vec<String> = sqlx::query_scalar("select datname from pg_database")
            .fetch_all(&mut session)
            .await
            .unwrap();
        for name in &names {
            let is_old_template = name.starts_with("template_") && *name != self.template;
            if name.starts_with("test_") || name.starts_with("making_") || is_old_template {
                run(&mut session, &format!("drop database {name} with (force)")).await;
            }
        }
        if names.contains(&self.template) {
            return;
        }
        // Under another name until it is whole.
        let making = format!("making_{}", &self.template);
        run(
            &mut session,
            &format!("create database {making} owner {APPLICATION_LOGIN}"),
        )
        .await;
        let connection = Connection::builtin(&self.server.url(&making)).unwrap();
        migrate(&connection).await.unwrap();
        run(
            &mut session,
            &format!("alter database {making} rename to {}", self.template),
        )
        .await;
    }
}

fn start_server() -> Server {
    let kept = Options {
        durability: Durability::OffForTests,
        settings: vec![("max_connections".to_owned(), "300".to_owned())],
        ..Options::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/test-cluster"))
    };
    // Another run may be using it, or the account that PostgreSQL runs as may not reach it.
    start(&kept)
        .or_else(|_| start(&Options::scratch().unwrap()))
        .unwrap()
}

async fn clone(session: &mut PgConnection, template: &str, name: &str) {
    run(
        session,
        &format!("create database {name} template {template} owner {APPLICATION_LOGIN}"),
    )
    .await;
    // This setting belongs to the database and is not cloned with it; without it the login would start with rights.
    run(
        session,
        &format!("alter role {APPLICATION_LOGIN} in database {name} set role = tollbook_none"),
    )
    .await;
}

async fn run(session: &mut PgConnection, statement: &str) {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(session)
        .await
        .unwrap();
}
