//! Finds the PostgreSQL programs of this machine.

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Error;

/// The oldest major version that works: views that respect row-level security came with it.
pub const VERSION_MIN: u32 = 15;

/// Folders that packages install into. A `*` stands for the version, and may only end the last part.
const SYSTEM_FOLDERS: &[(&str, &str)] = &[
    ("/usr/lib/postgresql/*", "bin"),
    ("/usr/pgsql-*", "bin"),
    ("/usr/libexec/postgresql*", ""),
    ("/opt/homebrew/opt/postgresql@*", "bin"),
    ("/opt/homebrew/opt/postgresql", "bin"),
    ("/usr/local/opt/postgresql@*", "bin"),
    ("/usr/local/opt/postgresql", "bin"),
    ("/usr/local/pgsql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions/*", "bin"),
];

/// One installed PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    bin_dir: PathBuf,
    major: u32,
}

impl Installation {
    /// The PostgreSQL in `bin_dir`, or the best of those on this machine: of major version `major` when
    /// that is given (the data folder's, which no other can open), else the newest from [`VERSION_MIN`].
    pub fn find(bin_dir: Option<&Path>, major: Option<u32>) -> Result<Self, Error> {
        let found = match bin_dir {
            Some(dir) => usable(vec![dir.to_path_buf()]),
            None => usable(search_path()),
        };
        choose(&found, major).cloned().ok_or_else(|| match major {
            Some(needed) if !found.is_empty() => Error::WrongMajor {
                data: PathBuf::new(),
                needed,
                found: found
                    .iter()
                    .map(|installation| installation.major.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            },
            _ => Error::NotInstalled {
                minimum: VERSION_MIN,
                bin_dir: bin_dir.map(Path::to_path_buf),
                install: install_command(),
            },
        })
    }

    /// The path of one of its programs, such as `psql`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// Its major version, such as 17.
    pub fn major(&self) -> u32 {
        self.major
    }
}

fn choose(found: &[Installation], major: Option<u32>) -> Option<&Installation> {
    match major {
        Some(major) => found
            .iter()
            .find(|installation| installation.major == major),
        // The first of equals wins: what the user's own path names comes before the system's folders.
        None => found
            .iter()
            .rev()
            .filter(|installation| installation.major >= VERSION_MIN)
            .max_by_key(|installation| installation.major),
    }
}

/// All folders where PostgreSQL may be, the user's own choice first.
fn search_path() -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        dirs.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    dirs.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    for (pattern, below) in SYSTEM_FOLDERS {
        dirs.extend(
            expand(Path::new(pattern))
                .into_iter()
                .map(|dir| dir.join(below)),
        );
    }
    dirs
}

/// The folders that a pattern stands for, in any order.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let Some(prefix) = name.strip_suffix('*') else {
        return vec![pattern.to_path_buf()];
    };
    let entries = pattern
        .parent()
        .and_then(|parent| fs::read_dir(parent).ok());
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

/// The installations among `dirs`, in order, each once: distributions link one into several folders.
fn usable(dirs: Vec<PathBuf>) -> Vec<Installation> {
    let mut seen = HashSet::new();
    let is_new =
        |dir: &Path| fs::canonicalize(dir.join("postgres")).is_ok_and(|path| seen.insert(path));
    let with_programs: Vec<_> = dirs
        .into_iter()
        .filter(|dir| dir.is_absolute() && dir.join("initdb").is_file())
        .collect();
    let mut is_new = is_new;
    with_programs
        .into_iter()
        .filter(|dir| is_new(dir))
        .filter_map(|bin_dir| {
            let major = major_of(&bin_dir)?;
            Some(Installation { bin_dir, major })
        })
        .collect()
}

fn major_of(bin_dir: &Path) -> Option<u32> {
    let output = Command::new(bin_dir.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian …)`; of a pre-release too (`18beta1`).
fn parse_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    version
        .split(|character: char| !character.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// How PostgreSQL is installed on this system.
fn install_command() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_command_for(env::consts::OS, &release)
}

fn install_command_for(os: &str, release: &str) -> String {
    let ids: Vec<&str> = release
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|ids| ids.trim_matches('"').split(' '))
        .collect();
    let is = |names: &[&str]| ids.iter().any(|id| names.contains(id));
    let command = match os {
        "macos" => "brew install postgresql@17",
        _ if is(&["debian", "ubuntu"]) => "apt install postgresql",
        _ if is(&["fedora", "rhel", "centos"]) => "dnf install postgresql-server",
        _ if is(&["alpine"]) => "apk add postgresql",
        _ if is(&["arch"]) => "pacman -S postgresql",
        _ if is(&["suse", "opensuse"]) => "zypper install postgresql-server",
        _ => return "a package from https://www.postgresql.org/download/".to_owned(),
    };
    format!("`{command}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(bin_dir: &str, major: u32) -> Installation {
        Installation {
            bin_dir: bin_dir.into(),
            major,
        }
    }

    #[test]
    fn the_data_decides_the_major_version_else_the_newest_wins() {
        let found = [
            installation("/a", 14),
            installation("/b", 16),
            installation("/c", 17),
            installation("/d", 17),
        ];
        assert_eq!(choose(&found, Some(14)), Some(&found[0]));
        assert_eq!(choose(&found, Some(15)), None);
        assert_eq!(choose(&found, None), Some(&found[2]));
        assert_eq!(
            choose(&found[..1], None),
            None,
            "14 is too old for a new cluster"
        );
    }

    #[test]
    fn versions_are_read_from_what_postgres_prints() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn the_install_command_is_the_one_of_this_system() {
        assert_eq!(
            install_command_for("linux", "ID=debian\nVERSION_ID=\"12\""),
            "`apt install postgresql`"
        );
        assert_eq!(
            install_command_for("linux", "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\""),
            "`dnf install postgresql-server`"
        );
        assert_eq!(
            install_command_for("macos", ""),
            "`brew install postgresql@17`"
        );
        assert!(install_command_for("freebsd", "").contains("https://www.postgresql.org"));
    }

    #[test]
    fn one_installation_behind_two_folders_is_found_once() {
        let found = usable(search_path());
        let twice = usable(
            found
                .iter()
                .chain(&found)
                .map(|installation| installation.bin_dir.clone())
                .collect(),
        );
        assert!(
            !found.is_empty(),
            "these tests need an installed PostgreSQL"
        );
        assert_eq!(found, twice);
    }
}
