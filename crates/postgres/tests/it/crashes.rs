//! Processes that are killed: what was committed is there, and nothing keeps running.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use tollbook_postgres::{Error, Options, attach, start};

use crate::support::{
    Holder, folder, is_alive, kill, postmaster, psql, query, quick, try_query, until,
};

/// Rows that the writer means to insert; it is always interrupted long before.
const ROWS: usize = 200_000;

/// A client that commits row after row and prints each number that was committed.
struct Writer {
    client: Child,
    committed: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Writer {
    fn start(url: &str) -> Self {
        query(url, "create table tally (n int primary key)");
        let mut client = psql(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = client.stdin.take().unwrap();
        let committed = BufReader::new(client.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            let mut script = String::new();
            for n in 0..ROWS {
                writeln!(script, "insert into tally values ({n}) returning n;").unwrap();
            }
            // The client dies with its server, in the middle.
            let _ = stdin.write_all(script.as_bytes());
        });
        Self { client, committed }
    }

    /// Waits for a few commits, interrupts with `action`, and returns all that were acknowledged.
    fn interrupted_by(mut self, action: impl FnOnce()) -> BTreeSet<usize> {
        let mut committed = BTreeSet::new();
        for line in self.committed.by_ref().take(100) {
            committed.insert(line.unwrap().parse().unwrap());
        }
        assert_eq!(committed.len(), 100);
        action();
        for line in self.committed.map_while(Result::ok) {
            committed.extend(line.parse::<usize>());
        }
        assert!(
            !self.client.wait().unwrap().success(),
            "the client was to be interrupted"
        );
        committed
    }
}

fn rows(url: &str) -> BTreeSet<usize> {
    query(url, "select n from tally")
        .lines()
        .map(|line| line.parse().unwrap())
        .collect()
}

/// The process that watches over the postmaster: its parent.
fn keeper(postmaster: i32) -> i32 {
    let output = Command::new("ps")
        .args(["-o", "ppid=", "-p", &postmaster.to_string()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Whether the server in `root` was shut down, rather than cut off.
fn was_shut_down(root: &Path) -> bool {
    let control = tollbook_postgres::Installation::find(None, None)
        .unwrap()
        .program("pg_controldata");
    let output = Command::new(control)
        .env("LC_ALL", "C")
        .arg(root.join("data"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .any(|line| line.starts_with("Database cluster state:") && line.ends_with("shut down"))
}

#[test]
fn a_killed_parent_leaves_no_server_and_loses_nothing() {
    let (_folder, root) = folder();
    let holder = Holder::start(&root);
    let pid = postmaster(&root).unwrap();
    let url = attach(&root).unwrap().unwrap().url("tollbook");
    let committed = Writer::start(&url).interrupted_by(|| holder.kill());
    until("the server stops", || (!is_alive(pid)).then_some(()));
    assert!(was_shut_down(&root));

    let server = start(&quick(&root)).unwrap();
    assert!(rows(&server.url("tollbook")).is_superset(&committed));
    server.stop().unwrap();
}

#[test]
fn a_start_right_after_the_parent_was_killed_waits_for_the_old_server() {
    let (_folder, root) = folder();
    let holder = Holder::start(&root);
    let pid = postmaster(&root).unwrap();
    holder.kill();
    let server = start(&quick(&root)).unwrap();
    assert!(!is_alive(pid));
    assert_eq!(query(&server.url("tollbook"), "select 1"), "1");
    server.stop().unwrap();
}

#[test]
fn an_orphan_is_stopped_cleanly_by_the_next_start() {
    let (_folder, root) = folder();
    let holder = Holder::start(&root);
    let pid = postmaster(&root).unwrap();
    let url = attach(&root).unwrap().unwrap().url("tollbook");
    query(
        &url,
        "create table tally (n int); insert into tally values (7)",
    );
    kill(keeper(pid));
    holder.kill();
    assert!(is_alive(pid), "without its keeper the server lives on");

    let server = start(&quick(&root)).unwrap();
    assert!(!is_alive(pid));
    assert_eq!(query(&server.url("tollbook"), "select n from tally"), "7");
    server.stop().unwrap();
}

#[test]
fn a_server_without_its_keeper_is_still_stopped() {
    let (_folder, root) = folder();
    let server = start(&quick(&root)).unwrap();
    let pid = postmaster(&root).unwrap();
    kill(keeper(pid));
    server.stop().unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn a_killed_postmaster_is_started_again_with_every_committed_row() {
    let (_folder, root) = folder();
    let server = start(&Options::new(&root)).unwrap();
    let url = server.url("tollbook");
    let pid = postmaster(&root).unwrap();
    let committed = Writer::start(&url).interrupted_by(|| kill(pid));
    until("the server answers again", || try_query(&url, "select 1"));
    assert_ne!(postmaster(&root), Some(pid));
    assert!(rows(&url).is_superset(&committed));
    server.stop().unwrap();
}

#[test]
fn the_third_death_within_a_minute_is_reported_and_final() {
    let (_folder, root) = folder();
    let server = start(&quick(&root)).unwrap();
    let (sender, failure) = mpsc::channel();
    server.on_failure(move |error| sender.send(error).unwrap());
    let mut killed = 0;
    for _ in 0..3 {
        killed = until("a new server", || {
            let running = attach(&root).unwrap()?;
            try_query(&running.url("tollbook"), "select 1")?;
            postmaster(&root).filter(|pid| *pid != killed)
        });
        kill(killed);
    }
    let error = failure.recv_timeout(Duration::from_mins(1)).unwrap();
    assert!(matches!(error, Error::GivenUp { times: 3, .. }), "{error}");
    assert_eq!(attach(&root).unwrap(), None);
    server.stop().unwrap();
}

#[test]
fn a_first_start_that_was_cut_short_starts_over() {
    let (_folder, root) = folder();
    fs::create_dir_all(root.join("data.new/base")).unwrap();
    fs::write(root.join("lock"), "").unwrap();
    fs::write(root.join("data.new/PG_VERSION"), "15").unwrap();
    let server = start(&quick(&root)).unwrap();
    assert_eq!(query(&server.url("tollbook"), "select 1"), "1");
    assert!(!root.join("data.new").exists());
    server.stop().unwrap();
}
