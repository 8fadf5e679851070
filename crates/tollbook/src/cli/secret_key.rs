//! The secret key of an installation: given, or made once and kept in the data folder.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::config::Settings;
use crate::secrets::{Secrets, random};

/// A key that a person made must be as long as one that we would make.
pub(super) const CHARACTERS_MIN: usize = 32;

/// The file in the data folder.
pub(super) const FILE: &str = "secret.key";

/// The keys of this installation. Makes the secret key where there is none, which `is_new` tells.
pub(super) fn secrets(settings: &Settings, data_dir: &Path) -> Result<Secrets> {
    if let Some(key) = &settings.secret_key {
        if key.expose().chars().count() < CHARACTERS_MIN {
            bail!(
                "`TOLLBOOK_SECRET_KEY` has fewer than {CHARACTERS_MIN} characters; make one with `openssl rand -base64 32`"
            );
        }
        return Ok(Secrets::new(key.expose()));
    }
    let path = data_dir.join(FILE);
    match File::open(&path) {
        Ok(file) => read(file).with_context(|| format!("cannot use `{}`", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(&path).with_context(|| format!("cannot make `{}`", path.display()))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

fn read(mut file: File) -> Result<Secrets> {
    let mode = file.metadata()?.mode();
    if mode & 0o077 != 0 {
        bail!("others may read it; run `chmod 600` on it");
    }
    let mut key = String::new();
    file.read_to_string(&mut key)?;
    let key = key.trim();
    if key.len() < CHARACTERS_MIN {
        bail!("it is too short to be a key");
    }
    Ok(Secrets::new(key))
}

/// Writes a new key aside and links it into place: of several processes that start at once, one wins and the others
/// read its key.
fn make(path: &Path) -> Result<Secrets> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).create(folder)?;
    }
    let key = STANDARD_NO_PAD.encode(random::<32>()?);
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    writeln!(file, "{key}")?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match linked {
        Ok(()) => Ok(Secrets::new(&key)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read(File::open(path)?),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Masked;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::defaults();
        let first = secrets(&settings, folder.path()).unwrap();
        let sealed = first.seal(b"x", b"").unwrap();
        let second = secrets(&settings, folder.path()).unwrap();
        assert_eq!(second.open(&sealed, b"").unwrap(), b"x");
        let path = folder.path().join(FILE);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(secrets(&settings, folder.path()).is_err());
    }

    #[test]
    fn a_given_key_must_be_long() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            secret_key: Some(Masked::from("short".to_owned())),
            ..Settings::defaults()
        };
        assert!(secrets(&settings, folder.path()).is_err());
        assert!(!folder.path().join(FILE).exists());
    }
}
