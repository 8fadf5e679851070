//! How to reach a database.

use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// Where the database is, and as whom to sign in.
#[derive(Clone)]
pub struct Connection {
    options: PgConnectOptions,
    /// Its sessions are processes of this machine, and ours.
    is_builtin: bool,
}

impl Connection {
    /// From a URL such as `postgres://user@host/database` or one with a socket folder as `?host=`.
    pub fn from_url(url: &str) -> sqlx::Result<Self> {
        let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
        Ok(Self::outside(options))
    }

    /// The same for the built-in cluster.
    pub fn builtin(url: &str) -> sqlx::Result<Self> {
        Ok(Self {
            is_builtin: true,
            ..Self::from_url(url)?
        })
    }

    fn outside(options: PgConnectOptions) -> Self {
        Self {
            options,
            is_builtin: false,
        }
    }

    /// From the single settings `DB_HOST`, `DB_PORT`, `DB_USERNAME`, `DB_PASSWORD`, `DB_DATABASE`.
    pub(crate) fn from_parts(
        host: &str,
        port: u16,
        username: &str,
        password: Option<&str>,
        database: &str,
    ) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .host(host)
            .port(port)
            .username(username)
            .database(database)
            .disable_statement_logging();
        Self::outside(match password {
            Some(password) => options.password(password),
            None => options,
        })
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    pub(super) fn is_builtin(&self) -> bool {
        self.is_builtin
    }

    /// As the login's own role: for migrations and the `db` commands, which name it explicitly.
    pub(super) fn owner_options(&self) -> PgConnectOptions {
        let role = self.options.get_username().to_owned();
        self.options.clone().options([("role", role)])
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Connection({:?} on {:?})",
            self.options.get_database(),
            self.options.get_host()
        )
    }
}
