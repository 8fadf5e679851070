//! `tollbook migrate`

use anyhow::{Context as _, Result};
use clap::Args;

use super::database::{self, Builtin};
use super::{Given, output};

/// Brings the database to this version's schema
#[derive(Debug, Args)]
#[command(
    after_help = "Every command does it by itself; this one does nothing else.\n\nExample:\n  tollbook migrate --database-url postgres://tollbook@db.example.com/tollbook"
)]
pub(super) struct Migrate {}

impl Migrate {
    pub(super) async fn run(self, given: Given) -> Result<()> {
        let reached = database::reach(&given.settings, Builtin::Any).await?;
        let outcome = crate::db::migrate(&reached.connection)
            .await
            .with_context(|| format!("cannot bring {:?} up to date", reached.connection));
        reached.close().await?;
        outcome?;
        output::note("the database has the schema of this version");
        Ok(())
    }
}
