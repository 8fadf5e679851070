//! Fills a database with a year of calls, to measure on: organizations, members, numbers, customers, calls and usage,
//! consistent with the counters.

mod calls;
mod copy;

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use tollbook_postgres::{APPLICATION_DATABASE, Durability, Options, Server};

use crate::workspace;

const USAGE: &str = "\
usage: cargo xtask fill --data-dir DIR [--calls N] [--customers N] [--organizations N]

Fills the built-in database of DIR, which nothing else may be using. Defaults: 1,000,000 calls, 100,000 customers,
20 organizations.";

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
    calls::load(&server, (calls, customers, organizations), started).context("calls")?;
    index(&server)?;
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

/// Makes the indexes that were left out, those of the two large tables beside each other, and vacuums all.
fn index(server: &Server) -> Result<()> {
    let tables = ["{calls,call_viewers}", "{usage_events}"];
    std::thread::scope(|scope| {
        let finish = |tables| move || psql(server, "fill_index.sql", &[("tables", tables)]);
        let sessions = tables.map(|tables| scope.spawn(finish(tables)));
        sessions
            .into_iter()
            .try_for_each(|it| it.join().map_err(|_| anyhow!("a session panicked"))?)
    })
    .context("indexes")?;
    psql::<u64>(server, "fill_finish.sql", &[])
}

/// Runs a file.
fn psql<T: Display>(server: &Server, file: &str, variables: &[(&str, T)]) -> Result<()> {
    let mut command = superuser(server, APPLICATION_DATABASE);
    for (name, value) in variables {
        command.arg("-v").arg(format!("{name}={value}"));
    }
    command
        .arg("-f")
        .arg(workspace::root()?.join("xtask/sql").join(file));
    workspace::output(&mut command).map(drop)
}

/// Runs statements, whatever their length.
fn run_sql(server: &Server, statements: &str) -> Result<()> {
    let mut command = superuser(server, APPLICATION_DATABASE);
    let mut psql = command.stdin(Stdio::piped()).spawn()?;
    let mut input = psql.stdin.take().context("psql takes no input")?;
    input.write_all(statements.as_bytes())?;
    drop(input);
    let status = psql.wait()?;
    if !status.success() {
        bail!("psql: {status}");
    }
    Ok(())
}

/// `psql` as the superuser, who alone may load without triggers.
fn superuser(server: &Server, database: &str) -> Command {
    let mut command = Command::new(server.installation().program("psql"));
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d"]);
    command.arg(server.superuser_url(database));
    let options = "-c role=postgres -c client_min_messages=warning -c synchronous_commit=off \
                   -c session_replication_role=replica";
    command.env("PGOPTIONS", options);
    command
}
