//! `tollbook deck`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use tollbook_core::actor::Actor;
use tollbook_core::plans::Key;

use super::{Given, database, output, user};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::decks::{self, Dates, Import, Preview};

/// Price decks: prices by destination
#[derive(Debug, Subcommand)]
pub(super) enum Deck {
    Import(ImportFile),
}

/// Imports all prices of a deck from a CSV file
#[derive(Debug, Args)]
#[command(
    after_help = "The columns are prefix and price, and where wanted connection_fee and increment. The file takes the place of the whole deck\nfrom its time on; usage since a time that is past is rated again.\n\nExamples:\n  tollbook deck import world world.csv --org acme --preview\n  tollbook deck import world world.csv --org acme --from 2026-12-01T00:00:00Z"
)]
pub(super) struct ImportFile {
    /// The name by which plans call the deck
    #[arg(value_name = "KEY")]
    key: Key,
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose deck it is, by id or external key; the platform's if absent
    #[arg(long, value_name = "ID")]
    org: Option<String>,
    /// From when on its prices are in force; now if absent
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// What people call the deck, if it is new
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Write nothing; say what would change, also in money on the usage of the last thirty days
    #[arg(long)]
    preview: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Deck {
    pub(super) async fn run(self, given: Given) -> Result<ExitCode> {
        match self {
            Self::Import(import) => import.run(given).await,
        }
    }
}

impl ImportFile {
    async fn run(self, given: Given) -> Result<ExitCode> {
        let name = self.file.display().to_string();
        let reader =
            std::fs::File::open(&self.file).with_context(|| format!("cannot read {name}"))?;
        let deck = decks::entries(&name, reader, Dates::OfImport)?;
        let opened = database::open(given.settings).await?;
        let done = self.import(&opened.app, &deck).await;
        opened.close().await?;
        done?;
        Ok(ExitCode::SUCCESS)
    }

    async fn import(&self, app: &App, deck: &tollbook_core::pricing::Deck) -> Result<()> {
        let organization = match &self.org {
            None => None,
            Some(key) => Some(user::find(app, key).await?),
        };
        let now = app.clock.now();
        let import = Import {
            organization,
            key: &self.key,
            name: self.name.as_deref(),
            deck,
            effective_from: self.from.unwrap_or(now),
        };
        let actor = Actor::system();
        if self.preview {
            let preview = decks::preview(app, &actor, &import, now).await?;
            return if self.json {
                output::json(&preview)
            } else {
                print(&preview);
                Ok(())
            };
        }
        let mut tx = app.db.begin(&actor).await?;
        let made = decks::import(&mut tx, &import, now).await?;
        let deed = Deed::new(organization, "price_deck.imported", "price_deck", made.id);
        audit::record(&mut tx, &actor, deed.after(&made)?).await?;
        tx.commit().await?;
        if self.json {
            return output::json(&made);
        }
        output::line(format!(
            "{} version {}: {} entries, in force from {}",
            made.deck, made.version, made.entries, made.effective_from
        ));
        if import.effective_from < now {
            output::note("usage since then is rated again by the servers");
        }
        Ok(())
    }
}

fn print(preview: &Preview) {
    let Preview {
        deck,
        effective_from,
        entries,
        added_count,
        removed_count,
        changed_count,
        usage,
        ..
    } = preview;
    output::line(format!(
        "{deck}: {entries} entries, in force from {effective_from}"
    ));
    output::line(format!(
        "{added_count} added, {removed_count} removed, {changed_count} changed"
    ));
    for entry in &preview.added {
        output::line(format!("  + {} {}", entry.prefix, entry.price));
    }
    for entry in &preview.removed {
        output::line(format!("  - {} {}", entry.prefix, entry.price));
    }
    for changed in &preview.changed {
        let (prefix, before, after) = (&changed.prefix, &changed.before, &changed.after);
        output::line(format!("  {prefix} {} -> {}", before.price, after.price));
    }
    let of = if usage.is_complete { "" } else { "a part of " };
    output::line(format!(
        "{of}the usage from {} to {}: {} calls by this deck, without a price {} -> {}",
        usage.from, usage.to, usage.count, usage.unpriced_before, usage.unpriced_after
    ));
    for total in &usage.totals {
        let (amounts, currency) = (&total.amounts, &total.currency);
        output::line(format!(
            "  {} -> {} {currency} ({})",
            amounts.before, amounts.after, amounts.difference
        ));
    }
    for row in &usage.prefixes {
        let (amounts, currency) = (&row.amounts, &row.currency);
        output::line(format!(
            "  {}: {} -> {} {currency} ({})",
            row.prefix, amounts.before, amounts.after, amounts.difference
        ));
    }
}
