//! The database of a command: an outside one, or the built-in one, which is attached to or started.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use tollbook_postgres::{APPLICATION_DATABASE, APPLICATION_LOGIN, Options, Running, Server};
use tollbook_providers::{Http, Timeouts};

use super::secret_key;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Masked, Settings};
use crate::db::{Connection, Db};

/// Sessions of a command that is no server.
const SESSIONS_OF_COMMAND: u32 = 4;

/// How a command may come by the built-in database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Builtin {
    /// It is this process's own; that another one has it is an error.
    Own,
    /// The running one, or one of its own for as long as it takes.
    Any,
}

/// A database that is reached, and kept running where it is ours.
pub(super) struct Reached {
    pub(super) connection: Connection,
    /// Its address, with the login's own role, for `psql` and the like.
    pub(super) owner_url: Option<String>,
    /// The built-in server, if this process runs it.
    pub(super) server: Option<Server>,
    /// The major version of the built-in server.
    pub(super) major: Option<u32>,
}

/// The folder that holds the built-in database and the secret key.
pub(super) fn data_dir(settings: &Settings) -> Result<PathBuf> {
    settings
        .data_dir
        .clone()
        .or_else(tollbook_postgres::default_state_dir)
        .ok_or_else(|| anyhow!("there is no home folder: name a folder with `--data-dir`"))
}

/// The folder of the built-in database.
pub(super) fn cluster_dir(settings: &Settings) -> Result<PathBuf> {
    Ok(data_dir(settings)?.join("postgres"))
}

/// The outside database that the settings name, if they name one.
pub(super) fn outside(settings: &Settings) -> Result<Option<Connection>> {
    if let Some(url) = &settings.database_url {
        // The error of the parser could repeat the password.
        let connection = Connection::from_url(url.expose()).map_err(|_| {
            anyhow!("`DATABASE_URL` is not valid; it looks like `postgres://user:password@host/database`")
        })?;
        return Ok(Some(connection));
    }
    let (host, username, database) = (
        settings.db_host.as_deref(),
        settings.db_username.as_deref(),
        settings.db_database.as_deref(),
    );
    match (host, username, database) {
        (None, None, None) => Ok(None),
        (Some(host), Some(username), Some(database)) => Ok(Some(Connection::from_parts(
            host,
            settings.db_port,
            username,
            settings.db_password.as_ref().map(Masked::expose),
            database,
        ))),
        _ => bail!(
            "`DB_HOST`, `DB_USERNAME` and `DB_DATABASE` belong together: give all of them, or none"
        ),
    }
}

/// Reaches the database of the settings.
pub(super) async fn reach(settings: &Settings, builtin: Builtin) -> Result<Reached> {
    if let Some(connection) = outside(settings)? {
        let owner_url = match &settings.database_url {
            Some(url) => Some(owner_url_of(url.expose())?),
            None => None,
        };
        return Ok(Reached {
            connection,
            owner_url,
            server: None,
            major: None,
        });
    }
    let root = cluster_dir(settings)?;
    if builtin == Builtin::Any
        && let Some(running) = tollbook_postgres::attach(&root)?
    {
        return attached(&running);
    }
    let options = Options {
        bin_dir: settings.postgres_bin.clone(),
        ..Options::new(root)
    };
    let server = tokio::task::spawn_blocking(move || tollbook_postgres::start(&options)).await??;
    let url = server.url(APPLICATION_DATABASE);
    Ok(Reached {
        connection: Connection::builtin(&url)?,
        owner_url: Some(owner_url(&url)),
        major: Some(server.installation().major()),
        server: Some(server),
    })
}

fn attached(running: &Running) -> Result<Reached> {
    let url = running.url(APPLICATION_DATABASE);
    Ok(Reached {
        connection: Connection::builtin(&url)?,
        owner_url: Some(owner_url(&url)),
        server: None,
        major: Some(running.major()),
    })
}

/// The address of the built-in database as its owner: sessions start without rights, so it names the role.
pub(super) fn owner_url(url: &str) -> String {
    format!("{url}&options=-crole%3D{APPLICATION_LOGIN}")
}

/// The same for an outside database, whose login is in its address.
pub(super) fn owner_url_of(url: &str) -> Result<String> {
    let login = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .and_then(|(credentials, _)| credentials.split(':').next())
        .ok_or_else(|| anyhow!("`DATABASE_URL` names no login"))?;
    let separator = if url.contains('?') { '&' } else { '?' };
    Ok(format!("{url}{separator}options=-crole%3D{login}"))
}

impl Reached {
    /// Stops the server if it is ours.
    pub(super) async fn close(self) -> Result<()> {
        if let Some(server) = self.server {
            tokio::task::spawn_blocking(move || server.stop()).await??;
        }
        Ok(())
    }
}

/// The application of a command, on a database that has this binary's schema.
pub(super) struct Application {
    pub(super) app: App,
    pub(super) reached: Reached,
}

/// Opens the application for a command that is no server: the schema is brought up to date first.
pub(super) async fn open(settings: Settings) -> Result<Application> {
    let reached = reach(&settings, Builtin::Any).await?;
    match application(settings, &reached.connection, SESSIONS_OF_COMMAND).await {
        Ok(app) => Ok(Application { app, reached }),
        Err(error) => {
            reached.close().await?;
            Err(error)
        }
    }
}

/// The application on a database, after bringing its schema up to date.
pub(super) async fn application(
    settings: Settings,
    connection: &Connection,
    sessions_max: u32,
) -> Result<App> {
    crate::db::migrate(connection)
        .await
        .with_context(|| format!("cannot bring {connection:?} up to date"))?;
    let secrets = secret_key::secrets(&settings, &data_dir(&settings)?)?;
    let db = Db::connect(connection, sessions_max)
        .await
        .with_context(|| format!("cannot reach {connection:?}"))?;
    let http = Http::new(Timeouts::default())?;
    Ok(App::new(db, Clock::System, settings, secrets, http))
}

impl Application {
    /// Closes the database.
    pub(super) async fn close(self) -> Result<()> {
        self.app.db.close().await;
        self.reached.close().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_the_logins_own_role() {
        assert_eq!(
            owner_url_of("postgres://ann:pw@db/x").unwrap(),
            "postgres://ann:pw@db/x?options=-crole%3Dann"
        );
        assert_eq!(
            owner_url_of("postgres://ann@db/x?sslmode=require").unwrap(),
            "postgres://ann@db/x?sslmode=require&options=-crole%3Dann"
        );
        assert!(owner_url_of("postgres://db/x").is_err());
    }

    #[test]
    fn single_settings_belong_together() {
        let mut settings = Settings {
            db_host: Some("db.example.com".to_owned()),
            ..Settings::defaults()
        };
        assert!(outside(&settings).is_err());
        settings.db_username = Some("tollbook".to_owned());
        settings.db_database = Some("tollbook".to_owned());
        assert!(outside(&settings).unwrap().is_some());
        assert!(outside(&Settings::defaults()).unwrap().is_none());
    }

    #[test]
    fn a_bad_address_is_refused_without_repeating_its_password() {
        let settings = Settings {
            database_url: Some("postgres://ann:hunter2@db:port/x".to_owned().into()),
            ..Settings::defaults()
        };
        let error = outside(&settings).unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
