//! Makes the data folder: `initdb`, then the application's login and database, then one rename.
//!
//! Everything happens in `data.new`, is written through to the disk, and is renamed to `data` last: a
//! first start that is cut short starts over.

use std::{
    fs,
    fs::File,
    io,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::{
    APPLICATION_DATABASE, APPLICATION_LOGIN, Durability, Error, Installation, SUPERUSER,
    folder::Folder,
};

/// The major version that made the data folder; `None` when there is no data yet.
pub(crate) fn data_major(folder: &Folder) -> Result<Option<u32>, Error> {
    let data = folder.data();
    match fs::read_to_string(data.join("PG_VERSION")) {
        Ok(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| Error::Foreign(data)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !data.exists() => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::Foreign(data)),
        Err(error) => Err(Error::io("read", data)(error)),
    }
}

/// Makes `data` with the given programs.
pub(crate) fn initialise(
    folder: &Folder,
    installation: &Installation,
    durability: Durability,
) -> Result<(), Error> {
    let new = folder.root.join("data.new");
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &new)(error));
        }
        _ => {}
    }
    let mut command = folder.account.command(&installation.program("initdb"));
    // Syncing comes last, once for everything. TCP stays refused even where a setting opens a port:
    // `trust` is for those who can enter the folder.
    command.args([
        "--username",
        SUPERUSER,
        "--encoding=UTF8",
        "--no-locale",
        "--data-checksums",
        "--no-sync",
    ]);
    command
        .args(["--auth-local=trust", "--auth-host=reject", "--pgdata"])
        .arg(&new);
    run("initdb", &mut command, "", folder)?;
    let mut command = folder.account.command(&installation.program("postgres"));
    command
        .args([
            "--single",
            "-F",
            "-c",
            "exit_on_error=true",
            "-c",
            "log_checkpoints=off",
            "-D",
        ])
        .arg(&new)
        .arg("postgres");
    run("postgres", &mut command, &bootstrap(), folder)?;
    if durability == Durability::Full {
        sync(folder, installation, &new)?;
    }
    fs::rename(&new, folder.data()).map_err(Error::io("rename", &new))?;
    // The rename itself is on the disk once the folder is.
    File::open(&folder.root)
        .and_then(|root| root.sync_all())
        .map_err(Error::io("write", &folder.root))
}

/// Writes a new cluster through to the disk. It has a thousand files: asking for all that the file system
/// holds takes a tenth of a second, where asking file by file takes three.
#[cfg(target_os = "linux")]
fn sync(_folder: &Folder, _installation: &Installation, new: &Path) -> Result<(), Error> {
    let written = File::open(new).and_then(|new| Ok(rustix::fs::syncfs(new)?));
    written.map_err(Error::io("write", new))
}

/// Writes a new cluster through to the disk.
#[cfg(not(target_os = "linux"))]
fn sync(folder: &Folder, installation: &Installation, new: &Path) -> Result<(), Error> {
    let mut command = folder.account.command(&installation.program("initdb"));
    run(
        "initdb",
        command.args(["--sync-only", "--pgdata"]).arg(new),
        "",
        folder,
    )
}

/// What a new cluster holds beside the superuser, one command a line (single-user mode reads it so).
fn bootstrap() -> String {
    format!(
        "create role {APPLICATION_LOGIN} login createrole;\ncreate database {APPLICATION_DATABASE} owner {APPLICATION_LOGIN};\n"
    )
}

fn run(
    program: &'static str,
    command: &mut Command,
    input: &str,
    folder: &Folder,
) -> Result<(), Error> {
    let failed = |said: String| Error::Initialise {
        program,
        root: folder.root.clone(),
        said,
    };
    let output = output(command, input).map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(
        last_line(&String::from_utf8_lossy(&output.stderr))
            .unwrap_or_else(|| output.status.to_string()),
    ))
}

fn output(command: &mut Command, input: &str) -> io::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why on its own; a broken pipe adds nothing.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// The line that says what went wrong: the one with the error, else the last.
fn last_line(said: &str) -> Option<String> {
    let mut lines = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .rev();
    let last = lines.clone().next();
    lines
        .find(|line| line.contains("error:") || line.contains("FATAL:"))
        .or(last)
        .map(str::to_owned)
}

/// Whether PostgreSQL was built with LZ4, which compresses the write-ahead log at little cost.
pub(crate) fn has_lz4(folder: &Folder, installation: &Installation, data: &Path) -> bool {
    let mut command = folder.account.command(&installation.program("postgres"));
    command
        .args(["-C", "wal_compression", "-c", "wal_compression=lz4", "-D"])
        .arg(data);
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_picked_from_what_initdb_says() {
        let said = "initdb: error: invalid locale name \"x\"\ninitdb: hint: try another\n";
        assert_eq!(
            last_line(said).unwrap(),
            "initdb: error: invalid locale name \"x\""
        );
        assert_eq!(last_line("one\ntwo\n\n").unwrap(), "two");
        assert_eq!(last_line("\n"), None);
    }
}
