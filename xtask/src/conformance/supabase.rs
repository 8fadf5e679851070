//! Supabase's own JavaScript client, from npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::ground::{Ground, is_fresh};
use super::{Counts, count};
use crate::workspace;

const SCRIPT: &str = "supabase.mjs";

/// Installs the client if need be, and runs the script.
pub(super) fn run(ground: &Ground) -> Result<Counts> {
    let own = workspace::root()?.join("xtask/conformance/supabase");
    let folder = install(&ground.folder, &own)?;
    // Beside the packages, which are looked for where the script is.
    std::fs::copy(own.join(SCRIPT), folder.join(SCRIPT))?;
    let mut script = Command::new("node");
    script.arg(SCRIPT).current_dir(&folder);
    count(ground.tell(&mut script))
}

/// A folder with exactly the packages that the lock file lists.
fn install(folder: &Path, own: &Path) -> Result<PathBuf> {
    let folder = folder.join("supabase");
    let done = folder.join("installed");
    if is_fresh(&done, &own.join("package-lock.json"))? {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(own.join(file), folder.join(file))?;
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    workspace::run(install.current_dir(&folder))?;
    std::fs::write(&done, "")?;
    Ok(folder)
}
