//! Charges, lines and the account, as text or as JSON, each as soon as it is known.

use anyhow::Result;
use serde::Serialize;
use serde_json::value::RawValue;
use tollbook_core::invoices::LineTrace;
use tollbook_core::metering::MeterCode;
use tollbook_core::money::{Currency, Money};
use tollbook_core::phone::E164;
use tollbook_core::plans::{Key, Proration};
use tollbook_core::rating::{ChargePart, PartKind, Rated, Trace};

use super::account::{Account, Closed, Unrated};
use super::calls::Metered;
use super::file::AccountFile;
use crate::cli::output;

/// Writes what comes out.
pub(super) struct Printer {
    is_json: bool,
    currency: Currency,
    /// What shares of a base fee are counted in.
    proration: Proration,
    charges: u32,
    periods: Vec<Closed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChargeView<'a> {
    id: &'a str,
    line: u64,
    meter: &'a MeterCode,
    quantity: String,
    occurred_at: String,
    /// Exact, in major units; `null` while a provider's price is pending.
    amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    parts: Vec<PartView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartView<'a> {
    kind: &'static str,
    price: Option<&'a str>,
    band: Option<&'a str>,
    quantity: String,
    amount: Option<String>,
    grant_id: Option<String>,
    trace: &'a Trace,
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Ending {
    periods: Vec<PeriodView>,
    total: String,
    /// Credit that expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    expired: Option<String>,
    /// What another call may cost, exact in major units.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<String>,
    /// Seconds that a call to the number asked for may last.
    #[serde(skip_serializing_if = "Option::is_none")]
    longest_call: Option<u32>,
    account: Option<AccountFile>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PeriodView {
    start: String,
    end: String,
    lines: Vec<LineView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitment: Option<SummandView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<SummandView>,
    subtotal: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taxes: Vec<SummandView>,
    reverse_charge: bool,
    total: String,
    pending: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_wallet: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LineView {
    line: String,
    quantity: String,
    #[serde(flatten)]
    summand: SummandView,
}

/// What a document adds up, and how it came about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummandView {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    exact: String,
    amount: String,
    trace: Box<RawValue>,
    text: String,
}

impl SummandView {
    fn of(trace: &LineTrace, name: Option<String>, unit: &str) -> Result<Self> {
        Ok(Self {
            name,
            exact: trace.exact.to_string(),
            amount: trace.amount.amount(),
            trace: serde_json::value::to_raw_value(trace)?,
            text: trace.explain(unit),
        })
    }
}

impl Printer {
    pub(super) fn new(is_json: bool, currency: Currency, proration: Proration) -> Result<Self> {
        if is_json {
            output::part(format!(
                "{{\"currency\":{},\"charges\":[",
                serde_json::to_string(&currency)?
            ));
        }
        Ok(Self {
            is_json,
            currency,
            proration,
            charges: 0,
            periods: Vec::new(),
        })
    }

    /// Keeps a period that is over for the end.
    pub(super) fn keep(&mut self, closed: Vec<Closed>) {
        self.periods.extend(closed);
    }

    /// Prints what a usage costs, or why that is not known.
    pub(super) fn charge(
        &mut self,
        metered: &Metered,
        rated: Result<&Rated, &Unrated>,
    ) -> Result<()> {
        let view = self.view(metered, rated)?;
        let is_first = self.charges == 0;
        self.charges = self.charges.saturating_add(1);
        if self.is_json {
            let comma = if is_first { "" } else { "," };
            output::part(format!("{comma}\n{}", serde_json::to_string(&view)?));
            return Ok(());
        }
        let amount = match (&view.error, &view.amount) {
            (Some(error), _) => format!("not rated: {error}"),
            (None, Some(amount)) => format!("{amount} {}", self.currency),
            (None, None) => "pending".to_owned(),
        };
        let ChargeView {
            id,
            meter,
            quantity,
            occurred_at,
            ..
        } = &view;
        output::line(format!("{id}  {meter} {quantity}  {occurred_at}  {amount}"));
        for part in &view.parts {
            let amount = part.amount.as_deref().unwrap_or("pending");
            let band = part
                .band
                .map(|band| format!(" in `{band}`"))
                .unwrap_or_default();
            output::line(format!("  {} {}{band}: {amount}", part.kind, part.quantity));
            indented(&part.text);
        }
        Ok(())
    }

    fn view<'a>(
        &self,
        metered: &'a Metered,
        rated: Result<&'a Rated, &Unrated>,
    ) -> Result<ChargeView<'a>> {
        let usage = &metered.usage;
        let (parts, amount, error) = match rated {
            Ok(rated) => (rated.parts.as_slice(), rated.total()?, None),
            Err(error) => (&[][..], None, Some(error.to_string())),
        };
        let unit = unit(&usage.meter);
        Ok(ChargeView {
            id: &metered.id,
            line: metered.line,
            meter: &usage.meter,
            quantity: usage.quantity.to_string(),
            occurred_at: usage.occurred_at.to_string(),
            amount: amount.map(|amount| amount.to_string()),
            error,
            parts: parts.iter().map(|part| self.part(part, unit)).collect(),
        })
    }

    fn part<'a>(&self, part: &'a ChargePart, unit: &str) -> PartView<'a> {
        PartView {
            kind: part.kind.as_str(),
            price: part.price_key.as_ref().map(Key::as_str),
            band: part.band.as_ref().map(Key::as_str),
            quantity: part.quantity.to_string(),
            amount: part.amount.map(|amount| amount.to_string()),
            grant_id: part.grant_id.map(|id| id.to_string()),
            trace: &part.trace,
            text: part.trace.explain(self.currency, unit),
        }
    }

    /// Prints what each period comes to, the last one as if it were over, and what is left; the account too unless it
    /// goes to a file.
    pub(super) fn finish(
        mut self,
        account: &mut Account<'_>,
        with_account: bool,
        longest_call_to: Option<E164>,
    ) -> Result<()> {
        let last = account.add_up()?;
        let available = account.available(last.as_ref())?;
        let longest_call = longest_call_to
            .map(|to| account.longest_call(to, last.as_ref()))
            .transpose()?;
        self.periods.extend(last);
        let mut total = Money::zero(self.currency);
        for closed in &self.periods {
            total = total.checked_add(closed.preview.totals.total)?;
        }
        let periods: Result<Vec<_>> = self.periods.iter().map(|it| self.period(it)).collect();
        let mut ending = Ending {
            periods: periods?,
            total: total.amount(),
            expired: account.expired().map(Money::amount),
            available: available.map(|it| it.to_string()),
            longest_call,
            account: with_account.then(|| account.file()).transpose()?,
        };
        if self.is_json {
            let rest = serde_json::to_string(&ending)?;
            // The object goes on where the charges end.
            let rest = rest.strip_prefix('{').unwrap_or(&rest);
            output::line(format!("\n],{rest}"));
            return Ok(());
        }
        self.periods_as_text(&ending);
        output::line(format!("\ntotal {total}"));
        if let Some(expired) = &ending.expired {
            output::line(format!("expired credit: {expired} {}", self.currency));
        }
        if let Some(available) = &ending.available {
            output::line(format!("available: {available} {}", self.currency));
        }
        if let Some(seconds) = ending.longest_call {
            output::line(format!("longest call: {seconds} s"));
        }
        if let Some(account) = &mut ending.account {
            // What the open period has so far stands above.
            account.open = None;
            output::line("\naccount");
            indented(&serde_json::to_string_pretty(account)?);
        }
        Ok(())
    }

    fn period(&self, closed: &Closed) -> Result<PeriodView> {
        let preview = &closed.preview;
        let mut lines = Vec::new();
        for line in &preview.lines {
            lines.push(LineView {
                line: line.group.clone(),
                quantity: line.quantity.to_string(),
                summand: SummandView::of(&line.trace, None, self.unit(line.kind))?,
            });
        }
        let summand = |trace: &Option<LineTrace>| {
            let trace = trace.as_ref();
            trace
                .map(|it| SummandView::of(it, None, "units"))
                .transpose()
        };
        let mut taxes = Vec::new();
        for (tax, trace) in preview.totals.taxes.iter().zip(&preview.taxes) {
            let (name, percent) = (&tax.rate.name, tax.rate.percent);
            taxes.push(SummandView::of(
                trace,
                Some(format!("{name} {percent} %")),
                "units",
            )?);
        }
        Ok(PeriodView {
            start: closed.period.start().to_string(),
            end: closed.period.end().to_string(),
            lines,
            commitment: summand(&preview.commitment)?,
            discount: summand(&preview.discount)?,
            subtotal: preview.totals.subtotal.amount(),
            taxes,
            reverse_charge: preview.totals.reverse_charge,
            total: preview.totals.total.amount(),
            pending: preview.pending,
            from_wallet: closed.drawn.map(Money::amount),
        })
    }

    fn unit(&self, kind: PartKind) -> &'static str {
        match (kind, self.proration) {
            (PartKind::Fee, Proration::Days) => "days",
            (PartKind::Fee, Proration::Seconds) => "s",
            _ => "units",
        }
    }

    fn periods_as_text(&self, ending: &Ending) {
        let currency = self.currency;
        for period in &ending.periods {
            output::line(format!("\nfrom {} to {}", period.start, period.end));
            let print = |name: &str, summand: &SummandView| {
                output::line(format!("  {name}: {} {currency}", summand.amount));
                indented(&summand.text);
            };
            for LineView {
                line,
                quantity,
                summand,
            } in &period.lines
            {
                print(&format!("{line} {quantity}"), summand);
            }
            if let Some(commitment) = &period.commitment {
                print("minimum commitment", commitment);
            }
            if let Some(discount) = &period.discount {
                print("discount", discount);
            }
            if !period.taxes.is_empty() {
                output::line(format!("  without tax: {} {currency}", period.subtotal));
            }
            for tax in &period.taxes {
                print(tax.name.as_deref().unwrap_or("tax"), tax);
            }
            if period.reverse_charge {
                output::line("  the customer owes the tax (reverse charge)");
            }
            output::line(format!("  total: {} {currency}", period.total));
            if let Some(drawn) = &period.from_wallet {
                output::line(format!("  from the wallet: {drawn} {currency}"));
            }
            if period.pending > 0 {
                output::line(format!("  pending charges: {}", period.pending));
            }
        }
    }
}

/// What one of a meter's quantity is called behind a number.
fn unit(meter: &MeterCode) -> &'static str {
    match meter.built_in() {
        Some(meter) if meter.base_unit() == "second" => "s",
        Some(meter) => meter.base_unit(),
        None => "units",
    }
}

fn indented(text: &str) {
    for line in text.lines() {
        output::line(format!("    {line}"));
    }
}
