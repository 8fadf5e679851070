//! Fills a database with a year of calls, to measure on: organizations, members, numbers, customers, calls and usage,
//! consistent with the counters. The rows are made by the server itself; nothing but their number crosses the wire.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use tollbook_postgres::{APPLICATION_DATABASE, Options};

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
    migrate
        .args([
            "run",
            "--release",
            "--quiet",
            "--package",
            "tollbook",
            "--",
            "migrate",
            "--data-dir",
        ])
        .arg(data_dir);
    workspace::output(&mut migrate)?;
    let server = tollbook_postgres::start(&Options::new(data_dir.join("postgres")))?;
    let psql = |file: &str, variables: &[(&str, u64)]| -> Result<()> {
        let mut command = Command::new(server.installation().program("psql"));
        command.args([
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &server.superuser_url(APPLICATION_DATABASE),
        ]);
        for (name, value) in variables {
            command.arg("-v").arg(format!("{name}={value}"));
        }
        command.env(
            "PGOPTIONS",
            "-c role=postgres -c client_min_messages=warning",
        );
        command
            .arg("-f")
            .arg(workspace::root()?.join("xtask/sql").join(file));
        workspace::output(&mut command).map(drop)
    };
    psql(
        "fill_base.sql",
        &[("organizations", organizations), ("customers", customers)],
    )?;
    println!(
        "{customers} customers in {organizations} organizations: {} s",
        started.elapsed().as_secs()
    );
    let chunks: Vec<(u64, u64)> = (0..calls.div_ceil(CHUNK))
        .map(|n| (n * CHUNK, ((n + 1) * CHUNK).min(calls)))
        .collect();
    let next = std::sync::Mutex::new(chunks.into_iter());
    std::thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    loop {
                        let chunk = next
                            .lock()
                            .map_err(|_| anyhow::anyhow!("another session failed"))?
                            .next();
                        let Some((from, to)) = chunk else {
                            return Ok(());
                        };
                        psql(
                            "fill_calls.sql",
                            &[
                                ("calls", calls),
                                ("from", from),
                                ("to", to),
                                ("organizations", organizations),
                                ("customers", customers),
                            ],
                        )?;
                        println!("calls {from} to {to}: {} s", started.elapsed().as_secs());
                    }
                })
            })
            .collect();
        sessions.into_iter().try_for_each(|s| {
            s.join()
                .map_err(|_| anyhow::anyhow!("a session panicked"))?
        })
    })?;
    psql("fill_finish.sql", &[]).context("counters and indexes")?;
    println!("{calls} calls: {} s", started.elapsed().as_secs());
    server.stop()?;
    Ok(())
}
