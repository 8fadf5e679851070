//! One run of PostgreSQL, kept by a small shell script.
//!
//! The script starts `postgres` and reads from a pipe whose other end this process holds. When the pipe
//! closes, for whatever reason, it stops PostgreSQL: a killed parent leaves no server behind. The script
//! does not collect its child before the pipe has closed, so that a signal never meets a reused process
//! id. All processes of the server hold the pipe of its messages; that it has closed therefore says that
//! they are all gone, and that a new one may start.

use std::{
    ffi::OsString,
    io,
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc::Sender},
    thread,
};

use crate::{account::Account, supervisor::Event};

/// First argument: the folder to remove at the end, or nothing. The rest: the command of the server.
///
/// The signals are ignored because a terminal or a service manager sends them to everybody: stopping is
/// the parent's decision. PostgreSQL installs its own handlers for all of them.
const KEEPER: &str = r#"
trap '' HUP INT QUIT TERM
remove=$1
shift
exec 3<&0 </dev/null
"$@" 3<&- >/dev/null &
server=$!
echo "$server"
exec >/dev/null 2>&1
while read -r word <&3; do
  case $word in
    keep) remove= ;;
    *) kill -s "$word" "$server" ;;
  esac
done
kill -s INT "$server"
wait "$server"
status=$?
[ -z "$remove" ] || rm -rf "$remove"
exit "$status"
"#;

/// How to run PostgreSQL.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) account: Account,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// A folder that goes when the server has stopped.
    pub(crate) remove: Option<PathBuf>,
}

/// A started PostgreSQL.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pipe: Pipe,
}

/// Shared with the thread that closes it when the server has ended.
type Pipe = Arc<Mutex<Option<ChildStdin>>>;

impl Process {
    /// Starts PostgreSQL. Its end is sent to `events`, with the last complaint it made.
    pub(crate) fn start(recipe: &Recipe, events: Sender<Event>) -> io::Result<Self> {
        let mut command = recipe.account.command(Path::new("/bin/sh"));
        command.args(["-c", KEEPER, "postgres-keeper"]);
        command.arg(
            recipe
                .remove
                .as_ref()
                .map_or_else(OsString::new, |path| path.clone().into_os_string()),
        );
        command.arg(&recipe.program).args(&recipe.arguments);
        // Its own group: an interrupt typed at a terminal reaches only this process.
        command.process_group(0);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(io::Error::other("a pipe is missing"));
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let pid = line
            .trim()
            .parse()
            .map_err(|_| io::Error::other("the shell did not start PostgreSQL"))?;
        let pipe = Arc::new(Mutex::new(Some(stdin)));
        let drained = Arc::clone(&pipe);
        thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || drain(stderr, child, &drained, &events))?;
        Ok(Self { pid, pipe })
    }

    /// Sends PostgreSQL a signal. Fails when it has ended, or when its keeper was killed.
    pub(crate) fn signal(&self, name: &str) -> io::Result<()> {
        say(&self.pipe, name)
    }
}

/// Hands messages to the log until all processes of the server are gone.
fn drain(stderr: impl Read, mut child: Child, pipe: &Pipe, events: &Sender<Event>) {
    let mut complaint = String::new();
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        log(&line);
        if is_complaint(&line) {
            complaint = line.into_owned();
        }
    }
    // The parent is alive: whether the folder goes is its decision now.
    let _ = say(pipe, "keep");
    *lock(pipe) = None;
    let status = child.wait();
    if complaint.is_empty() {
        complaint = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    }
    // Nobody listens any more once the supervisor has given up.
    let _ = events.send(Event::Ended { said: complaint });
}

fn say(pipe: &Pipe, word: &str) -> io::Result<()> {
    match lock(pipe).as_mut() {
        Some(stdin) => writeln!(stdin, "{word}"),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

fn lock(pipe: &Pipe) -> std::sync::MutexGuard<'_, Option<ChildStdin>> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_complaint(line: &str) -> bool {
    ["FATAL:", "PANIC:", "postgres:"]
        .iter()
        .any(|start| line.starts_with(start))
}

/// PostgreSQL's severities in ours. Errors of statements are answers to the application, which logs what
/// matters of them.
fn log(line: &str) {
    match line.split(':').next() {
        Some("PANIC") => tracing::error!(target: "postgres", "{line}"),
        Some("WARNING") => tracing::warn!(target: "postgres", "{line}"),
        // The end of one session, which has its own error; of the server's start, the caller has it.
        Some("FATAL") => tracing::info!(target: "postgres", "{line}"),
        _ => tracing::debug!(target: "postgres", "{line}"),
    }
}
