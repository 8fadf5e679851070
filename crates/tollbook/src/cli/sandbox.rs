//! `tollbook sandbox`

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tollbook_providers::openphone::sandbox::{Sandbox as OpenPhone, SandboxOptions};
use tollbook_providers::twilio::sandbox as twilio;

use super::serve::asked_to_stop;
use super::{Given, output};
use crate::clock::Clock;
use crate::sandbox::{Phones, Stage, accounts_alone};

/// Where it listens unless told: beside `serve`.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4010);
/// How much traffic is planned at a time.
const PLANNED: SignedDuration = SignedDuration::from_hours(1);

/// Serves stand-ins for the phone providers, for trying out an installation without an account
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tollbook sandbox --listen 127.0.0.1:4010\n  OPENPHONE_BASE_URL=http://127.0.0.1:4010 OPENPHONE_API_KEY=sandbox-harbor tollbook serve"
)]
pub(super) struct Sandbox {
    /// Nobody calls; faults and calls are asked for by HTTP
    #[arg(long)]
    quiet: bool,
    /// Where `tollbook serve` is reached, for the webhooks of Twilio
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000")]
    webhooks: String,
}

impl Sandbox {
    pub(super) async fn run(self, given: Given) -> Result<()> {
        let is_named = given
            .effective
            .iter()
            .any(|it| it.name == "listen" && it.source != "default");
        let address = if is_named {
            given.settings.listen
        } else {
            LISTEN
        };
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on `{address}`"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let start = Timestamp::now();
        let seed = start.as_second().unsigned_abs();
        let openphone = OpenPhone::new(SandboxOptions {
            seed,
            start,
            base_url: url.clone(),
            ..SandboxOptions::default()
        })?;
        let twilio = twilio::Sandbox::new(&twilio::SandboxOptions {
            seed,
            start,
            base_url: url.clone(),
            ..twilio::SandboxOptions::default()
        })?;
        let router = openphone.router().merge(twilio.router());
        let phones = Phones { openphone, twilio };
        let webhooks = self.webhooks.trim_end_matches('/');
        let (settings, accounts): (Vec<String>, Vec<_>) =
            accounts_alone(&phones, &url, webhooks)?.into_iter().unzip();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        output::line(format!("listening on {url}"));
        for line in settings {
            output::line(line);
        }
        let today = jiff::civil::Date::MIN;
        let mut stage = Stage::new(phones, accounts, today);
        let stop = CancellationToken::new();
        let play = self.play(&mut stage, start, &stop);
        tokio::select! {
            () = asked_to_stop()? => Ok(()),
            played = play => Ok(played?),
            served = serving => Ok(served??),
        }
    }

    async fn play(
        &self,
        stage: &mut Stage,
        start: Timestamp,
        stop: &CancellationToken,
    ) -> crate::Result<()> {
        let mut from = start;
        loop {
            let to = from.checked_add(PLANNED).unwrap_or(Timestamp::MAX);
            if !self.quiet {
                stage.plan(from, to)?;
            }
            stage.follow(&Clock::System, to, stop).await;
            from = to;
        }
    }
}
