//! What a caller may choose about a cluster.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// Where a cluster lives and how it runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster's own folder, created when missing. It gets mode 0700 and, when the process is root,
    /// the account that PostgreSQL runs as for its owner. An existing folder must be empty or a cluster's.
    pub root: PathBuf,
    /// The folder that holds `postgres` and `initdb`; searched for when `None`.
    pub bin_dir: Option<PathBuf>,
    /// Whether a commit survives a power cut.
    pub durability: Durability,
    /// PostgreSQL settings that win over this crate's own, as `("max_connections", "200")`.
    pub settings: Vec<(String, String)>,
    /// Remove `root` once the cluster has stopped, also when this process was killed.
    pub remove_when_stopped: bool,
}

/// Whether PostgreSQL waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Commits survive a power cut. The only choice for data that matters.
    Full,
    /// `fsync` and `full_page_writes` are off: fast, and a power cut may destroy the cluster.
    OffForTests,
}

impl Options {
    /// A durable cluster in `root`, with the programs found on this machine.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            bin_dir: None,
            durability: Durability::Full,
            settings: Vec::new(),
            remove_when_stopped: false,
        }
    }

    /// A cluster for tests: in a new temporary folder, not durable, with many connections, removed when
    /// it stops. It also stops, and goes, when this process ends without stopping it.
    pub fn scratch() -> io::Result<Self> {
        Ok(Self {
            durability: Durability::OffForTests,
            settings: vec![("max_connections".to_owned(), "300".to_owned())],
            remove_when_stopped: true,
            ..Self::new(new_temporary_folder(&env::temp_dir())?)
        })
    }
}

/// A folder below `parent` that did not exist before.
fn new_temporary_folder(parent: &Path) -> io::Result<PathBuf> {
    let mut attempt = 0_u32;
    loop {
        let path = parent.join(format!("tollbook-{}-{attempt}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
