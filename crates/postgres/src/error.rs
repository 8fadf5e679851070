//! What can go wrong with a private cluster. Each message is one sentence that says what to do.

use std::{io, path::PathBuf};

/// A failure of the private cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No usable programs on this machine.
    #[error("no PostgreSQL {minimum} or newer was found{}: install it with {install}, or give the address of a server you run", at(bin_dir.as_ref()))]
    NotInstalled {
        /// The oldest major version that works.
        minimum: u32,
        /// The folder that was asked for, when one was.
        bin_dir: Option<PathBuf>,
        /// The command that installs PostgreSQL on this system, or where to find it.
        install: String,
    },
    /// The data folder was made by a major version that is not installed.
    #[error(
        "`{}` was made by PostgreSQL {needed} and this machine has {found}: install PostgreSQL {needed}, and to change the version dump the databases with it and load them into a new folder",
        data.display()
    )]
    WrongMajor {
        /// The data folder.
        data: PathBuf,
        /// The major version that made it.
        needed: u32,
        /// The major versions that are installed, for reading.
        found: String,
    },
    /// Another process holds the folder.
    #[error("another instance is already using `{}`: stop it first, or choose another data folder", .0.display())]
    InUse(PathBuf),
    /// The folder holds something else.
    #[error("`{}` is not empty and is not a cluster's folder: choose another data folder", .0.display())]
    Foreign(PathBuf),
    /// The folder belongs to somebody else.
    #[error("`{}` belongs to another user: start as that user, or choose another data folder", .0.display())]
    NotYours(PathBuf),
    /// PostgreSQL refuses to run as root and there is nobody else to run it as.
    #[error(
        "PostgreSQL does not run as root and there is no `postgres` or `nobody` account: add one, or start as an ordinary user"
    )]
    NoAccount,
    /// The process is root but may not become another user.
    #[error(
        "this process may not run PostgreSQL as user `{account}`: start it as an ordinary user"
    )]
    MayNotSwitchUser {
        /// The account that PostgreSQL should run as.
        account: String,
    },
    /// A folder above the cluster's is closed to the account that PostgreSQL runs as.
    #[error("user `{account}`, as whom PostgreSQL runs, may not enter `{}`: choose a data folder outside private folders, such as `/var/lib/tollbook`", root.display())]
    Unreachable {
        /// The account that PostgreSQL runs as.
        account: String,
        /// The cluster's folder.
        root: PathBuf,
    },
    /// `initdb` or the creation of the roles failed.
    #[error("`{program}` could not make the cluster in `{}`: {said}", root.display())]
    Initialise {
        /// The program that failed.
        program: &'static str,
        /// The cluster's folder.
        root: PathBuf,
        /// What it said.
        said: String,
    },
    /// PostgreSQL ended before it was ready.
    #[error("PostgreSQL did not start in `{}`: {said}", root.display())]
    NotStarted {
        /// The cluster's folder.
        root: PathBuf,
        /// The last thing it said.
        said: String,
    },
    /// PostgreSQL keeps dying and is not started again.
    #[error("PostgreSQL in `{}` ended {times} times within a minute, see its messages above: {said}", root.display())]
    GivenUp {
        /// The cluster's folder.
        root: PathBuf,
        /// How many times it ended.
        times: usize,
        /// The last thing it said.
        said: String,
    },
    /// PostgreSQL ignores all signals.
    #[error("PostgreSQL in `{}` does not stop: end process {pid} by hand", root.display())]
    DoesNotStop {
        /// The cluster's folder.
        root: PathBuf,
        /// The postmaster's process id.
        pid: i32,
    },
    /// The cluster was told to stop while it was starting.
    #[error("PostgreSQL was stopped before it was ready")]
    Stopped,
    /// The operating system refused something.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
}

impl Error {
    /// An operating system error on a path, ready for `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

fn at(bin_dir: Option<&PathBuf>) -> String {
    bin_dir
        .map(|dir| format!(" in `{}`", dir.display()))
        .unwrap_or_default()
}
