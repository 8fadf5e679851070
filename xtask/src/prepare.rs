//! Refreshes `crates/tollbook/.sqlx`, the metadata against which the checked queries compile without a database.
//!
//! A private cluster is started and brought to the schema, and the compiler then asks it about each query. The
//! application itself is not run for that: it may not compile before its metadata is fresh.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tollbook_postgres::{APPLICATION_DATABASE, APPLICATION_LOGIN, Options, Server};

use crate::workspace;

/// What to do with metadata that is not fresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Compiles the queries against a fresh database and writes, or compares, their metadata.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let crate_dir = workspace::root()?.join("crates/tollbook");
    let server = tollbook_postgres::start(&Options::scratch()?)?;
    migrate(&server, &crate_dir)?;
    let fresh_dir = workspace::target_dir()?.join("sqlx-metadata");
    if fresh_dir.exists() {
        fs::remove_dir_all(&fresh_dir)?;
    }
    fs::create_dir_all(&fresh_dir)?;
    compile(&server, &crate_dir, &fresh_dir)?;
    server.stop()?;

    let (fresh, committed_dir) = (read_dir(&fresh_dir)?, crate_dir.join(".sqlx"));
    let committed = if committed_dir.exists() {
        read_dir(&committed_dir)?
    } else {
        BTreeMap::new()
    };
    let changes = changes(&committed, &fresh);
    println!("{} checked queries, {} changed", fresh.len(), changes.len());
    match mode {
        _ if changes.is_empty() => Ok(()),
        Mode::Check => bail!(
            "crates/tollbook/.sqlx is not fresh, run `cargo xtask prepare`:\n{}",
            changes.join("\n")
        ),
        Mode::Write => write_dir(&committed_dir, &committed, &fresh),
    }
}

/// Applies the migrations in order, then what can be recreated, as the login that owns the database.
fn migrate(server: &Server, crate_dir: &Path) -> Result<()> {
    let mut migrations = workspace::files(&crate_dir.join("migrations"))?;
    migrations.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    let source = fs::read_to_string(crate_dir.join("src/db/migrate.rs"))?;
    let schema = schema_files(&source)
        .into_iter()
        .map(|name| crate_dir.join("schema").join(name));
    let schema: Vec<PathBuf> = schema.collect();
    for path in workspace::files(&crate_dir.join("schema"))? {
        ensure!(
            schema.contains(&path),
            "`{}` is not applied by db/migrate.rs",
            path.display()
        );
    }
    for path in migrations.iter().chain(&schema) {
        let mut command = Command::new(server.installation().program("psql"));
        command
            .args([
                "-X",
                "-q",
                "-1",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                &server.url(APPLICATION_DATABASE),
                "-f",
            ])
            .arg(path);
        command.env(
            "PGOPTIONS",
            format!("-c role={APPLICATION_LOGIN} -c client_min_messages=warning"),
        );
        workspace::output(&mut command)?;
    }
    Ok(())
}

/// The schema files in the order in which the application applies them, which is the order in its source.
fn schema_files(source: &str) -> Vec<&str> {
    let after = source.split("include_str!(\"../../schema/").skip(1);
    after.filter_map(|rest| rest.split('"').next()).collect()
}

/// Lets the compiler ask the server about each query.
fn compile(server: &Server, crate_dir: &Path, metadata_dir: &Path) -> Result<()> {
    // Queries of a target that cargo holds for fresh would not be seen.
    for entry in entry_points(crate_dir)? {
        fs::File::options()
            .append(true)
            .open(&entry)?
            .set_modified(std::time::SystemTime::now())?;
    }
    let mut command = workspace::cargo()?;
    command.args(["check", "--quiet", "--package", "tollbook", "--all-targets"]);
    command
        .env("SQLX_OFFLINE", "false")
        .env("SQLX_OFFLINE_DIR", metadata_dir);
    // A session of this login starts as a role that may do nothing, see schema/roles.sql.
    let url = format!(
        "{}&options=-c%20role%3D{APPLICATION_LOGIN}",
        server.url(APPLICATION_DATABASE)
    );
    command.env("TOLLBOOK_BUILD_DATABASE_URL", url);
    if env::var_os("CI").is_some() {
        command.arg("--locked");
    }
    // Warnings are for another command; what does not compile is in the error.
    workspace::output(&mut command).map(drop)
}

/// The root files of the crate's targets.
fn entry_points(crate_dir: &Path) -> Result<Vec<PathBuf>> {
    let metadata = workspace::metadata()?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("no packages")?;
    let targets = packages
        .iter()
        .filter_map(|package| package.get("targets")?.as_array())
        .flatten();
    let paths = targets
        .filter_map(|target| target.get("src_path")?.as_str())
        .map(PathBuf::from);
    Ok(paths.filter(|path| path.starts_with(crate_dir)).collect())
}

type Files = BTreeMap<String, String>;

fn read_dir(dir: &Path) -> Result<Files> {
    let mut files = Files::new();
    for path in workspace::files(dir)? {
        let name = path
            .file_name()
            .context("a file has a name")?
            .to_string_lossy()
            .into_owned();
        files.insert(name, fs::read_to_string(&path)?);
    }
    Ok(files)
}

fn write_dir(dir: &Path, old: &Files, new: &Files) -> Result<()> {
    fs::create_dir_all(dir)?;
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        fs::remove_file(dir.join(name))?;
    }
    for (name, text) in new
        .iter()
        .filter(|(name, text)| old.get(*name) != Some(text))
    {
        fs::write(dir.join(name), text)?;
    }
    Ok(())
}

/// What differs, one line each.
fn changes(old: &Files, new: &Files) -> Vec<String> {
    let gone = old
        .keys()
        .filter(|name| !new.contains_key(*name))
        .map(|name| format!("  unused   {name}"));
    let added = new
        .keys()
        .filter(|name| !old.contains_key(*name))
        .map(|name| format!("  missing  {name}"));
    let changed = new
        .iter()
        .filter(|(name, text)| old.get(*name).is_some_and(|old| old != *text));
    gone.chain(added)
        .chain(changed.map(|(name, _)| format!("  changed  {name}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(entries: &[(&str, &str)]) -> Files {
        entries
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn the_order_of_the_schema_is_the_application_s() {
        let source = r#"const SCHEMA: [&str; 2] = [include_str!("../../schema/b.sql"), include_str!("../../schema/a.sql")];"#;
        assert_eq!(schema_files(source), ["b.sql", "a.sql"]);
    }

    #[test]
    fn each_kind_of_change_is_named_and_written() {
        let old = files(&[("gone", "1"), ("kept", "2"), ("new text", "3")]);
        let new = files(&[("added", "4"), ("kept", "2"), ("new text", "5")]);
        assert_eq!(
            changes(&old, &new),
            ["  unused   gone", "  missing  added", "  changed  new text"]
        );
        let dir = tempfile::tempdir().unwrap();
        write_dir(dir.path(), &Files::new(), &old).unwrap();
        write_dir(dir.path(), &old, &new).unwrap();
        assert_eq!(read_dir(dir.path()).unwrap(), new);
    }
}
