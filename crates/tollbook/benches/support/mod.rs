//! What the benchmarks share: a durable cluster of their own, the server as a process, connections without a client's
//! overhead, and figures.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]
#![allow(
    dead_code,
    unused_imports,
    clippy::allow_attributes,
    reason = "each benchmark uses a part of this"
)]

mod cpu;
mod figures;
mod sale;
mod wire;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) use cpu::cpu_of_tree;
pub(crate) use figures::{print_quantiles, rate, ratio};
pub(crate) use sale::make_customers;
use sha2::{Digest as _, Sha256};
use tollbook_postgres::{APPLICATION_DATABASE, Options};
pub(crate) use wire::{Wire, get, post};

/// The key of the organization that is measured with.
pub(crate) const API_KEY: &str = "tb_bench-bench-bench-bench-bench-bench-bench";
/// Signs tokens of users.
pub(crate) const JWT_SECRET: &str = "bench-secret-bench-secret-bench-secret";
/// Signs webhooks of the platform's account.
pub(crate) const WEBHOOK_SECRET: &str = "YmVuY2gtd2ViaG9vay1zZWNyZXQtYmVuY2gtd2ViaG9vaw==";

/// Whether something is to be measured: `cargo test` only checks that a benchmark compiles and starts.
pub(crate) fn is_asked() -> bool {
    let is_asked = std::env::args().any(|argument| argument == "--bench");
    if !is_asked {
        println!("nothing to measure, run `cargo xtask bench`");
    }
    is_asked
}

/// A cluster that waits for the disk, with the settings of the product.
pub(crate) struct Cluster {
    server: tollbook_postgres::Server,
    folder: PathBuf,
}

impl Cluster {
    /// In a folder of its own that goes when it stops.
    pub(crate) fn start() -> Self {
        let scratch = Options::scratch().unwrap();
        let folder = scratch.root.clone();
        let mut options = Options::new(folder.clone());
        options.remove_when_stopped = true;
        options.settings = vec![
            ("max_connections".to_owned(), "200".to_owned()),
            // Tells when a row became visible.
            ("track_commit_timestamp".to_owned(), "on".to_owned()),
        ];
        if shows_statements() {
            let preload = ("shared_preload_libraries", "pg_stat_statements");
            options
                .settings
                .push((preload.0.to_owned(), preload.1.to_owned()));
        }
        let server = tollbook_postgres::start(&options).unwrap();
        let cluster = Self { server, folder };
        cluster.age();
        cluster
    }

    /// A cluster in service has files of its log to use again. In a new one whoever needs the next file makes it and
    /// writes it full, while everybody waits.
    fn age(&self) {
        let write = "create table written as select repeat(md5(n::text), 40) as words from generate_series(1, 1500000) n; drop table written";
        self.run("postgres", write);
        self.run("postgres", "checkpoint");
    }

    /// As the application's login.
    pub(crate) fn url(&self) -> String {
        self.server.url(APPLICATION_DATABASE)
    }

    /// As the superuser, in any database.
    pub(crate) fn superuser_url(&self, database: &str) -> String {
        self.server.superuser_url(database)
    }

    /// Runs statements as the superuser.
    pub(crate) fn run(&self, database: &str, statements: &str) -> String {
        let output = Command::new(self.server.installation().program("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-c",
                statements,
                "-d",
            ])
            .arg(self.superuser_url(database))
            .env("PGOPTIONS", "-c role=postgres")
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "psql: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Prints where the database's time went, with `TOLLBOOK_BENCH_STATEMENTS` set.
    pub(crate) fn print_statements(&self) {
        if shows_statements() {
            let statements = r"create extension if not exists pg_stat_statements;
                select round(total_exec_time)::bigint || ' ms  ' || calls || ' x  ' || rows || ' rows  ' || left(regexp_replace(query, '\s+', ' ', 'g'), 150)
                from pg_stat_statements order by total_exec_time desc limit 25";
            println!("{}", self.run(APPLICATION_DATABASE, statements));
        }
    }

    /// CPU time of PostgreSQL since it started.
    pub(crate) fn cpu(&self) -> Duration {
        let pid_file = find(&self.folder, "postmaster.pid").expect("a running cluster");
        let text = std::fs::read_to_string(pid_file).unwrap();
        cpu_of_tree(text.lines().next().unwrap().trim().parse().unwrap())
    }
}

fn shows_statements() -> bool {
    std::env::var_os("TOLLBOOK_BENCH_STATEMENTS").is_some()
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let here = folder.join(name);
    if here.exists() {
        return Some(here);
    }
    let below = std::fs::read_dir(folder).ok()?.flatten();
    below
        .filter(|it| it.path().join("PG_VERSION").exists())
        .find_map(|it| find(&it.path(), name))
}

/// The server as a process of its own.
pub(crate) struct Node {
    process: Child,
    /// Such as `127.0.0.1:41234`.
    pub(crate) address: String,
}

impl Node {
    /// Starts `tollbook serve` with more arguments, and waits until it listens.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("tollbook-bench-{}", std::process::id()));
        let mut process = Command::new(env!("CARGO_BIN_EXE_tollbook"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env(
                "TOLLBOOK_SECRET_KEY",
                "bench-bench-bench-bench-bench-bench-bench",
            )
            .env("SUPABASE_JWT_SECRET", JWT_SECRET)
            .env("OPENPHONE_WEBHOOK_SECRET", WEBHOOK_SECRET)
            .env("OPENPHONE_API_KEY", "bench")
            // Nothing listens there: what would be asked of the provider is no part of what is measured.
            .env("OPENPHONE_BASE_URL", "http://127.0.0.1:9")
            .env("TOLLBOOK_RATE_LIMIT_USER", "1000000")
            .env("TOLLBOOK_RATE_LIMIT_KEY", "1000000")
            .env("TMPDIR", folder.parent().unwrap())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split("listening on http://").nth(1)?.trim().to_owned()))
            .expect("the server says where it listens");
        Self { process, address }
    }

    /// CPU time of the process so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of_tree(self.process.id())
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}

/// An id that is the same in every run: a kind and a number.
pub(crate) fn id(kind: u8, n: u64) -> String {
    format!("018d0000-00{kind:02x}-7000-8000-{n:012x}")
}

/// An organization with so many numbers that are its own, and an administrator's API key.
pub(crate) fn make_organization(cluster: &Cluster, numbers: u64) {
    let digest = hex::encode(Sha256::digest(API_KEY.as_bytes()));
    let organization = id(1, 0);
    cluster.run(
        APPLICATION_DATABASE,
        &format!(
            "set session_replication_role = replica;
             insert into organizations (id, name, external_key) values ('{organization}', 'Bench', 'bench');
             insert into sellers (id, organization_id, invoice_prefix) values ('{organization}', '{organization}', 'B');
             insert into api_keys (organization_id, id, name, digest, prefix, scopes)
                 values ('{organization}', '{organization}', 'bench', '\\x{digest}', 'tb_bench', '{{usage}}');
             insert into phone_numbers (id, e164, provider, provider_number_sid, organization_id)
                 select ('018d0000-0002-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '+1212' || lpad(n::text, 7, '0'), 'openphone', 'PNbench' || n, '{organization}'
                 from generate_series(0, {numbers} - 1) n;
             insert into number_mappings (id, phone_number_id, organization_id, starts_at)
                 select ('018d0000-0003-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                     ('018d0000-0002-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '{organization}', '2024-01-01'
                 from generate_series(0, {numbers} - 1) n;"
        ),
    );
}
