//! A running cluster in the hands of the process that started it.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, mpsc, mpsc::Sender},
    thread,
    thread::JoinHandle,
};

use crate::{
    APPLICATION_LOGIN, Error, Installation, Options, SUPERUSER,
    folder::Folder,
    initialise::{data_major, has_lz4, initialise},
    postmaster::stop_orphan,
    process::Recipe,
    settings::{Machine, disk_bytes, memory_bytes, settings},
    supervisor::{Event, Supervisor},
    url,
};

/// A running cluster. It is stopped when this is dropped, and also when the process is killed.
#[derive(Debug)]
pub struct Server {
    socket_dir: PathBuf,
    installation: Installation,
    sender: Sender<Event>,
    supervisor: Option<JoinHandle<Result<(), Error>>>,
    watch: Watch,
}

/// Starts the cluster in `options.root` and waits until it accepts connections: makes it at the first
/// start, and stops what a killed process may have left behind. Blocks; the first start takes about a
/// second, later ones a tenth of that, or as long as the recovery after a crash takes.
pub fn start(options: &Options) -> Result<Server, Error> {
    let folder = Folder::open(&options.root)?;
    let data = folder.data();
    let major = data_major(&folder)?;
    let installation =
        Installation::find(options.bin_dir.as_deref(), major).map_err(|error| match error {
            Error::WrongMajor { needed, found, .. } => Error::WrongMajor {
                data: data.clone(),
                needed,
                found,
            },
            error => error,
        })?;
    match major {
        None => initialise(&folder, &installation, options.durability)?,
        Some(_) => stop_orphan(&installation, &folder.account, &data)?,
    }
    let socket_dir = folder.socket_dir()?;
    let (sender, events) = mpsc::channel();
    let watch = Watch::default();
    let supervisor = Supervisor {
        recipe: recipe(&folder, &installation, &socket_dir, options),
        folder,
        socket_dir: socket_dir.clone(),
        installation: installation.clone(),
        sender: sender.clone(),
        events,
        watch: watch.clone(),
    };
    let process = match supervisor.start() {
        Ok(process) => process,
        Err(error) => {
            supervisor.remove()?;
            return Err(error);
        }
    };
    tracing::info!(version = installation.major(), root = %options.root.display(), "the private PostgreSQL is ready");
    let supervisor = thread::Builder::new()
        .name("postgres-supervisor".to_owned())
        .spawn(move || supervisor.run(process))
        .map_err(Error::io("watch over", &options.root))?;
    Ok(Server {
        socket_dir,
        installation,
        sender,
        supervisor: Some(supervisor),
        watch,
    })
}

/// The command line. Later settings win, and those that make the cluster private come last.
fn recipe(
    folder: &Folder,
    installation: &Installation,
    socket_dir: &Path,
    options: &Options,
) -> Recipe {
    let data = folder.data();
    let machine = Machine {
        memory_bytes: memory_bytes(),
        disk_bytes: disk_bytes(&data),
        has_lz4: has_lz4(folder, installation, &data),
    };
    let private = [
        ("unix_socket_permissions", "0700"),
        ("port", "5432"),
        ("logging_collector", "off"),
        ("log_destination", "stderr"),
        ("log_line_prefix", ""),
    ];
    let mut arguments = vec![
        OsString::from("-D"),
        data.into_os_string(),
        "-k".into(),
        socket_dir.into(),
    ];
    let mut set =
        |name: &str, value: &str| arguments.extend(["-c".into(), format!("{name}={value}").into()]);
    // First, so that complaints about the settings below can be read.
    set("log_line_prefix", "");
    set("listen_addresses", "");
    for (name, value) in settings(machine, options.durability)
        .iter()
        .chain(&options.settings)
    {
        set(name, value);
    }
    for (name, value) in private {
        set(name, value);
    }
    Recipe {
        account: folder.account.clone(),
        program: installation.program("postgres"),
        arguments,
        remove: options.remove_when_stopped.then(|| folder.root.clone()),
    }
}

impl Server {
    /// The folder that holds the socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The address of a database for the login `tollbook`.
    pub fn url(&self, database: &str) -> String {
        url(APPLICATION_LOGIN, database, &self.socket_dir)
    }

    /// The address of a database for the superuser. Row-level security does not bind it.
    pub fn superuser_url(&self, database: &str) -> String {
        url(SUPERUSER, database, &self.socket_dir)
    }

    /// The PostgreSQL that runs: its version and its programs.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Calls `action` once with the reason when the cluster has ended for good: PostgreSQL died several
    /// times within a minute. A process that serves from it should then end. Called from another thread,
    /// at once if it has happened already, never after [`Server::stop`].
    pub fn on_failure(&self, action: impl FnOnce(Error) + Send + 'static) {
        self.watch.on_failure(Box::new(action));
    }

    /// Stops the cluster and waits for it: sessions are ended, and cut after a minute.
    pub fn stop(mut self) -> Result<(), Error> {
        self.stop_and_wait()
    }

    fn stop_and_wait(&mut self) -> Result<(), Error> {
        let Some(supervisor) = self.supervisor.take() else {
            return Ok(());
        };
        // It no longer listens once it has given up, and says so through its result.
        let _ = self.sender.send(Event::Stop);
        supervisor
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.stop_and_wait() {
            tracing::error!(%error, "the private PostgreSQL did not stop cleanly");
        }
    }
}

/// Tells the owner that the cluster has ended for good.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<WatchState>>);

type Action = Box<dyn FnOnce(Error) + Send>;

#[derive(Default)]
struct WatchState {
    action: Option<Action>,
    reason: Option<Error>,
}

impl Watch {
    pub(crate) fn give_up(&self, reason: Error) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.action.take() {
            Some(action) => {
                drop(state);
                action(reason);
            }
            None => state.reason = Some(reason),
        }
    }

    fn on_failure(&self, action: Action) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.reason.take() {
            Some(reason) => {
                drop(state);
                action(reason);
            }
            None => state.action = Some(action),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watch").finish_non_exhaustive()
    }
}
