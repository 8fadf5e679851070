//! A cluster that another process runs, for commands that only want to reach its databases.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{APPLICATION_LOGIN, Error, SUPERUSER, folder::data, postmaster::PidFile, url};

/// A running cluster of another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    socket_dir: PathBuf,
    major: u32,
}

/// Finds the cluster that runs in `root`, without taking its lock; `None` when none runs there.
pub fn attach(root: &Path) -> Result<Option<Running>, Error> {
    let data = data(root);
    let version = match fs::read_to_string(data.join("PG_VERSION")) {
        Ok(version) => version,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Error::NotYours(root.into()));
        }
        Err(error) => return Err(Error::io("read", &data)(error)),
    };
    let Ok(major) = version.trim().parse() else {
        return Err(Error::Foreign(data));
    };
    let running = PidFile::read(&data).filter(|file| file.is_ready && file.answers());
    Ok(running.map(|file| Running {
        socket_dir: file.socket_dir,
        major,
    }))
}

impl Running {
    /// The folder that holds the socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The major version, for [`crate::Installation::find`].
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The address of a database for the login `tollbook`.
    pub fn url(&self, database: &str) -> String {
        url(APPLICATION_LOGIN, database, &self.socket_dir)
    }

    /// The address of a database for the superuser. Row-level security does not bind it.
    pub fn superuser_url(&self, database: &str) -> String {
        url(SUPERUSER, database, &self.socket_dir)
    }
}
