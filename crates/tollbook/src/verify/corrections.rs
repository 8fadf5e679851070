//! What corrections took off lines of final documents, against the charges that they took back.

use rust_decimal::Decimal;
use tollbook_core::ids::OrganizationId;
use tollbook_core::invoices::taken_back;
use tollbook_core::money::{Currency, Fraction, Money, Rounding};
use uuid::Uuid;

use super::charges::fraction;
use super::chunks::{Chunk, last};
use super::counters::difference;
use super::ops::Difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::corrections::taken_off;
use crate::error::{Error, Result};

/// Lines of one chunk.
pub(super) const CHUNK: i64 = 500;

struct Line {
    id: Uuid,
    currency: String,
    amount_minor: i64,
    amount_numerator: Decimal,
    amount_denominator: Decimal,
    /// The sum of what corrections took off.
    shared: i64,
    /// What they gave back, by their own account and by the credit notes that they name.
    given: i64,
    credited: i64,
}

/// Works out again what each line is less by. It may have been rounded as the organization did before: that shows only in
/// halves.
pub(super) async fn chunk(
    app: &App,
    organization: OrganizationId,
    after: Option<Uuid>,
) -> Result<Chunk> {
    let mut tx = snapshot(app).await?;
    let lines = sqlx::query_file_as!(
        Line,
        "src/verify/taken_off.sql",
        organization.uuid(),
        after.unwrap_or_default(),
        CHUNK,
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<Uuid> = lines.iter().map(|line| line.id).collect();
    let gone = taken_off(&mut tx, organization, &ids).await?;
    drop(tx);
    let mut differences = Vec::new();
    for line in &lines {
        let gone = gone.get(&line.id).copied().unwrap_or(Fraction::ZERO);
        differences.extend(line.check(organization, gone)?);
    }
    Ok((last(&lines, CHUNK, |line| line.id), differences))
}

impl Line {
    fn check(&self, organization: OrganizationId, gone: Fraction) -> Result<Vec<Difference>> {
        let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("line {}: {e}", self.id));
        let currency: Currency = self.currency.parse().map_err(|e| wrong(&e))?;
        let exact = fraction(self.amount_numerator, self.amount_denominator)?;
        let left = exact.checked_sub(gone).map_err(|e| wrong(&e))?;
        let (printed, nothing) = (
            Money::from_minor(self.amount_minor, currency),
            Money::zero(currency),
        );
        let shares = [Rounding::HalfUp, Rounding::HalfEven]
            .map(|rounding| taken_back(printed, nothing, left, rounding));
        let [up, even] = shares;
        let up = up.map_err(|e| wrong(&e))?.minor();
        let even = even.map_err(|e| wrong(&e))?.minor();
        let mut found = Vec::new();
        let mut compare = |what: &str, expected: i64, stored: i64| {
            if expected != stored {
                found.push(difference(
                    organization,
                    "correction_credits",
                    self.id.to_string(),
                    what,
                    expected.to_string(),
                    stored.to_string(),
                ));
            }
        };
        if self.shared != even {
            compare("what corrections took off the line", up, self.shared);
        }
        compare("credited by corrections", self.given, self.credited);
        Ok(found)
    }
}
