//! As whom PostgreSQL runs: it refuses root, so a root process hands its work to another account.

use std::{
    fs, io,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};

use crate::Error;

/// The account that PostgreSQL runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Account {
    /// The user of this process.
    Own,
    /// Another one, because this process is root.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// Chooses the account for a cluster. Existing data keeps its owner, so that installing a package
    /// that brings a `postgres` account, or a `sudo` too many, does not lock a cluster out.
    pub(crate) fn choose(data: &Path) -> Result<Self, Error> {
        let own = rustix::process::geteuid();
        let owner = match fs::metadata(data) {
            Ok(metadata) => Some((metadata.uid(), metadata.gid())),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(Error::NotYours(data.into()));
            }
            Err(_) => None,
        };
        if !own.is_root() {
            return match owner {
                Some((uid, _)) if uid != own.as_raw() => Err(Error::NotYours(data.into())),
                _ => Ok(Self::Own),
            };
        }
        if let Some((uid, gid)) = owner.filter(|(uid, _)| *uid != 0) {
            let name = uzers::get_user_by_uid(uid).map_or_else(
                || uid.to_string(),
                |user| user.name().to_string_lossy().into_owned(),
            );
            return Ok(Self::Other { name, uid, gid });
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                let user = uzers::get_user_by_name(name)?;
                Some(Self::Other {
                    name: name.to_owned(),
                    uid: user.uid(),
                    gid: user.primary_group_id(),
                })
            })
            .ok_or(Error::NoAccount)
    }

    /// A command that runs `program` as this account. Of the environment only what programs need to be
    /// found and to load is handed on: the rest may hold secrets, or settings for another PostgreSQL.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Self::Other { uid, gid, .. } = self {
            // The standard library drops root's supplementary groups when it changes the user.
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Gives a file or folder to the account.
    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => {
                chown(path, Some(*uid), Some(*gid)).map_err(Error::io("change the owner of", path))
            }
        }
    }

    /// The user id that files of the cluster have.
    pub(crate) fn uid(&self) -> u32 {
        match self {
            Self::Own => rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// Checks that the account can be used, and can reach `root`, before anything is made there.
    pub(crate) fn check(&self, root: &Path) -> Result<(), Error> {
        let Self::Other { name, .. } = self else {
            return Ok(());
        };
        let mut command = self.command(Path::new("/bin/sh"));
        let status = command
            .args(["-c", "cd \"$1\"", "sh"])
            .arg(root)
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(Error::Unreachable {
                account: name.clone(),
                root: root.into(),
            }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Error::MayNotSwitchUser {
                    account: name.clone(),
                })
            }
            Err(source) => Err(Error::Io {
                action: "run",
                path: "/bin/sh".into(),
                source,
            }),
        }
    }
}
