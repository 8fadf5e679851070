//! `tollbook serve`

use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::database::{self, Builtin};
use super::{Given, output};
use crate::app::App;
use crate::config::Settings;
use crate::node::{Node, Work};
use crate::{identity, integrations};

/// Serves the API and the pages, and works on jobs
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tollbook serve --listen 0.0.0.0:4000")]
pub(super) struct Serve {
    /// Do only a part, for several nodes on one database
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Part {
    /// The API and the pages
    Web,
    /// What happens behind them
    Jobs,
}

impl Serve {
    pub(super) async fn run(self, given: Given) -> Result<()> {
        let settings = given.settings;
        if settings.dev_auth && !settings.listen.ip().is_loopback() {
            bail!(
                "`--dev-auth` lets anyone be anyone, so it listens on loopback only, not on `{}`",
                settings.listen
            );
        }
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on `{}`", settings.listen))?;
        let reached = database::reach(&settings, Builtin::Own).await?;
        let failed = Arc::new(Failure::default());
        if let Some(server) = &reached.server {
            let failed = Arc::clone(&failed);
            server.on_failure(move |error| failed.report(&error));
        }
        let outcome = self
            .serve(settings, &reached.connection, listener, &failed)
            .await;
        reached.close().await?;
        outcome
    }

    async fn serve(
        &self,
        settings: Settings,
        connection: &crate::db::Connection,
        listener: TcpListener,
        failed: &Failure,
    ) -> Result<()> {
        let sessions = settings.database_sessions;
        let app = database::application(settings, connection, sessions).await?;
        integrations::follow_settings(&app).await?;
        welcome(&app).await?;
        let work = match self.only {
            None => Work::All,
            Some(Part::Web) => Work::Web,
            Some(Part::Jobs) => Work::Jobs,
        };
        let node = Node::start(app, connection, work, listener)?;
        match node.address {
            Some(address) => output::line(format!("listening on http://{address}")),
            None => output::line("working on jobs"),
        }
        let outcome = tokio::select! {
            () = asked_to_stop()? => Ok(()),
            () = failed.happened.notified() => Err(failed.error()),
        };
        node.stop().await;
        outcome
    }
}

/// The first person needs a way in.
async fn welcome(app: &App) -> Result<()> {
    if identity::list_users(app, "", 1).await?.is_empty() {
        output::note(
            "there are no users yet: run `tollbook user add you@example.com --platform-admin`",
        );
    }
    Ok(())
}

/// Ends when the process is asked to stop, by a supervisor or from the keyboard.
pub(super) fn asked_to_stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}

/// That the built-in database has ended for good, told from its own thread.
#[derive(Debug, Default)]
pub(super) struct Failure {
    pub(super) happened: Notify,
    reason: std::sync::Mutex<Option<String>>,
}

impl Failure {
    pub(super) fn report(&self, error: &tollbook_postgres::Error) {
        let mut reason = self
            .reason
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *reason = Some(error.to_string());
        self.happened.notify_one();
    }

    pub(super) fn error(&self) -> anyhow::Error {
        let mut reason = self
            .reason
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        anyhow!(
            reason
                .take()
                .unwrap_or_else(|| "the database ended".to_owned())
        )
    }
}
