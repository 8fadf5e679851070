//! `tollbook token`

use anyhow::{Context as _, Result};
use clap::Args;

use super::{Given, database, output};
use crate::identity;

/// Prints an access token of a user, valid for 15 minutes
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  curl -H \"Authorization: Bearer $(tollbook token ann@example.com)\" http://127.0.0.1:4000/api/me"
)]
pub(super) struct Token {
    /// The user's mail address
    mail: String,
}

impl Token {
    pub(super) async fn run(self, given: Given) -> Result<()> {
        let opened = database::open(given.settings).await?;
        let app = &opened.app;
        let token = async {
            let user = identity::find_user(app, &self.mail)
                .await
                .with_context(|| format!("there is no `{}`", self.mail))?;
            Ok(identity::issue_access_token(
                &app.secrets,
                user,
                app.clock.real(),
            )?)
        }
        .await;
        opened.close().await?;
        token.map(output::line)
    }
}
