//! Which thresholds a batch of charges passes. Nothing is asked of the database unless something rose by a whole percent.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId};
use tollbook_core::limits::{PERCENTS, crossed, percent};
use tollbook_core::money::{Fraction, Quantity};
use uuid::Uuid;

use super::spend::{Total, stored};
use crate::alerts::{self, AlertKind, NewAlert, Severity};
use crate::error::Result;

/// What is included, and how much of it was used.
#[derive(Debug, Clone)]
pub(crate) struct Allowance {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    /// `None`: the organization's own.
    pub(crate) customer: Option<CustomerId>,
    pub(crate) key: String,
    /// When the cycle began.
    pub(crate) period_start: Timestamp,
    /// What there is in all, as granted and carried over.
    pub(crate) granted: Quantity,
    pub(crate) before: Quantity,
    pub(crate) after: Quantity,
}

/// How far something rose, in whole percent of its limit.
struct Risen {
    kind: AlertKind,
    organization: OrganizationId,
    customer: Option<CustomerId>,
    account: AccountId,
    subject: String,
    period_start: Timestamp,
    before: u32,
    after: u32,
    detail: Value,
}

/// Tells of the thresholds that usage of a batch passes: of allowances, and of caps, where `cap_of` knows the caps of
/// plans. Each is told once in a period, whatever corrections come.
pub(crate) async fn tell(
    tx: &mut PgConnection,
    allowances: &[Allowance],
    totals: &[Total],
    cap_of: impl Fn(&Total) -> Option<Fraction>,
    now: Timestamp,
) -> Result<()> {
    let mut risen = Vec::new();
    for it in allowances {
        risen.extend(allowance(it)?);
    }
    for total in totals {
        if let Some(cap) = total.cap.or_else(|| cap_of(total)) {
            risen.extend(spend(total, cap)?);
        }
    }
    if risen.is_empty() {
        return Ok(());
    }
    let set = Set::read(tx, &risen).await?;
    let raised: Vec<NewAlert> = risen.iter().flat_map(|it| set.alerts(it)).collect();
    let raised = alerts::raise(tx, &raised, now).await?;
    alerts::tell(tx, raised).await
}

/// The same for charges that were priced by hand.
pub(crate) async fn spent(tx: &mut PgConnection, totals: &[Total], now: Timestamp) -> Result<()> {
    tell(tx, &[], totals, |_| None, now).await
}

fn shown(number: Decimal) -> String {
    number.normalize().to_string()
}

fn allowance(it: &Allowance) -> Result<Option<Risen>> {
    let of = |used: Quantity| percent(used.to_fraction(), it.granted.to_fraction());
    let before = of(it.before).map_err(|e| stored(&e))?;
    let after = of(it.after).map_err(|e| stored(&e))?;
    Ok((before < after).then(|| Risen {
        kind: AlertKind::Allowance,
        organization: it.organization,
        customer: it.customer,
        account: it.account,
        subject: it.key.clone(),
        period_start: it.period_start,
        before,
        after,
        detail: json!({ "used": shown(it.after.to_decimal()), "limit": shown(it.granted.to_decimal()) }),
    }))
}

fn spend(it: &Total, cap: Fraction) -> Result<Option<Risen>> {
    let before = percent(it.before, cap).map_err(|e| stored(&e))?;
    let after = percent(it.after, cap).map_err(|e| stored(&e))?;
    let exact = |amount: Fraction| -> Result<String> {
        let (numerator, denominator) = amount.to_decimals().map_err(|e| stored(&e))?;
        Ok(shown(
            numerator.checked_div(denominator).unwrap_or_default(),
        ))
    };
    if before >= after {
        return Ok(None);
    }
    Ok(Some(Risen {
        kind: AlertKind::Cap,
        organization: it.organization,
        customer: it.customer,
        account: it.account,
        subject: it.currency.to_string(),
        period_start: it.period_start,
        before,
        after,
        detail: json!({ "used": exact(it.after)?, "limit": exact(cap)? }),
    }))
}

/// The thresholds that are set.
struct Set(Vec<Threshold>);

struct Threshold {
    organization_id: Uuid,
    payer: String,
    customer_id: Option<Uuid>,
    kind: String,
    at: Decimal,
}

impl Set {
    async fn read(tx: &mut PgConnection, risen: &[Risen]) -> Result<Self> {
        let organizations: BTreeSet<Uuid> = risen.iter().map(|it| it.organization.uuid()).collect();
        let organizations: Vec<Uuid> = organizations.into_iter().collect();
        let rows = sqlx::query_as!(
            Threshold,
            "select organization_id, payer, customer_id, kind, at from usage_thresholds
             where organization_id = any($1) and kind in ('allowance', 'cap')",
            &organizations,
        )
        .fetch_all(tx)
        .await?;
        Ok(Self(rows))
    }

    /// In whole percent: the customer's own, else those of all payers of the sale, else what is usual.
    fn percents(&self, it: &Risen) -> Vec<u32> {
        let payer = it.customer.map_or("organization", |_| "customer");
        let of = |customer: Option<Uuid>| -> Vec<u32> {
            let fits = |set: &&Threshold| {
                set.organization_id == it.organization.uuid()
                    && set.payer == payer
                    && set.kind == it.kind.as_str()
                    && set.customer_id == customer
            };
            let found = self.0.iter().filter(fits);
            found.filter_map(|set| u32::try_from(set.at).ok()).collect()
        };
        let own = it.customer.map(|customer| of(Some(customer.uuid())));
        let sets = [own.unwrap_or_default(), of(None)];
        let set = sets.into_iter().find(|set| !set.is_empty());
        set.unwrap_or_else(|| PERCENTS.to_vec())
    }

    fn alerts(&self, it: &Risen) -> Vec<NewAlert> {
        let alert = |at: u32| {
            let mut detail = it.detail.clone();
            if let Some(fields) = detail.as_object_mut() {
                fields.insert("percent".to_owned(), at.into());
                fields.insert("periodStart".to_owned(), it.period_start.to_string().into());
            }
            NewAlert {
                organization: it.organization,
                kind: it.kind,
                severity: if at >= 100 {
                    Severity::Critical
                } else {
                    Severity::Warning
                },
                group_key: format!(
                    "{}:{}:{}:{}:{at}",
                    it.kind, it.account, it.subject, it.period_start
                ),
                customer: it.customer,
                subject: it.subject.clone(),
                detail,
            }
        };
        let passed = crossed(&self.percents(it), it.before, it.after);
        passed.into_iter().map(alert).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risen(customer: Option<u128>, before: u32, after: u32) -> Risen {
        Risen {
            kind: AlertKind::Cap,
            organization: Uuid::from_u128(1).into(),
            customer: customer.map(|id| Uuid::from_u128(id).into()),
            account: Uuid::from_u128(2).into(),
            subject: "USD".to_owned(),
            period_start: "2026-03-01T00:00:00Z".parse().unwrap(),
            before,
            after,
            detail: json!({}),
        }
    }

    fn at(customer: Option<u128>, payer: &str, at: i64) -> Threshold {
        Threshold {
            organization_id: Uuid::from_u128(1),
            payer: payer.to_owned(),
            customer_id: customer.map(Uuid::from_u128),
            kind: "cap".to_owned(),
            at: at.into(),
        }
    }

    fn passed(set: &Set, it: &Risen) -> Vec<String> {
        let keys = set.alerts(it).into_iter();
        keys.map(|it| it.group_key.rsplit(':').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_customers_own_thresholds_stand_in_place_of_the_others() {
        let set = Set(vec![
            at(Some(7), "customer", 50),
            at(None, "customer", 90),
            at(None, "organization", 10),
        ]);
        assert_eq!(passed(&set, &risen(Some(7), 0, 100)), ["50"]);
        assert_eq!(passed(&set, &risen(Some(8), 0, 100)), ["90"]);
        assert_eq!(passed(&set, &risen(None, 0, 100)), ["10"]);
        assert_eq!(
            passed(&Set(Vec::new()), &risen(Some(7), 0, 100)),
            ["80", "100"]
        );
        assert_eq!(passed(&Set(Vec::new()), &risen(Some(7), 80, 99)), [""; 0]);
    }
}
