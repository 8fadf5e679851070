//! Which draft invoice a charge goes on.
//!
//! The draft of the billing period in which the usage occurred; for pay per call that of the calendar month, or one of
//! the call alone. Where that document is finalized already, the usage goes on the payer's next one, with its own date.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CallId, CustomerId, InvoiceId, OrganizationId};
use tollbook_core::payer::{Payer, PayerKind};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use super::load::Item;
use crate::error::{Error, Result};
use crate::ids::new_id;

/// What one draft gathers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) organization: OrganizationId,
    pub(super) payer: &'static str,
    pub(super) customer: Option<CustomerId>,
    pub(super) currency: String,
    /// For pay per call that is invoiced when the call ends.
    pub(super) call: Option<CallId>,
    pub(super) period_start: Timestamp,
    pub(super) period_end: Timestamp,
    pub(super) zone: String,
    pub(super) grace_seconds: i64,
}

/// Where a usage belongs, its document being open. What costs nothing makes no document of its own.
pub(super) fn place(item: &Item, currency: &str, costs: bool) -> Result<Place> {
    let zone: Zone = item
        .zone
        .parse()
        .map_err(|e| Error::Internal(format!("a stored zone: {e}")))?;
    let month = |at| zone.month(at).map_err(|e| Error::Internal(e.to_string()));
    let call = item.call.filter(|_| {
        item.contract.is_none()
            && item.payer == PayerKind::Customer
            && item.is_invoiced_per_call
            && costs
    });
    let (period_start, period_end) = match (item.contract, call, item.call_ended_at) {
        (Some(contract), _, _) => (contract.starts_at, contract.ends_at),
        (None, Some(_), Some(ended)) => (item.occurred_at, ended.max(later(item.occurred_at, 1))),
        (None, _, _) => {
            let month = month(item.occurred_at)?;
            (month.start(), month.end())
        }
    };
    Ok(Place {
        organization: item.organization,
        payer: item.payer.as_str(),
        customer: item.customer,
        currency: currency.to_owned(),
        call: call.filter(|_| item.call_ended_at.is_some()),
        period_start,
        period_end,
        zone: item.zone.clone(),
        grace_seconds: item.grace_seconds,
    })
}

fn later(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// Finds the drafts of these places, and makes those that are missing. `now` decides where late usage goes.
pub(super) async fn drafts(
    tx: &mut PgConnection,
    places: &BTreeSet<Place>,
    now: Timestamp,
) -> Result<HashMap<Place, InvoiceId>> {
    let mut found = HashMap::new();
    // What is asked for, and where it goes instead once its document is finalized.
    let mut open: BTreeMap<Place, Place> = places.iter().map(|p| (p.clone(), p.clone())).collect();
    // A document may be finalized between two looks; each look moves on to a later period, so this ends.
    for _ in 0..3 {
        let wanted: Vec<&Place> = open.values().collect();
        make_missing(tx, &wanted).await?;
        let states = look_up(tx, &wanted).await?;
        let mut late = BTreeMap::new();
        for (asked, wanted) in open {
            match states.get(&wanted) {
                Some((id, true)) => drop(found.insert(asked, *id)),
                Some((_, false)) => drop(late.insert(asked, postponed(&wanted, now)?)),
                None => return Err(Error::Internal("a draft invoice was not made".into())),
            }
        }
        if late.is_empty() {
            return Ok(found);
        }
        open = late;
    }
    Err(Error::Unavailable(
        "the payer's invoices are being finalized".into(),
    ))
}

/// The next document of a payer whose own is closed: that of the calendar month of now, or of the month after.
fn postponed(place: &Place, now: Timestamp) -> Result<Place> {
    let zone: Zone = place
        .zone
        .parse()
        .map_err(|e| Error::Internal(format!("a stored zone: {e}")))?;
    let month = |at| zone.month(at).map_err(|e| Error::Internal(e.to_string()));
    let mut period: Period = month(now.max(place.period_end))?;
    if period.start() == place.period_start && period.end() == place.period_end {
        period = month(period.end())?;
    }
    Ok(Place {
        call: None,
        period_start: period.start(),
        period_end: period.end(),
        ..place.clone()
    })
}

/// One draft per place that has no document yet; locks in key order.
async fn make_missing(tx: &mut PgConnection, places: &[&Place]) -> Result<()> {
    let columns = Columns::of(places);
    let ids: Vec<Uuid> = places.iter().map(|_| new_id()).collect();
    let zones: Vec<&str> = places.iter().map(|p| p.zone.as_str()).collect();
    let finalize: Vec<_> = places
        .iter()
        .map(|p| later(p.period_end, p.grace_seconds).to_sqlx())
        .collect();
    sqlx::query!(
        "insert into invoices (organization_id, id, payer, customer_id, kind, call_id, currency, period_start, period_end, zone, finalize_at)
         select k.organization_id, k.id, k.payer, k.customer_id, case when k.call_id is null then 'period' else 'call' end,
             k.call_id, k.currency, k.period_start, k.period_end, k.zone, k.finalize_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::timestamptz[])
             as k (organization_id, id, payer, customer_id, call_id, currency, period_start, period_end, zone, finalize_at)
         where not exists (
             select from invoices i
             where i.organization_id = k.organization_id and i.payer = k.payer and i.customer_id is not distinct from k.customer_id
                 and i.currency = k.currency and (
                     (k.call_id is null and i.kind = 'period' and i.period_start = k.period_start and i.period_end = k.period_end)
                     or (k.call_id is not null and i.call_id = k.call_id)))
         order by k.organization_id, k.payer, k.customer_id, k.currency, k.period_start, k.call_id
         on conflict do nothing",
        &columns.organizations,
        &ids,
        &columns.payers as &[&str],
        &columns.customers as &[Option<Uuid>],
        &columns.calls as &[Option<Uuid>],
        &columns.currencies as &[&str],
        &columns.starts,
        &columns.ends,
        &zones as &[&str],
        &finalize,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The documents of places, and whether each is still a draft. Drafts are locked, so that none is finalized meanwhile.
async fn look_up(
    tx: &mut PgConnection,
    places: &[&Place],
) -> Result<HashMap<Place, (InvoiceId, bool)>> {
    let columns = Columns::of(places);
    let rows = sqlx::query!(
        r#"select k.position as "position!", i.id, i.state = 'draft' as "is_draft!"
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[])
             with ordinality as k (organization_id, payer, customer_id, call_id, currency, period_start, period_end, position)
         join invoices i on i.organization_id = k.organization_id and i.payer = k.payer
             and i.customer_id is not distinct from k.customer_id and i.currency = k.currency and (
                 (k.call_id is null and i.kind = 'period' and i.period_start = k.period_start and i.period_end = k.period_end)
                 or (k.call_id is not null and i.call_id = k.call_id))
         order by i.organization_id, i.id for share of i"#,
        &columns.organizations,
        &columns.payers as &[&str],
        &columns.customers as &[Option<Uuid>],
        &columns.calls as &[Option<Uuid>],
        &columns.currencies as &[&str],
        &columns.starts,
        &columns.ends,
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<Place, (InvoiceId, bool)> = HashMap::new();
    for row in rows {
        let index = usize::try_from(row.position).unwrap_or(0).saturating_sub(1);
        let Some(place) = places.get(index) else {
            continue;
        };
        let entry = found
            .entry((*place).clone())
            .or_insert((row.id.into(), row.is_draft));
        // A period may have a voided document beside its draft: the draft takes the charges.
        if row.is_draft {
            *entry = (row.id.into(), true);
        }
    }
    Ok(found)
}

struct Columns<'a> {
    organizations: Vec<Uuid>,
    payers: Vec<&'a str>,
    customers: Vec<Option<Uuid>>,
    calls: Vec<Option<Uuid>>,
    currencies: Vec<&'a str>,
    starts: Vec<jiff_sqlx::Timestamp>,
    ends: Vec<jiff_sqlx::Timestamp>,
}

impl<'a> Columns<'a> {
    fn of(places: &[&'a Place]) -> Self {
        Self {
            organizations: places.iter().map(|p| p.organization.uuid()).collect(),
            payers: places.iter().map(|p| p.payer).collect(),
            customers: places.iter().map(|p| p.customer.map(Uuid::from)).collect(),
            calls: places.iter().map(|p| p.call.map(Uuid::from)).collect(),
            currencies: places.iter().map(|p| p.currency.as_str()).collect(),
            starts: places.iter().map(|p| p.period_start.to_sqlx()).collect(),
            ends: places.iter().map(|p| p.period_end.to_sqlx()).collect(),
        }
    }
}

/// Where the base fee of a period belongs.
pub(crate) struct FeePlace<'a> {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    pub(crate) currency: &'a str,
    pub(crate) zone: &'a str,
    pub(crate) grace_seconds: i64,
    /// The period that the fee is for.
    pub(crate) period: (Timestamp, Timestamp),
    /// The period before it, on whose document it goes.
    pub(crate) previous: Option<(Timestamp, Timestamp)>,
}

/// The draft of a fee: that of the usage of the period before; for a first period a document of its own, at once.
pub(crate) async fn fee_draft(
    tx: &mut PgConnection,
    fee: &FeePlace<'_>,
    now: Timestamp,
) -> Result<InvoiceId> {
    if let Some((period_start, period_end)) = fee.previous {
        let place = Place {
            organization: fee.organization,
            payer: fee.payer.kind().as_str(),
            customer: fee.payer.customer(),
            currency: fee.currency.to_owned(),
            call: None,
            period_start,
            period_end,
            zone: fee.zone.to_owned(),
            grace_seconds: fee.grace_seconds,
        };
        let found = drafts(tx, &BTreeSet::from([place.clone()]), now).await?;
        return found
            .get(&place)
            .copied()
            .ok_or_else(|| Error::Internal("a draft invoice was not made".into()));
    }
    let id: InvoiceId = new_id();
    sqlx::query!(
        "insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone, finalize_at)
         values ($1, $2, $3, $4, 'one_off', $5, $6, $7, $8, $9)",
        fee.organization.uuid(),
        id.uuid(),
        fee.payer.kind().as_str(),
        fee.payer.customer().map(Uuid::from),
        fee.currency,
        fee.period.0.to_sqlx(),
        fee.period.1.to_sqlx(),
        fee.zone,
        later(fee.period.0, fee.grace_seconds).to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(id)
}
