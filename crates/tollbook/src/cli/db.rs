//! `tollbook db`

use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, Subcommand};
use tollbook_postgres::Installation;

use super::database::{self, Builtin};
use super::{Given, output};

/// Reaches the database as its owner
#[derive(Debug, Subcommand)]
pub(super) enum Db {
    Url(Url),
    Psql(Psql),
}

/// Prints the address of the database; the built-in one must be running
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pg_dump \"$(tollbook db url)\"")]
pub(super) struct Url {}

/// Opens `psql` on the database, passing on what comes after `--`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tollbook db psql -- -c 'select count(*) from calls'")]
pub(super) struct Psql {
    /// Arguments of `psql`
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Db {
    pub(super) async fn run(self, given: Given) -> Result<ExitCode> {
        match self {
            Self::Url(_) => url(&given),
            Self::Psql(psql) => psql.run(given).await,
        }
    }
}

fn url(given: &Given) -> Result<ExitCode> {
    let settings = &given.settings;
    let url = if database::outside(settings)?.is_some() {
        let url = settings
            .database_url
            .as_ref()
            .ok_or_else(|| anyhow!("the database is given in parts, as `DB_HOST` and so on"))?;
        database::owner_url_of(url.expose())?
    } else {
        let root = database::cluster_dir(settings)?;
        let running = tollbook_postgres::attach(&root)?.ok_or_else(|| {
            anyhow!("the built-in database is not running; start `tollbook serve`")
        })?;
        database::owner_url(&running.url(tollbook_postgres::APPLICATION_DATABASE))
    };
    output::line(url);
    Ok(ExitCode::SUCCESS)
}

impl Psql {
    async fn run(self, given: Given) -> Result<ExitCode> {
        let settings = given.settings;
        let reached = database::reach(&settings, Builtin::Any).await?;
        let program = match reached.major {
            Some(major) => {
                Installation::find(settings.postgres_bin.as_deref(), Some(major))?.program("psql")
            }
            None => "psql".into(),
        };
        let mut command = tokio::process::Command::new(&program);
        if let Some(url) = &reached.owner_url {
            command.arg(url);
        } else {
            // In parts, and the password not on the command line.
            let text = |it: &Option<String>| it.clone().unwrap_or_default();
            let login = text(&settings.db_username);
            command
                .env("PGHOST", text(&settings.db_host))
                .env("PGPORT", settings.db_port.to_string())
                .env("PGUSER", &login)
                .env("PGDATABASE", text(&settings.db_database))
                .env("PGOPTIONS", format!("-crole={login}"));
            if let Some(password) = &settings.db_password {
                command.env("PGPASSWORD", password.expose());
            }
        }
        let status = command
            .args(&self.arguments)
            .status()
            .await
            .with_context(|| format!("cannot run `{}`", program.display()));
        reached.close().await?;
        let code = status?.code().and_then(|it| u8::try_from(it).ok());
        Ok(ExitCode::from(code.unwrap_or(1)))
    }
}
