//! Twilio's own Python library, from the Python package index.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::ground::{Ground, is_fresh};
use super::{Counts, count};
use crate::workspace;

/// Installs the library if need be, and runs the script.
pub(super) fn run(ground: &Ground) -> Result<Counts> {
    let own = workspace::root()?.join("xtask/conformance");
    let python = install(&ground.folder, &own.join("requirements.txt"))?;
    let mut script = Command::new(python);
    // Isolated: else the script, which is called like the library, would be found in its place.
    script
        .arg("-I")
        .arg(own.join("twilio.py"))
        .arg(workspace::root()?.join("crates/providers/src/twilio/samples/signatures.json"));
    count(ground.tell(&mut script))
}

/// A virtual environment with exactly the packages that are listed; its Python.
fn install(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    let done = environment.join("installed");
    if is_fresh(&done, requirements)? {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&environment);
    workspace::run(&mut make).context("install Python with its `venv` module")?;
    let mut install = Command::new(&python);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .arg("--requirement")
        .arg(requirements);
    workspace::run(&mut install)?;
    std::fs::write(&done, "")?;
    Ok(python)
}
