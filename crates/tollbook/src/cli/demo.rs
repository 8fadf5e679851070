//! `tollbook demo`

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tollbook_postgres::{APPLICATION_DATABASE, Durability, Options, Server};
use tollbook_providers::openphone::sandbox::{Sandbox as OpenPhone, SandboxOptions};
use tollbook_providers::twilio::sandbox as twilio;
use tollbook_providers::{Http, Timeouts};

use super::serve::{Failure, asked_to_stop};
use super::{Given, database, output, secret_key};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::{Connection, Db};
use crate::node::{Node, Work};
use crate::sandbox::{
    self, Calendar, Phones, Player, Provider, Providers, SignIn, Stage, Twilio, World,
};
use crate::secrets::{Secrets, random};

/// The sandbox answers as fast as it can: its limits are for tests.
const SANDBOX_REQUESTS_PER_SECOND: u32 = 10_000;
/// Webhooks under way at the same time.
const LANES: usize = 16;
/// How often the past is reported.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Shows everything with nothing set up: made-up organizations, customers and calls
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tollbook demo\n  tollbook demo --listen 127.0.0.1:4001 --data-dir ~/tollbook-demo --speed 10"
)]
pub(super) struct Demo {
    /// Seconds of business per second
    #[arg(long, value_name = "FACTOR", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,
    /// End by itself after so long, such as `60s`
    #[arg(long = "for", value_name = "TIME")]
    end_after: Option<SignedDuration>,
    /// Nobody calls
    #[arg(long)]
    quiet: bool,
}

/// What a demo runs on.
struct Ground {
    server: Server,
    connection: Connection,
    secrets: Secrets,
}

/// Tells what happens, and how long it took so far.
#[derive(Clone, Copy)]
struct Teller(Instant);

impl Teller {
    fn tell(self, text: impl std::fmt::Display) {
        output::note(format!("{:6.1} s  {text}", self.0.elapsed().as_secs_f64()));
    }
}

impl Demo {
    pub(super) async fn run(self, given: Given) -> Result<()> {
        let teller = Teller(Instant::now());
        // First, since it is what most often cannot be had.
        let listener = listen(given.settings.listen).await?;
        let ground = Ground::open(&given.settings, teller).await?;
        let failed = Arc::new(Failure::default());
        let told = Arc::clone(&failed);
        ground.server.on_failure(move |error| told.report(&error));
        let outcome = self
            .show(given.settings, &ground, listener, &failed, teller)
            .await;
        let server = ground.server;
        tokio::task::spawn_blocking(move || server.stop()).await??;
        outcome
    }

    async fn show(
        &self,
        mut settings: Settings,
        ground: &Ground,
        listener: TcpListener,
        failed: &Failure,
        teller: Teller,
    ) -> Result<()> {
        let sessions = settings.database_sessions;
        let db = Db::connect(&ground.connection, sessions)
            .await
            .with_context(|| format!("cannot reach {:?}", ground.connection))?;
        let last_heard = sandbox::last_heard(&db).await?;
        let calendar = Calendar::new(Timestamp::now(), last_heard)?;
        let start = if self.quiet {
            calendar.joined
        } else {
            calendar.past
        };
        let address = listener.local_addr()?;
        let password = password(address)?;
        let http = Http::new(Timeouts::default())?;
        let clock = Clock::scaled(start, 0);
        // Twilio signs for the address that it is given, which is the one where we reach ourselves.
        let our_url = format!("http://{}", reachable(address));
        settings.server_url = Some(our_url.clone());
        let app = App::new(db, clock, settings, ground.secrets.clone(), http.clone());
        let (providers, serving) = provide(start, self.speed, our_url, http).await?;
        let world = sandbox::set_up(&app, &providers, &password, calendar.today()?).await?;
        teller.tell("two organizations with plans and customers are set up");
        let node = Node::start(app.clone(), &ground.connection, Work::All, listener)?;
        introduce(address, &password, &world.sign_ins);
        let halt = CancellationToken::new();
        let playing = self.play(
            &app,
            Phones {
                openphone: providers.openphone.sandbox,
                twilio: providers.twilio.sandbox,
            },
            world,
            calendar,
            halt.clone(),
            teller,
        )?;
        let outcome = self.wait(playing, &halt, failed).await;
        if outcome.is_ok() && !self.quiet {
            let (calls, invoices) = sandbox::tally(&app).await?;
            teller.tell(format_args!("{calls} calls and {invoices} invoices in all"));
        }
        node.stop().await;
        serving.abort();
        outcome
    }

    /// Plays the traffic in a task of its own, while everything is being served.
    fn play(
        &self,
        app: &App,
        phones: Phones,
        world: World,
        calendar: Calendar,
        halt: CancellationToken,
        teller: Teller,
    ) -> Result<JoinHandle<crate::Result<()>>> {
        if self.quiet {
            app.clock.set(app.clock.now(), self.speed);
            return Ok(tokio::spawn(async move {
                halt.cancelled().await;
                Ok(())
            }));
        }
        let stage = Stage::new(phones, world.accounts, calendar.today()?);
        let mut player = Player::new(app.clone(), stage, self.speed, halt);
        Ok(tokio::spawn(async move {
            let mut told_at = Instant::now();
            let mut calls = 0;
            let tell = |progress: sandbox::Progress| {
                calls = progress.calls;
                if told_at.elapsed() >= TELL_EVERY {
                    told_at = Instant::now();
                    let day = progress.at.strftime("%-d %B %Y");
                    teller.tell(format_args!("playing the past: {calls} calls until {day}"));
                }
            };
            player.play_past(&calendar, tell).await?;
            teller.tell(format_args!(
                "the past has been played with {calls} calls, live traffic begins"
            ));
            player.play_on().await
        }))
    }

    /// Waits for the end of the demo, whatever it is, and for everybody to hang up.
    async fn wait(
        &self,
        mut playing: JoinHandle<crate::Result<()>>,
        halt: &CancellationToken,
        failed: &Failure,
    ) -> Result<()> {
        let patience = match self.end_after {
            Some(time) => Duration::try_from(time).context("`--for` is not a time from now on")?,
            None => Duration::MAX,
        };
        tokio::select! {
            () = asked_to_stop()? => {}
            () = tokio::time::sleep(patience) => {}
            () = failed.happened.notified() => return Err(failed.error()),
            ended = &mut playing => return Ok(ended??),
        }
        halt.cancel();
        Ok(playing.await??)
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        if error.kind() == std::io::ErrorKind::AddrInUse {
            let other = SocketAddr::new(address.ip(), address.port().saturating_add(1));
            anyhow!("`{address}` is taken: stop what listens there, or try `--listen {other}`")
        } else {
            anyhow!(error).context(format!("cannot listen on `{address}`"))
        }
    })
}

impl Ground {
    /// Starts a database of the demo's own, whatever database the environment names.
    async fn open(settings: &Settings, teller: Teller) -> Result<Self> {
        let (options, secrets) = match &settings.data_dir {
            Some(folder) => kept(settings, folder)?,
            None => temporary(settings)?,
        };
        teller.tell(format_args!(
            "starting PostgreSQL in {}",
            options.root.display()
        ));
        let server =
            tokio::task::spawn_blocking(move || tollbook_postgres::start(&options)).await??;
        teller.tell(format_args!(
            "PostgreSQL {} is ready",
            server.installation().major()
        ));
        let connection = Connection::builtin(&server.url(APPLICATION_DATABASE))?;
        crate::db::migrate(&connection)
            .await
            .context("cannot make the tables")?;
        teller.tell("the tables are made");
        Ok(Self {
            server,
            connection,
            secrets,
        })
    }
}

/// A folder that a later start goes on with, as `serve` lays it out.
fn kept(settings: &Settings, folder: &Path) -> Result<(Options, Secrets)> {
    let options = Options {
        bin_dir: settings.postgres_bin.clone(),
        ..Options::new(database::cluster_dir(settings)?)
    };
    Ok((options, secret_key::secrets(settings, folder)?))
}

/// A folder that goes when the demo ends, also when it is killed. Nothing in it has to survive a power cut.
fn temporary(settings: &Settings) -> Result<(Options, Secrets)> {
    let name = format!("tollbook-demo-{}", std::process::id());
    let root: PathBuf = std::env::temp_dir().join(name);
    if root.exists() {
        bail!("`{}` is left from another demo: remove it", root.display());
    }
    let options = Options {
        bin_dir: settings.postgres_bin.clone(),
        durability: Durability::OffForTests,
        remove_when_stopped: true,
        ..Options::new(root)
    };
    Ok((
        options,
        Secrets::new(&URL_SAFE_NO_PAD.encode(random::<32>()?)),
    ))
}

/// Serves the stand-ins of the phone providers on a port of their own.
async fn provide(
    start: Timestamp,
    speed: u32,
    our_url: String,
    http: Http,
) -> Result<(Providers, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}", listener.local_addr()?);
    // Ids that an earlier start has used must not come again.
    let first_id = start.as_second().unsigned_abs();
    let openphone = OpenPhone::new(SandboxOptions {
        seed: first_id,
        start,
        base_url: url.clone(),
        requests_per_second: SANDBOX_REQUESTS_PER_SECOND.try_into()?,
        lanes: LANES,
        speed: speed.try_into()?,
        // What is told at the end of a stride happened at any time in it.
        link_ttl: sandbox::STRIDE.saturating_mul(2),
    })?;
    let twilio = twilio::Sandbox::new(&twilio::SandboxOptions {
        seed: first_id,
        start,
        base_url: url.clone(),
        ..twilio::SandboxOptions::default()
    })?;
    let router = openphone.router().merge(twilio.router());
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the stand-ins are not served any more");
        }
    });
    let providers = Providers {
        openphone: Provider {
            sandbox: openphone,
            url: url.clone(),
            our_url: our_url.clone(),
            http,
        },
        twilio: Twilio {
            sandbox: twilio,
            url,
            our_url,
        },
    };
    Ok((providers, serving))
}

/// Where we reach ourselves.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// A password that is easy to remember, where only this machine can use it.
fn password(address: SocketAddr) -> Result<String> {
    if address.ip().is_loopback() {
        return Ok("tollbook-demo".to_owned());
    }
    Ok(URL_SAFE_NO_PAD.encode(random::<12>()?))
}

/// Says where the demo is and how to get in, at once: programs read this.
fn introduce(address: SocketAddr, password: &str, sign_ins: &[SignIn]) {
    let mut lines = vec![format!("listening on http://{}", reachable(address))];
    for SignIn { mail, role } in sign_ins {
        lines.push(format!(
            "sign in as {mail} with password {password} ({role})"
        ));
    }
    output::line(lines.join("\n"));
}
