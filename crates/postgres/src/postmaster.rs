//! What PostgreSQL says about itself in `postmaster.pid`, and how to stop a server by it.

use std::{
    fs, io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, test_kill_process};

use crate::{Error, Installation, account::Account};

/// How long a process may take to go after its file went, and how often that is looked at.
const ENDING_MAX: Duration = Duration::from_secs(5);
const ENDING_INTERVAL: Duration = Duration::from_millis(10);

/// The lines of `postmaster.pid` that matter here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    pub(crate) socket_dir: PathBuf,
    port: String,
    /// PostgreSQL writes this once it accepts connections.
    pub(crate) is_ready: bool,
}

impl PidFile {
    /// Reads the file; `None` when there is none or it is still being written.
    pub(crate) fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(data.join("postmaster.pid")).ok()?)
    }

    /// The layout is pid, data folder, start time, port, socket folder, TCP address, shared memory key,
    /// status (`src/include/utils/pidfile.h`).
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let port = lines.nth(2).unwrap_or_default().trim().to_owned();
        let socket_dir = PathBuf::from(lines.next().unwrap_or_default());
        let is_ready = lines.nth(2).is_some_and(|status| status.trim() == "ready");
        Some(Self {
            pid,
            socket_dir,
            port,
            is_ready,
        })
    }

    /// Whether somebody listens on the socket. A file left by a killed server names one that is dead.
    pub(crate) fn answers(&self) -> bool {
        UnixStream::connect(self.socket_dir.join(format!(".s.PGSQL.{}", self.port))).is_ok()
    }
}

/// Stops the server that runs in `data` without a living parent, cleanly if it can. The caller holds the
/// folder's lock, so the server is nobody's.
pub(crate) fn stop_orphan(
    installation: &Installation,
    account: &Account,
    data: &Path,
) -> Result<(), Error> {
    let Some(pid) = PidFile::read(data).map(|file| file.pid) else {
        return Ok(());
    };
    if !runs_in(pid, data) {
        return Ok(()); // PostgreSQL replaces a stale file itself.
    }
    tracing::warn!(
        pid,
        "stopping the PostgreSQL that a killed process left behind"
    );
    // `fast` ends the sessions, `immediate` recovers at the next start.
    for (mode, timeout_seconds) in [("fast", "60"), ("immediate", "20")] {
        let mut command = account.command(&installation.program("pg_ctl"));
        command
            .args([
                "stop",
                "--silent",
                "--mode",
                mode,
                "--timeout",
                timeout_seconds,
                "--pgdata",
            ])
            .arg(data);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        // It also fails when the server is ending by itself: its file goes a moment before its process does.
        if status.is_ok_and(|status| status.success()) || ends_by_itself(pid, data) {
            return Ok(());
        }
    }
    Err(Error::DoesNotStop {
        root: data.into(),
        pid,
    })
}

fn ends_by_itself(pid: i32, data: &Path) -> bool {
    let until = Instant::now() + ENDING_MAX;
    while runs_in(pid, data) {
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(ENDING_INTERVAL);
    }
    true
}

/// Whether process `pid` is alive and works in `data`. Where the system does not tell in which folder a
/// process works (it is not Linux, or a container forbids it), a living process counts.
fn runs_in(pid: i32, data: &Path) -> bool {
    if Pid::from_raw(pid).is_none_or(|pid| test_kill_process(pid).is_err()) {
        return false;
    }
    if has_ended(pid) {
        return false;
    }
    match fs::read_link(format!("/proc/{pid}/cwd")) {
        Ok(folder) => fs::canonicalize(data).is_ok_and(|data| data == folder),
        // It has ended, and its parent has not collected it yet.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && Path::new("/proc/self").exists() =>
        {
            false
        }
        Err(_) => true,
    }
}

/// Whether a process has ended and only waits to be collected, as far as the system tells. Another user may be refused
/// its folder then, but not its state: the letter after the name in parentheses.
fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| state.starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eighth_line_tells_readiness() {
        let text = "4711\n/srv/data\n1795248081\n5432\n/srv/run\n\n 10108934         4\nready   \n";
        let expected = PidFile {
            pid: 4711,
            socket_dir: "/srv/run".into(),
            port: "5432".into(),
            is_ready: true,
        };
        assert_eq!(PidFile::parse(text), Some(expected));
        assert!(
            !PidFile::parse(&text.replace("ready", "starting"))
                .unwrap()
                .is_ready
        );
        assert!(!PidFile::parse("4711\n/srv/data\n").unwrap().is_ready);
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn a_living_process_in_another_folder_is_not_the_server() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(runs_in(own, &std::env::current_dir().unwrap()));
        assert!(!runs_in(own, Path::new("/usr")));
    }
}
