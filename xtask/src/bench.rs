//! Measures. Machines are noisy: what is printed are quantiles and ratios, and nothing here fails for being slow.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{fill, workspace};

/// What a ring is measured on.
const CALLS: u64 = 1_000_000;
const CUSTOMERS: u64 = 100_000;
const ORGANIZATIONS: u64 = 20;

/// The benchmarks of the application. `ring` runs on a filled database.
const NAMES: [&str; 6] = ["ingest", "rating", "calls", "authorize", "billing", "ring"];

/// Runs the benchmarks that are named, or all.
pub(crate) fn run(names: &[&str]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|it| !NAMES.contains(it)) {
        bail!(
            "there is no benchmark `{unknown}`; there are {}",
            NAMES.join(", ")
        );
    }
    let chosen: Vec<&str> = NAMES
        .into_iter()
        .filter(|name| names.is_empty() || names.contains(name))
        .collect();
    let mut command = workspace::cargo()?;
    command.args(["bench", "--package", "tollbook"]);
    for name in &chosen {
        command.args(["--bench", name]);
    }
    if chosen.contains(&"ring") {
        command.env("TOLLBOOK_BENCH_DATA", filled()?);
    }
    workspace::run(&mut command)
}

/// The data folder of a filled database, made once and kept in the target folder.
fn filled() -> Result<PathBuf> {
    let data = workspace::target_dir()?.join("bench-data");
    let ready = data.join("filled");
    if !ready.exists() {
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        println!("filling {} with {CALLS} calls, once", data.display());
        fill::fill(&data, CALLS, CUSTOMERS, ORGANIZATIONS)?;
        std::fs::write(&ready, "")?;
    }
    Ok(data)
}
