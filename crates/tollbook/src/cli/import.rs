//! `tollbook import`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use tollbook_core::actor::Actor;
use tollbook_core::ids::ImportId;

use super::{Given, database, output, user};
use crate::error::Error;
use crate::moving::{self, Brought, ImportView};

/// Brings in what an organization had in another system
#[derive(Debug, Subcommand)]
pub(super) enum Import {
    Book(Book),
    Undo(Undo),
}

/// Brings in customers, subscriptions, open invoices, credit and the next invoice number
#[derive(Debug, Args)]
#[command(
    after_help = "The format is described in docs/moving-in.md. What is here already stays as it is: the same book again changes nothing.\nEverything that is wrong with a book is listed, and then nothing is written.\n\nExamples:\n  tollbook import book book.json --org acme --dry-run\n  tollbook import book book.json --org acme --json"
)]
pub(super) struct Book {
    /// The book, as JSON
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose book it is, by id or external key
    #[arg(long, value_name = "ID")]
    org: String,
    /// Write nothing; say what would be made
    #[arg(long = "dry-run")]
    is_trial: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Takes an import back, as if it had never been
#[derive(Debug, Args)]
#[command(
    after_help = "Possible until the organization's first document after it is finalized, and as long as nobody has used what was brought in.\n\nExample:\n  tollbook import undo 01a0b1c2-0000-7000-8000-000000000000"
)]
pub(super) struct Undo {
    /// The import, as its command or the API named it
    #[arg(value_name = "ID")]
    id: ImportId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(super) async fn run(self, given: Given) -> Result<ExitCode> {
        match self {
            Self::Book(book) => book.run(given).await,
            Self::Undo(undo) => undo.run(given).await,
        }
    }
}

impl Book {
    async fn run(self, given: Given) -> Result<ExitCode> {
        let text = tokio::fs::read(&self.file).await;
        let text = text.with_context(|| format!("cannot read `{}`", self.file.display()))?;
        let opened = database::open(given.settings).await?;
        let brought = self.bring(&opened, &text).await;
        opened.close().await?;
        match brought? {
            Ok(brought) if self.json => output::json(&brought)?,
            Ok(brought) => print(&brought),
            Err(Error::Invalid(flaws)) => {
                for flaw in &flaws {
                    output::note(format!("{}: {}", flaw.field, flaw.message));
                }
                output::note(format!("error: {} flaws; nothing was written", flaws.len()));
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn bring(
        &self,
        opened: &database::Application,
        text: &[u8],
    ) -> Result<Result<Brought, Error>> {
        let app = &opened.app;
        let organization = user::find(app, &self.org).await?;
        let actor = Actor::system();
        Ok(moving::bring(app, &actor, organization, text, self.is_trial).await)
    }
}

impl Undo {
    async fn run(self, given: Given) -> Result<ExitCode> {
        let opened = database::open(given.settings).await?;
        let undone = self.undo(&opened).await;
        opened.close().await?;
        let undone = undone?;
        if self.json {
            output::json(&undone)?;
        } else {
            output::line(format!("import {} is taken back", undone.id));
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn undo(&self, opened: &database::Application) -> Result<ImportView> {
        let app = &opened.app;
        let organization = moving::whose(app, self.id).await?;
        Ok(moving::take_back(app, &Actor::system(), organization, self.id).await?)
    }
}

fn print(brought: &Brought) {
    let made = [
        (brought.customers, "customers"),
        (brought.subscriptions, "subscriptions"),
        (brought.invoices, "open invoices"),
        (brought.credits, "credits"),
        (brought.lots, "prepaid credits"),
    ];
    let would = if brought.is_preview { "would be " } else { "" };
    for (count, what) in made.into_iter().filter(|(count, _)| *count > 0) {
        output::line(format!("{count} {what} {would}brought in"));
    }
    for sum in &brought.sums {
        let (open, credit, prepaid) = (&sum.open, &sum.credit, &sum.prepaid);
        output::line(format!(
            "{}: {open} open, {credit} credit, {prepaid} prepaid",
            sum.currency
        ));
    }
    if let Some(number) = &brought.next_invoice_number {
        output::line(format!("the next invoice is {number}"));
    }
    if brought.unchanged > 0 {
        output::line(format!("{} are here already", brought.unchanged));
    }
    for remark in brought.differs.iter().chain(&brought.notes) {
        output::line(format!("{}: {}", remark.path, remark.message));
    }
    match brought.id {
        Some(id) => output::line(format!("import {id}")),
        None => output::line("nothing was written"),
    }
}
