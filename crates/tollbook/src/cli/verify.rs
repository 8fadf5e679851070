//! `tollbook verify`

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::progress::Teller;
use super::{Given, database, output};
use crate::verify::{Progress, Report};

/// Recounts counters, charges, documents and balances, and prints every row that differs
#[derive(Debug, Args)]
#[command(
    after_help = "Works beside a running server. Exits with 1 if anything differs.\n\nExample:\n  tollbook verify --json"
)]
pub(super) struct Verify {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) async fn run(self, given: Given) -> Result<ExitCode> {
        let opened = database::open(given.settings).await?;
        let mut teller = Teller::new();
        let report = opened
            .app
            .verify(|progress| teller.tell(|| line(progress)))
            .await;
        teller.clear();
        opened.close().await?;
        let report = report?;
        if self.json {
            output::json(&report)?;
        } else {
            print(&report);
        }
        Ok(match report.count {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        })
    }
}

fn line(progress: Progress) -> String {
    let of = match progress.organization {
        0 => "of the platform".to_owned(),
        number => format!("of organization {number}"),
    };
    format!(
        "{} {of}, some {} rows so far",
        progress.check, progress.rows
    )
}

fn print(report: &Report) {
    for difference in &report.differences {
        output::line(difference.to_string());
    }
    let unlisted = report.count.saturating_sub(report.differences.len());
    if unlisted > 0 {
        output::line(format!("and {unlisted} more"));
    }
    match report.count {
        0 => output::note(format!(
            "{} organizations recounted, everything agrees",
            report.organizations
        )),
        1 => output::note("1 difference"),
        count => output::note(format!("{count} differences")),
    }
}
