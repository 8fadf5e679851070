//! `tollbook rate`

mod account;
mod calls;
mod decks;
mod file;
mod print;
mod subscription;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};
use tollbook_core::money::Rounding;
use tollbook_core::phone::E164;
use tollbook_core::plans::{Document, Offer};
use tollbook_core::rating::{NotChargedReason, Rated, Surroundings, Terms};
use tollbook_core::time::Zone;

use self::account::Account;
use self::calls::Calls;
use self::decks::DeckFile;
use self::file::AccountFile;
use self::print::Printer;
use super::output;

/// Rates a file of calls on a plan, without any database
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct Rate {
    /// The plan as JSON, in the full or the short form
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// The calls as CSV; `-` is standard input
    #[arg(long, value_name = "FILE")]
    calls: PathBuf,
    /// Subscription, tax, allowance, tiers and wallet to begin with, as JSON
    #[arg(long, value_name = "FILE")]
    account: Option<PathBuf>,
    /// Write the account as the calls leave it; it may be the same file
    #[arg(long, value_name = "FILE")]
    account_out: Option<PathBuf>,
    /// A price deck that the plan names, as CSV; may be given several times
    #[arg(long = "deck", value_name = "KEY=FILE")]
    decks: Vec<DeckFile>,
    /// Where days, bands and periods begin, if neither account nor plan says so
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    zone: Zone,
    /// What happens to exactly half a cent on a line
    #[arg(long, value_enum, default_value = "half-up")]
    rounding: Half,
    /// Also say how long a call to this number may last after the calls
    #[arg(long, value_name = "NUMBER")]
    longest_call: Option<E164>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Half {
    /// Away from zero
    HalfUp,
    /// To the even neighbour
    HalfEven,
}

const HELP: &str = r#"Calls have the columns id, started_at, and either billable_seconds or answered_at and ended_at; a call that was
not answered has no answered_at. direction (incoming, outgoing), from and to (E.164) are optional, provider_cost is
what the provider charged. A line with meter and quantity is that much of a meter, not a call. Times are RFC 3339.
Calls are rated in the order of their times, whatever the order of the lines; a file that is in order is not held in
memory.

Decks have the columns prefix and price, and perhaps connection_fee, increment, starts_at and ends_at.

An account is, with everything optional:
  {"zone": "America/New_York", "anchorOn": "2026-01-31",
   "subscription": {"startsAt": "2026-01-31T05:00:00Z", "endsAt": null,
                    "pauses": [{"startsAt": "2026-03-01T05:00:00Z", "endsAt": "2026-04-01T04:00:00Z"}]},
   "tax": {"rates": [{"name": "VAT", "percent": "19", "inclusive": false}]}, "discount": {"percent": "10"},
   "wallet": {"currency": "USD", "creditLimit": "5.00",
              "lots": [{"left": "20.00", "receivedAt": "2026-01-01T00:00:00Z"}],
              "reservations": [{"call": "c7", "amount": "2.00", "expiresAt": "2026-01-05T13:00:00Z"}]}}
tax may also be "exempt" or "reverse_charge", discount also {"amount": "5.00"}. Without a subscription there is one from
the start of the first period. Base fees are due for what is neither trial nor pause, and a period's usage is filled up
to the plan's minimum commitment if a fee is due for any of it. The last period is added up as if it were over. The
account that --account-out writes, or --json prints, also has periodStart, what the open period has so far, grants and
tiers; given again with the next calls, it comes to the same as all calls at once.

Examples:
  tollbook rate --plan plan.json --calls calls.csv
  tollbook rate --plan plan.json --calls calls.csv --deck world=deck.csv --json
  tollbook rate --plan plan.json --calls march.csv --account ann.json --account-out ann.json"#;

impl Rate {
    pub(super) fn run(self) -> Result<ExitCode> {
        let document = self.plan()?;
        let file = match &self.account {
            Some(path) => AccountFile::read(path)?,
            None => AccountFile::default(),
        };
        let zone = file.zone.as_ref().unwrap_or(&self.zone).clone();
        let terms = self.terms(&document, zone.clone())?;
        let calls = Calls::open(&self.calls)?;
        let rounding = match self.rounding {
            Half::HalfUp => Rounding::HalfUp,
            Half::HalfEven => Rounding::HalfEven,
        };
        let first_at = calls.first_at();
        let mut account = Account::new(&document, &terms, file, zone, first_at, rounding)?;
        let mut printer = Printer::new(self.json, terms.currency(), document.proration)?;
        for metered in calls.in_order()? {
            let metered = metered?;
            printer.keep(account.enter(&metered)?);
            let rated = account.rate(&metered);
            let reason = |rated: &Rated| rated.parts.first()?.trace.reason;
            let is_unpriced =
                rated.as_ref().ok().and_then(reason) == Some(NotChargedReason::NoPrice);
            if metered.is_call_count && is_unpriced {
                continue;
            }
            printer.charge(&metered, rated.as_ref())?;
        }
        let with_account = self.account_out.is_none();
        printer.finish(&mut account, with_account, self.longest_call)?;
        if let Some(path) = &self.account_out {
            account.file()?.write(path)?;
        }
        Ok(match account.unrated() {
            0 => ExitCode::SUCCESS,
            1 => refuse("1 usage could not be rated"),
            many => refuse(&format!("{many} usages could not be rated")),
        })
    }

    fn plan(&self) -> Result<Document> {
        let path = &self.plan;
        let text =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let offer = Offer::read(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
        Ok(offer.document)
    }

    fn terms(&self, document: &Document, zone: Zone) -> Result<Terms> {
        let surroundings = Surroundings {
            zone: Some(zone),
            calendar: None,
            decks: decks::read(&self.decks)?,
        };
        Terms::new(document, &surroundings).map_err(|error| {
            let path = self.plan.display();
            anyhow!("{path}: {error} (decks are given as `--deck KEY=FILE`)")
        })
    }
}

fn refuse(message: &str) -> ExitCode {
    output::note(format!("error: {message}; each is marked above"));
    ExitCode::FAILURE
}
