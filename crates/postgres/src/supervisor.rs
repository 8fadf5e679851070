//! Keeps PostgreSQL running: waits until it is ready, starts it again when it dies, stops it.

use std::{
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use crate::{
    Error, Installation,
    folder::Folder,
    postmaster::{PidFile, stop_orphan},
    process::{Process, Recipe},
    server::Watch,
};

/// How many ends within [`WINDOW`] are too many.
const ENDS_MAX: usize = 3;
const WINDOW: Duration = Duration::from_mins(1);
/// The pause before a restart, by the number of ends before it within the window.
const BACK_OFF: [Duration; ENDS_MAX] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
];
/// How long sessions may take to end before they are cut.
const STOP_FAST_MAX: Duration = Duration::from_mins(1);
const STOP_IMMEDIATE_MAX: Duration = Duration::from_secs(20);
/// How often readiness is looked up.
const READY_INTERVAL: Duration = Duration::from_millis(5);
/// How long a starting server may find the memory of a killed one still in use by its last sessions.
const LEFTOVERS_MAX: Duration = Duration::from_mins(1);

/// What the supervisor reacts to.
#[derive(Debug)]
pub(crate) enum Event {
    /// All processes of the server are gone.
    Ended { said: String },
    /// The owner wants it stopped.
    Stop,
}

/// The server, as its supervising thread sees it.
pub(crate) struct Supervisor {
    pub(crate) folder: Folder,
    pub(crate) installation: Installation,
    pub(crate) socket_dir: PathBuf,
    pub(crate) recipe: Recipe,
    pub(crate) sender: Sender<Event>,
    pub(crate) events: Receiver<Event>,
    pub(crate) watch: Watch,
}

impl Supervisor {
    /// Starts PostgreSQL and waits until it accepts connections. Recovery after a crash takes as long as
    /// it takes: a limit here would turn a slow start into none.
    pub(crate) fn start(&self) -> Result<Process, Error> {
        let begun = Instant::now();
        loop {
            match self.start_once() {
                // Sessions of a killed postmaster notice its death at their next wait.
                Err(Error::NotStarted { said, .. })
                    if said.contains("pre-existing shared memory block")
                        && begun.elapsed() < LEFTOVERS_MAX =>
                {
                    self.pause(Duration::from_millis(200))?;
                }
                result => return result,
            }
        }
    }

    fn start_once(&self) -> Result<Process, Error> {
        let not_started = |said: String| Error::NotStarted {
            root: self.folder.root.clone(),
            said,
        };
        let process = Process::start(&self.recipe, self.sender.clone())
            .map_err(|error| not_started(error.to_string()))?;
        let data = self.folder.data();
        loop {
            // A file left by an earlier server may say `ready` too; only this one's counts.
            if PidFile::read(&data).is_some_and(|file| file.pid == process.pid && file.is_ready) {
                return Ok(process);
            }
            match self.events.recv_timeout(READY_INTERVAL) {
                Ok(Event::Ended { said }) => return Err(not_started(said)),
                Ok(Event::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.stop(&process)?;
                    return Err(Error::Stopped);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Keeps `process` and its successors running until told to stop, or until it gives up.
    pub(crate) fn run(self, mut process: Process) -> Result<(), Error> {
        let mut ends: Vec<Instant> = Vec::new();
        while let Ok(Event::Ended { said }) = self.events.recv() {
            process = match self.restart(&mut ends, said) {
                Ok(process) => process,
                Err(Error::Stopped) => return self.remove(),
                Err(reason) => {
                    self.watch.give_up(reason);
                    return self.remove();
                }
            };
        }
        self.stop(&process)?;
        self.remove()
    }

    /// Removes what is not needed after the server: a socket folder that lies elsewhere, and the folder of
    /// a cluster that was only wanted for a while.
    pub(crate) fn remove(&self) -> Result<(), Error> {
        let elsewhere = Some(&self.socket_dir).filter(|dir| !dir.starts_with(&self.folder.root));
        let removed = |path: &PathBuf| fs::remove_dir_all(path).map_err(Error::io("remove", path));
        elsewhere
            .into_iter()
            .chain(&self.recipe.remove)
            .try_for_each(removed)
    }

    /// Starts the server again after it ended, and gives up when that happens too often.
    fn restart(&self, ends: &mut Vec<Instant>, mut said: String) -> Result<Process, Error> {
        loop {
            let now = Instant::now();
            ends.retain(|end| now.duration_since(*end) < WINDOW);
            let pause = BACK_OFF.get(ends.len()).copied().unwrap_or_default();
            ends.push(now);
            if ends.len() >= ENDS_MAX {
                let root = self.folder.root.clone();
                return Err(Error::GivenUp {
                    root,
                    times: ends.len(),
                    said,
                });
            }
            tracing::error!(said, "PostgreSQL ended; starting it again");
            self.pause(pause)?;
            match self.start() {
                Err(Error::NotStarted { said: reason, .. }) => said = reason,
                result => return result,
            }
        }
    }

    /// Waits, unless the owner wants the server stopped meanwhile.
    fn pause(&self, duration: Duration) -> Result<(), Error> {
        match self.events.recv_timeout(duration) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            _ => Err(Error::Stopped),
        }
    }

    /// Stops the server: sessions are ended first, cut if that takes too long.
    fn stop(&self, process: &Process) -> Result<(), Error> {
        for (signal, time_max) in [("INT", STOP_FAST_MAX), ("QUIT", STOP_IMMEDIATE_MAX)] {
            if process.signal(signal).is_err() {
                // Its keeper is gone; without a process this does nothing.
                stop_orphan(&self.installation, &self.folder.account, &self.data())?;
            }
            let deadline = Instant::now() + time_max;
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                match self.events.recv_timeout(left) {
                    Ok(Event::Ended { .. }) => return Ok(()),
                    Ok(Event::Stop) => {}
                    Err(_) => break,
                }
            }
        }
        Err(Error::DoesNotStop {
            root: self.folder.root.clone(),
            pid: process.pid,
        })
    }

    fn data(&self) -> PathBuf {
        self.folder.data()
    }
}
