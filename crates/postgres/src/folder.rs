//! The cluster's folder: made, owned, locked; and a socket folder whose path is short enough.
//!
//! ```text
//! root/        mode 0700, owned by the account that PostgreSQL runs as
//!   lock       held by the process that runs the cluster
//!   data/      the cluster; `data.new` while it is being made
//!   run/       the socket, unless the path is too long for one
//! ```

use std::{
    env, fs,
    fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{Error, account::Account};

/// The kernel's limit for a socket's path is 107 bytes (103 on macOS); `/.s.PGSQL.5432` takes 14.
const SOCKET_DIR_LENGTH_MAX: usize = 85;

/// A cluster's folder that this process holds.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) root: PathBuf,
    pub(crate) account: Account,
    /// Closing the file releases the lock; the kernel does so when the process is killed.
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing and takes its lock.
    pub(crate) fn open(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(Error::io("find", root))?;
        let account = Account::choose(&data(&root))?;
        prepare(&root)?;
        account.own(&root)?;
        fs::set_permissions(&root, Permissions::from_mode(0o700))
            .map_err(Error::io("close to others", &root))?;
        account.check(&root)?;
        let lock = lock(&root)?;
        Ok(Self {
            root,
            account,
            _lock: lock,
        })
    }

    pub(crate) fn data(&self) -> PathBuf {
        data(&self.root)
    }

    /// The folder for the socket: `run` where its path fits and is plain, else a short one elsewhere.
    pub(crate) fn socket_dir(&self) -> Result<PathBuf, Error> {
        let near = self.root.join("run");
        let dir = if fits_socket(&near) {
            near
        } else {
            far_socket_dir(&self.root, self.account.uid())
        };
        match DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => self.account.own(&dir)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", &dir)(error)),
        }
        // In a shared folder somebody else may have made it first, and could then answer in our place.
        let metadata = fs::symlink_metadata(&dir).map_err(Error::io("read", &dir))?;
        if !metadata.is_dir() || metadata.uid() != self.account.uid() {
            return Err(Error::NotYours(dir));
        }
        fs::set_permissions(&dir, Permissions::from_mode(0o700))
            .map_err(Error::io("close to others", &dir))?;
        Ok(dir)
    }
}

/// The data folder below a cluster's folder.
pub(crate) fn data(root: &Path) -> PathBuf {
    root.join("data")
}

/// Where an application keeps its state by default: `/var/lib/tollbook` for root, else
/// `$XDG_DATA_HOME/tollbook` or `~/.local/share/tollbook`. `None` when there is no home folder.
pub fn default_state_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/lib/tollbook"));
    }
    let absolute = |name: &str| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let data_home =
        absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data_home.join("tollbook"))
}

/// Makes `root`, or checks that what is there may be used: changing the mode and owner of a folder
/// that holds something else would do damage.
fn prepare(root: &Path) -> Result<(), Error> {
    match fs::read_dir(root) {
        Ok(mut entries) => match entries.next() {
            Some(_) if !root.join("lock").is_file() => Err(Error::Foreign(root.into())),
            _ => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Folders above stay open to the account that PostgreSQL runs as, whatever the umask.
            let missing: Vec<_> = root
                .ancestors()
                .skip(1)
                .take_while(|path| !path.exists())
                .collect();
            for path in missing.into_iter().rev() {
                fs::create_dir(path).map_err(Error::io("create", path))?;
                if rustix::process::geteuid().is_root() {
                    fs::set_permissions(path, Permissions::from_mode(0o755))
                        .map_err(Error::io("open", path))?;
                }
            }
            DirBuilder::new()
                .mode(0o700)
                .create(root)
                .map_err(Error::io("create", root))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Error::NotYours(root.into()))
        }
        Err(error) => Err(Error::io("read", root)(error)),
    }
}

fn lock(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(root.into())),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// Whether a folder can hold the socket: short enough, and without the characters that separate or
/// quote in PostgreSQL's settings and in addresses.
fn fits_socket(dir: &Path) -> bool {
    let bytes = dir.as_os_str().as_encoded_bytes();
    bytes.len() <= SOCKET_DIR_LENGTH_MAX
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

/// A short folder outside the cluster's: one per cluster and account.
fn far_socket_dir(root: &Path, uid: u32) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    let name = format!("tollbook-{uid}-{:016x}", hasher.finish());
    let short = [env::temp_dir(), PathBuf::from("/tmp")]
        .into_iter()
        .map(|base| base.join(&name))
        .find(|dir| fits_socket(dir));
    short.unwrap_or_else(|| Path::new("/tmp").join(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_and_plain_paths_hold_a_socket() {
        assert!(fits_socket(Path::new("/var/lib/tollbook/postgres/run")));
        assert!(fits_socket(Path::new(&format!("/{}", "a".repeat(84)))));
        assert!(!fits_socket(Path::new(&format!("/{}", "a".repeat(85)))));
        assert!(!fits_socket(Path::new("/srv/my data/run")));
        assert!(!fits_socket(Path::new("/srv/a,b/run")));
    }

    #[test]
    fn the_far_socket_folder_is_short_and_differs_by_cluster_and_account() {
        let long = PathBuf::from(format!("/{}", "a".repeat(200)));
        let dir = far_socket_dir(&long, 1000);
        assert!(fits_socket(&dir), "{}", dir.display());
        assert_ne!(dir, far_socket_dir(&long.join("b"), 1000));
        assert_ne!(dir, far_socket_dir(&long, 1001));
    }
}
