//! Clusters, statements and other processes for these tests.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tollbook_postgres::{Durability, Installation, Options};

/// The variable that makes [`holder`] a process that runs a cluster.
const HOLDER_ROOT: &str = "TOLLBOOK_TEST_HOLDER_ROOT";

/// A temporary folder that every account may enter; the cluster goes below it.
pub(crate) fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(
        folder.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let root = folder.path().join("cluster");
    (folder, root)
}

/// A cluster that does not wait for the disk, for tests that are not about the disk.
pub(crate) fn quick(root: &Path) -> Options {
    Options {
        durability: Durability::OffForTests,
        ..Options::new(root)
    }
}

/// A program of the PostgreSQL that the tests use.
pub(crate) fn psql(url: &str) -> Command {
    let psql = Installation::find(None, None).unwrap().program("psql");
    let mut command = Command::new(psql);
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]);
    command
}

/// Runs statements; what they print, or `None` when they failed.
pub(crate) fn try_query(url: &str, statements: &str) -> Option<String> {
    let output = psql(url)
        .args(["-c", statements])
        .stderr(Stdio::null())
        .output()
        .unwrap();
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

pub(crate) fn query(url: &str, statements: &str) -> String {
    let output = psql(url).args(["-c", statements]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until `probe` answers, for a minute at most.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited a minute in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// The process id of the postmaster in `root`.
pub(crate) fn postmaster(root: &Path) -> Option<i32> {
    fs::read_to_string(root.join("data/postmaster.pid"))
        .ok()?
        .lines()
        .next()?
        .parse()
        .ok()
}

/// Whether a process runs. One that has ended and was not collected by its parent does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.starts_with('Z')
}

pub(crate) fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

/// Another process of this program that runs the cluster in `root`.
pub(crate) struct Holder {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Holder {
    /// Starts the process and waits until its cluster is ready.
    pub(crate) fn start(root: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "support::holder", "--nocapture"])
            .env(HOLDER_ROOT, root);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut holder = Self { child, stdout };
        holder.wait_for("the cluster is ready");
        holder
    }

    fn wait_for(&mut self, text: &str) {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(
                self.stdout.read_line(&mut line).unwrap(),
                0,
                "the holder ended"
            );
        }
    }

    /// Kills the process without giving it a chance to stop anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Not a test of its own: with the variable set it is the process behind [`Holder`].
#[test]
fn holder() {
    let Some(root) = env::var_os(HOLDER_ROOT) else {
        return;
    };
    let _server = tollbook_postgres::start(&quick(Path::new(&root))).unwrap();
    println!("the cluster is ready");
    // Until the test that started it kills it, or ends and so closes the pipe.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
