//! `tollbook verify`

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;

use super::{Given, database, output};
use crate::verify::{Progress, Report};

/// How often a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(200);

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
        let report = opened.app.verify(|progress| teller.tell(progress)).await;
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

/// One line on a terminal that says how far it is, written over and over; nothing elsewhere.
struct Teller {
    is_terminal: bool,
    told_at: Option<Instant>,
}

impl Teller {
    fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            told_at: None,
        }
    }

    fn tell(&mut self, progress: Progress) {
        if !self.is_terminal || self.told_at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        self.told_at = Some(Instant::now());
        let of = match progress.organization {
            0 => "of the platform".to_owned(),
            number => format!("of organization {number}"),
        };
        // Whoever does not listen any more misses nothing.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{} {of}, some {} rows so far",
            progress.check,
            progress.rows
        );
    }

    fn clear(&self) {
        if self.told_at.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
