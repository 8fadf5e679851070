//! Measures. Machines are noisy: what is printed are quantiles and ratios, and nothing here fails for being slow.

use std::path::PathBuf;

use anyhow::Result;

use crate::{fill, workspace};

/// What a ring is measured on.
const CALLS: u64 = 1_000_000;
const CUSTOMERS: u64 = 100_000;
const ORGANIZATIONS: u64 = 20;

/// Fills a database once, keeps it in the target folder, and runs the benchmarks on it.
pub(crate) fn run(names: &[&str]) -> Result<()> {
    let data: PathBuf = workspace::target_dir()?.join("bench-data");
    let ready = data.join("filled");
    if !ready.exists() {
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        println!("filling {} with {CALLS} calls, once", data.display());
        fill::fill(&data, CALLS, CUSTOMERS, ORGANIZATIONS)?;
        std::fs::write(&ready, "")?;
    }
    let mut command = workspace::cargo()?;
    command.args(["bench", "--package", "tollbook"]);
    for name in names {
        command.args(["--bench", name]);
    }
    command.env("TOLLBOOK_BENCH_DATA", &data);
    workspace::run(&mut command)
}
