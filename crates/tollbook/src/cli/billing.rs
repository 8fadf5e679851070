//! `tollbook billing`

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::progress::Teller;
use super::{Given, database, output, user};
use crate::invoices::{BillingRun, Held, RunReport};

/// Makes invoices
#[derive(Debug, Subcommand)]
pub(super) enum Billing {
    Run(Run),
}

/// Finalizes every draft whose time has come, after rating what has come in
#[derive(Debug, Args)]
#[command(
    after_help = "A server does the same by itself all the time; both may run at once, and what a run that was stopped left is done by the\nnext. Drafts with usage or webhooks that wait are held back and listed, and the exit code is 1.\n\nExamples:\n  tollbook billing run --dry-run\n  tollbook billing run --org acme --json"
)]
pub(super) struct Run {
    /// Only drafts that were due by then
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Only documents of this organization, by id or external key
    #[arg(long, value_name = "ID")]
    org: Option<String>,
    /// Write nothing; say what the drafts would come to
    #[arg(long = "dry-run")]
    is_trial: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Billing {
    pub(super) async fn run(self, given: Given) -> Result<ExitCode> {
        match self {
            Self::Run(run) => run.run(given).await,
        }
    }
}

impl Run {
    async fn run(self, given: Given) -> Result<ExitCode> {
        let opened = database::open(given.settings).await?;
        let report = self.report(&opened).await;
        opened.close().await?;
        let report = report?;
        if self.json {
            output::json(&report)?;
        } else {
            print(&report, self.is_trial);
        }
        Ok(if report.held.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    async fn report(&self, opened: &database::Application) -> Result<RunReport> {
        let app = &opened.app;
        if let Some(at) = self.at.filter(|at| *at > app.clock.now()) {
            bail!("`--at {at}` is in the future: usage of that time is still to come");
        }
        let organization = match &self.org {
            None => None,
            Some(key) => Some(user::find(app, key).await?),
        };
        let run = BillingRun {
            until: self.at,
            organization,
            is_trial: self.is_trial,
        };
        let mut teller = Teller::new();
        let report = app
            .billing_run(run, |progress| {
                teller.count("drafts", progress.done, progress.total);
            })
            .await;
        teller.clear();
        Ok(report?)
    }
}

fn print(report: &RunReport, is_trial: bool) {
    let would = if is_trial { "would be " } else { "" };
    for issued in &report.issued {
        let (count, total, currency) = (issued.documents, &issued.total, &issued.currency);
        output::line(format!(
            "{count} invoices {would}finalized: {total} {currency}"
        ));
    }
    if report.issued.is_empty() {
        output::line("nothing to finalize");
    }
    if report.empty > 0 {
        output::line(format!("{} drafts have nothing on them", report.empty));
    }
    for held in &report.held {
        let Held {
            name,
            payer,
            drafts,
            ..
        } = held;
        let why = why(held);
        output::line(format!(
            "{name} ({payer}): {drafts} drafts held back: {why}"
        ));
    }
}

fn why(held: &Held) -> String {
    let reasons = [
        (held.webhooks_waiting, "webhooks wait to be interpreted"),
        (held.usages_waiting, "usages wait to be rated"),
        (
            held.prices_waiting,
            "usages wait for a price of the provider",
        ),
        (
            held.periods_waiting,
            "subscriptions wait for their next period",
        ),
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if reasons.is_empty() {
        "another run has them".to_owned()
    } else {
        reasons.join(", ")
    }
}
