//! Runs the browser tests of `e2e/` against a debug build.
//!
//! The tests find the program in `TOLLBOOK` and the browser in `CHROMIUM`.

use std::{env, ffi::OsString, path::Path, process::Command};

use anyhow::{Result, ensure};

use crate::workspace;

/// Where distributions put the browser.
const CHROMIUM: &str = "/usr/bin/chromium";

/// Builds the program and runs the tests whose names match `patterns`; all of them when there are none.
pub(crate) fn run(patterns: &[&str]) -> Result<()> {
    let dir = workspace::root()?.join("e2e");
    ensure!(
        dir.join("package.json").is_file(),
        "`{}` has no package.json",
        dir.display()
    );
    let chromium = env::var_os("CHROMIUM").unwrap_or_else(|| OsString::from(CHROMIUM));
    ensure!(
        Path::new(&chromium).is_file(),
        "there is no browser at `{}`: install Chromium, or set CHROMIUM to its path",
        Path::new(&chromium).display()
    );
    workspace::run(workspace::cargo()?.args(["build", "--quiet", "--package", "tollbook"]))?;
    if !is_installed(&dir)? {
        workspace::run(
            Command::new("npm")
                .args(["ci", "--no-audit", "--no-fund"])
                .current_dir(&dir),
        )?;
    }
    let mut command = Command::new("node");
    command.arg("--test").args(
        patterns
            .iter()
            .map(|pattern| format!("--test-name-pattern={pattern}")),
    );
    command.current_dir(&dir).env("CHROMIUM", chromium);
    workspace::run(command.env("TOLLBOOK", workspace::target_dir()?.join("debug/tollbook")))
}

/// Whether `npm ci` has run since the lock file changed.
fn is_installed(dir: &Path) -> Result<bool> {
    let Ok(installed) = dir.join("node_modules/.package-lock.json").metadata() else {
        return Ok(false);
    };
    Ok(installed.modified()? >= dir.join("package-lock.json").metadata()?.modified()?)
}
