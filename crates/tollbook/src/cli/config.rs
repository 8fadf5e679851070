//! `tollbook config`

use anyhow::Result;
use clap::Args;

use super::{Given, output};

/// Prints the settings in effect and where each comes from; secrets are masked
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tollbook config --json")]
pub(super) struct Config {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Config {
    pub(super) fn run(self, given: &Given) -> Result<()> {
        if self.json {
            return output::json(&given.effective);
        }
        let rows: Vec<_> = given
            .effective
            .iter()
            .map(|it| {
                let value = it.value.clone().unwrap_or_else(|| "-".to_owned());
                [it.name.clone(), value, it.source.clone()]
            })
            .collect();
        output::table(["setting", "value", "source"], &rows);
        Ok(())
    }
}
