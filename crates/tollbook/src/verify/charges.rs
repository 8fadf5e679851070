//! Amounts of charges against their traces, and what accounts have used against their charges.

use std::collections::HashMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::{Fraction, Price, Quantity};
use tollbook_core::rating::{ProviderCost, TRACE_VERSION, Trace};
use uuid::Uuid;

use super::counters::{difference, just_below, quantity, sum};
use super::ops::{Difference, FOUND_MAX};
use super::snapshot::{settled, snapshot};
use crate::app::App;
use crate::error::{Error, Result};

/// Charges of one chunk.
const CHUNK: i64 = 5_000;

/// As it is stored: exact numbers do not survive a `serde_json::Value`.
type RawTrace = Json<Box<RawValue>>;
/// What charges drew from each grant, reversals taken off.
type Drawn = HashMap<Uuid, Quantity>;
/// What charges counted under each account's prices, by period.
type Tiers = HashMap<(Uuid, String, Timestamp), Quantity>;

#[derive(Default)]
struct Added {
    drawn: Drawn,
    tiers: Tiers,
    differences: Vec<Difference>,
}

struct Charge {
    id: Uuid,
    account_id: Uuid,
    reverses_id: Option<Uuid>,
    kind: String,
    price_key: Option<String>,
    grant_id: Option<Uuid>,
    quantity: Decimal,
    amount_numerator: Decimal,
    amount_denominator: Decimal,
    trace_version: i16,
    trace: RawTrace,
    period_start: jiff_sqlx::Timestamp,
    cost: Option<Decimal>,
}

/// Adds up the charges of an organization.
pub(super) async fn run(
    app: &App,
    organization: OrganizationId,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    let settled = settled();
    let mut added = Added::default();
    let mut after = Uuid::nil();
    loop {
        let mut tx = snapshot(app).await?;
        let next = added.add(&mut tx, organization, after, settled).await?;
        tell(CHUNK.unsigned_abs());
        if added.differences.len() >= FOUND_MAX {
            return Ok(added.differences);
        }
        let Some(next) = next else { break };
        after = next;
    }
    // What came since, and the totals that have it, as of the same moment.
    let mut tx = snapshot(app).await?;
    let mut after = just_below(settled);
    while let Some(next) = added.add(&mut tx, organization, after, Uuid::max()).await? {
        after = next;
    }
    added.compare_grants(&mut tx, organization).await?;
    added.compare_tiers(&mut tx, organization).await?;
    Ok(added.differences)
}

impl Added {
    /// Adds a chunk of charges; returns where the next one begins.
    async fn add(
        &mut self,
        tx: &mut PgConnection,
        organization: OrganizationId,
        after: Uuid,
        below: Uuid,
    ) -> Result<Option<Uuid>> {
        let charges = sqlx::query_file_as!(
            Charge,
            "src/verify/traced.sql",
            organization.uuid(),
            after,
            below,
            CHUNK
        )
        .fetch_all(tx)
        .await?;
        let is_last = i64::try_from(charges.len()).unwrap_or(CHUNK) < CHUNK;
        let next = charges.last().map(|charge| charge.id).filter(|_| !is_last);
        for charge in charges {
            if let Err((expected, found)) = charge.check_amount() {
                let key = charge.id.to_string();
                self.differences.push(difference(
                    organization,
                    "charges",
                    key,
                    "amount by its trace",
                    expected,
                    found,
                ));
            }
            self.count(charge)?;
        }
        Ok(next)
    }

    fn count(&mut self, charge: Charge) -> Result<()> {
        let amount = quantity(charge.quantity)?;
        if let Some(grant) = charge.grant_id {
            let total = self.drawn.entry(grant).or_default();
            *total = sum(*total, amount)?;
        }
        let is_in_tiers =
            charge.kind != "manual" && charge.trace().is_ok_and(|trace| trace.tier.is_some());
        if is_in_tiers && let Some(key) = charge.price_key {
            let place = (charge.account_id, key, charge.period_start.to_jiff());
            let total = self.tiers.entry(place).or_default();
            *total = sum(*total, amount)?;
        }
        Ok(())
    }

    async fn compare_grants(
        &mut self,
        tx: &mut PgConnection,
        organization: OrganizationId,
    ) -> Result<()> {
        let grants = sqlx::query!(
            "select id, granted, used, forfeited, opening_used from allowance_grants where organization_id = $1 order by id",
            organization.uuid(),
        )
        .fetch_all(tx)
        .await?;
        for grant in grants {
            let drawn = self.drawn.remove(&grant.id).unwrap_or_default();
            let drawn = sum(drawn, quantity(grant.opening_used)?)?;
            let used = quantity(grant.used)?;
            let (key, granted) = (grant.id.to_string(), quantity(grant.granted)?);
            if used != drawn {
                let (expected, found) = (drawn.to_string(), used.to_string());
                self.differences.push(difference(
                    organization,
                    "allowance_grants",
                    key.clone(),
                    "used",
                    expected,
                    found,
                ));
            }
            let gone = sum(used, quantity(grant.forfeited)?)?;
            if gone > granted || gone.is_negative() {
                let expected = format!("0 to {granted}");
                self.differences.push(difference(
                    organization,
                    "allowance_grants",
                    key,
                    "used and forfeited",
                    expected,
                    gone.to_string(),
                ));
            }
        }
        for (grant, drawn) in self.drawn.drain().filter(|(_, drawn)| !drawn.is_zero()) {
            let key = grant.to_string();
            self.differences.push(difference(
                organization,
                "allowance_grants",
                key,
                "grant",
                drawn.to_string(),
                "none".into(),
            ));
        }
        Ok(())
    }

    async fn compare_tiers(
        &mut self,
        tx: &mut PgConnection,
        organization: OrganizationId,
    ) -> Result<()> {
        let totals = sqlx::query!(
            "select account_id, price_key, period_start, quantity from tier_totals
             where organization_id = $1 order by account_id, price_key, period_start",
            organization.uuid(),
        )
        .fetch_all(tx)
        .await?;
        let key_of =
            |(account, price, at): &(Uuid, String, Timestamp)| format!("{account} {price} {at}");
        for row in totals {
            let place = (row.account_id, row.price_key, row.period_start.to_jiff());
            let counted = self.tiers.remove(&place).unwrap_or_default();
            let total = quantity(row.quantity)?;
            if total != counted {
                let (expected, found) = (counted.to_string(), total.to_string());
                self.differences.push(difference(
                    organization,
                    "tier_totals",
                    key_of(&place),
                    "quantity",
                    expected,
                    found,
                ));
            }
        }
        for (place, counted) in self.tiers.drain().filter(|(_, counted)| !counted.is_zero()) {
            let key = key_of(&place);
            self.differences.push(difference(
                organization,
                "tier_totals",
                key,
                "total",
                counted.to_string(),
                "none".into(),
            ));
        }
        Ok(())
    }
}

impl Charge {
    fn trace(&self) -> serde_json::Result<Trace> {
        serde_json::from_str(self.trace.0.get())
    }

    /// Recomputes the amount from the trace, which knows nothing of plans. Fails with what was expected and found.
    fn check_amount(&self) -> Result<(), (String, String)> {
        if self.kind == "manual" {
            return Ok(());
        }
        let wrong =
            |e: &dyn std::fmt::Display| ("a trace that can be read".to_owned(), e.to_string());
        let trace = self.trace().map_err(|e| wrong(&e))?;
        if (self.trace_version, trace.version) != (TRACE_VERSION, TRACE_VERSION) {
            return Err((
                format!("version {TRACE_VERSION}"),
                format!("version {}", self.trace_version),
            ));
        }
        let cost = match self.cost {
            Some(cost) => ProviderCost::Known(Price::try_from(cost).map_err(|e| wrong(&e))?),
            None => ProviderCost::Pending,
        };
        let Some(amount) = trace.amount(cost).map_err(|e| wrong(&e))? else {
            return Err(("the provider's price".to_owned(), "none".to_owned()));
        };
        let (amount, sign) = if self.reverses_id.is_some() {
            (amount.negated(), -1)
        } else {
            (amount, 1)
        };
        let found = Fraction::from_decimals(self.amount_numerator, self.amount_denominator)
            .map_err(|e| wrong(&e))?;
        if found != amount {
            return Err((amount.to_string(), found.to_string()));
        }
        if let Some(tier) = trace.tier {
            let counted = tier.after.checked_sub(tier.before).map_err(|e| wrong(&e))?;
            let own = Fraction::from_whole(sign)
                .checked_mul(counted.to_fraction())
                .map_err(|e| wrong(&e))?;
            let quantity = Quantity::try_from(self.quantity).map_err(|e| wrong(&e))?;
            if own != quantity.to_fraction() {
                return Err((format!("{own} counted under tiers"), quantity.to_string()));
            }
        }
        Ok(())
    }
}

/// A stored amount as a fraction.
pub(super) fn fraction(numerator: Decimal, denominator: Decimal) -> Result<Fraction> {
    Fraction::from_decimals(numerator, denominator)
        .map_err(|e| Error::Internal(format!("a stored amount: {e}")))
}
