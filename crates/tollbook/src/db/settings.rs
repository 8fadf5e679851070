//! How to reach a database.

use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// Where the database is, and as whom to sign in.
#[derive(Clone)]
pub struct Connection(PgConnectOptions);

impl Connection {
    /// From a URL such as `postgres://user@host/database` or one with a socket folder as `?host=`.
    pub fn from_url(url: &str) -> sqlx::Result<Self> {
        Ok(Self(
            PgConnectOptions::from_str(url)?.disable_statement_logging(),
        ))
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
        Self(match password {
            Some(password) => options.password(password),
            None => options,
        })
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        self.0.clone()
    }

    /// As the login's own role: for migrations and the `db` commands, which name it explicitly.
    pub(super) fn owner_options(&self) -> PgConnectOptions {
        let role = self.0.get_username().to_owned();
        self.0.clone().options([("role", role)])
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Connection({:?} on {:?})",
            self.0.get_database(),
            self.0.get_host()
        )
    }
}
