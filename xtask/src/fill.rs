//! Fills a database with a year of calls, to measure on: organizations, members, numbers, customers, calls and usage,
//! consistent with the counters. The rows are made by the server itself; nothing but their number crosses the wire.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use tollbook_postgres::{APPLICATION_DATABASE, Durability, Options, Server};

use crate::workspace;

const USAGE: &str = "\
usage: cargo xtask fill --data-dir DIR [--calls N] [--customers N] [--organizations N]

Fills the built-in database of DIR, which nothing else may be using. Defaults: 1,000,000 calls, 100,000 customers,
20 organizations.";

/// Calls loaded by one statement: enough to be quick, few enough to show progress.
const CHUNK: u64 = 250_000;
/// Statements at a time: one for each core of the smallest machine.
const SESSIONS: usize = 2;

struct Size {
    data_dir: PathBuf,
    calls: u64,
    customers: u64,
    organizations: u64,
}

/// Fills the database that the arguments name.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let size = read(arguments)?;
    fill(
        &size.data_dir,
        size.calls,
        size.customers,
        size.organizations,
    )
}

fn read(arguments: &[&str]) -> Result<Size> {
    let mut size = Size {
        data_dir: PathBuf::new(),
        calls: 1_000_000,
        customers: 100_000,
        organizations: 20,
    };
    for pair in arguments.chunks(2) {
        match pair {
            ["--data-dir", dir] => size.data_dir = PathBuf::from(dir),
            ["--calls", n] => size.calls = n.parse()?,
            ["--customers", n] => size.customers = n.parse()?,
            ["--organizations", n] => size.organizations = n.parse()?,
            _ => bail!("{USAGE}"),
        }
    }
    if size.data_dir.as_os_str().is_empty()
        || size.calls == 0
        || size.customers < size.organizations
        || size.organizations == 0
    {
        bail!("{USAGE}");
    }
    Ok(size)
}

/// Brings the database of a data folder to the schema and fills it.
pub(crate) fn fill(data_dir: &Path, calls: u64, customers: u64, organizations: u64) -> Result<()> {
    let started = Instant::now();
    let mut migrate = workspace::cargo()?;
    migrate.args(["run", "--quiet", "--package", "tollbook"]);
    migrate.args(["--", "migrate", "--data-dir"]).arg(data_dir);
    workspace::output(&mut migrate)?;
    let server = tollbook_postgres::start(&loading(data_dir))?;
    let of = [("organizations", organizations), ("customers", customers)];
    psql(&server, "fill_base.sql", &of)?;
    println!(
        "{customers} customers in {organizations} organizations: {} s",
        started.elapsed().as_secs()
    );
    fill_calls(&server, calls, of, started)?;
    psql(&server, "fill_finish.sql", &[]).context("counters and indexes")?;
    println!("{calls} calls: {} s", started.elapsed().as_secs());
    server.stop()?;
    Ok(())
}

/// What is filled can be filled again, so nothing waits for the disk, is logged twice or vacuumed meanwhile.
fn loading(data_dir: &Path) -> Options {
    let setting = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Options {
        durability: Durability::OffForTests,
        settings: [
            ("autovacuum", "off"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
            ("wal_compression", "off"),
            ("max_wal_size", "32GB"),
        ]
        .map(setting)
        .to_vec(),
        ..Options::new(data_dir.join("postgres"))
    }
}

/// Loads the calls in chunks, on several sessions.
fn fill_calls(server: &Server, calls: u64, of: [(&str, u64); 2], started: Instant) -> Result<()> {
    let chunk = |n: u64| (n * CHUNK, ((n + 1) * CHUNK).min(calls));
    let next = Mutex::new((0..calls.div_ceil(CHUNK)).map(chunk));
    let load = || -> Result<()> {
        loop {
            let chunk = next
                .lock()
                .map_err(|_| anyhow!("another session failed"))?
                .next();
            let Some((from, to)) = chunk else {
                return Ok(());
            };
            let [organizations, customers] = of;
            let range = [("calls", calls), ("from", from), ("to", to)];
            let variables = [range.as_slice(), &[organizations, customers]].concat();
            psql(server, "fill_calls.sql", &variables)?;
            println!("calls {from} to {to}: {} s", started.elapsed().as_secs());
        }
    };
    std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS).map(|_| scope.spawn(load)).collect();
        sessions
            .into_iter()
            .try_for_each(|it| it.join().map_err(|_| anyhow!("a session panicked"))?)
    })
}

/// Runs a file as the superuser, who alone may switch off triggers.
fn psql(server: &Server, file: &str, variables: &[(&str, u64)]) -> Result<()> {
    let mut command = Command::new(server.installation().program("psql"));
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"]);
    command.arg(server.superuser_url(APPLICATION_DATABASE));
    for (name, value) in variables {
        command.arg("-v").arg(format!("{name}={value}"));
    }
    let options = "-c role=postgres -c client_min_messages=warning";
    command.env("PGOPTIONS", options);
    command
        .arg("-f")
        .arg(workspace::root()?.join("xtask/sql").join(file));
    workspace::output(&mut command).map(drop)
}
