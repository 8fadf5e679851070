//! Which draft charges go on.
//!
//! A draft gathers what a payer owes for one billing period, calendar month or call. Where that document is finalized
//! already, what comes late goes on the payer's next one. The payer's account is locked by whoever asks.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{CallId, InvoiceId, OrganizationId, SubscriptionId};
use tollbook_core::payer::Payer;
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::ids::new_id;

/// How long the platform's own drafts wait for late usage; an organization chooses for its sale.
pub(crate) const PLATFORM_GRACE_SECONDS: i64 = 3600;

/// What one draft gathers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    /// ISO 4217 code.
    pub(crate) currency: String,
    /// For pay per call that is invoiced when the call ends.
    pub(crate) call: Option<CallId>,
    /// Whose billing period it is; `None` for calendar months.
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) period: Period,
    pub(crate) zone: String,
    pub(crate) grace_seconds: i64,
}

/// The draft that was found or made for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) invoice: InvoiceId,
    /// Whether it is a later document, the place's own being finalized.
    pub(crate) is_late: bool,
}

impl Place {
    /// From when on its draft may be finalized.
    fn finalize_at(&self) -> Timestamp {
        self.period
            .end()
            .checked_add(SignedDuration::from_secs(self.grace_seconds))
            .unwrap_or(Timestamp::MAX)
    }

    fn customer(&self) -> Option<Uuid> {
        self.payer.customer().map(Uuid::from)
    }
}

/// Finds the drafts of these places, makes those that are missing, and locks them against finalization until the end
/// of the transaction. `now` tells where late usage goes.
pub(crate) async fn open_drafts(
    tx: &mut PgConnection,
    places: &BTreeSet<Place>,
    now: Timestamp,
) -> Result<HashMap<Place, Open>> {
    let mut found = HashMap::new();
    // What is asked for, and where it goes instead once its document is finalized.
    let mut asked: BTreeMap<Place, Place> = places.iter().map(|p| (p.clone(), p.clone())).collect();
    // A document may be finalized between two looks; each look moves on to a later period, so this ends.
    for round in 0..4 {
        let wanted: BTreeSet<&Place> = asked.values().collect();
        let states = look_up(tx, &wanted.into_iter().collect::<Vec<_>>()).await?;
        let (open, closed): (Vec<_>, Vec<_>) = asked
            .into_iter()
            .partition(|(_, wanted)| states.contains_key(wanted));
        for (place, wanted) in open {
            if let Some(invoice) = states.get(&wanted) {
                let is_late = round > 0;
                let invoice = *invoice;
                found.insert(place, Open { invoice, is_late });
            }
        }
        if closed.is_empty() {
            return Ok(found);
        }
        asked = postpone(tx, closed, now).await?;
    }
    Err(Error::Unavailable(
        "the payer's invoices are being finalized".into(),
    ))
}

/// The open drafts of places; those that do not exist are made. What is missing in the answer is finalized.
async fn look_up(tx: &mut PgConnection, places: &[&Place]) -> Result<HashMap<Place, InvoiceId>> {
    let mut documents = find(tx, places).await?;
    let missing: Vec<&Place> = places
        .iter()
        .copied()
        .filter(|place| documents.iter().all(|(known, _)| known != place))
        .collect();
    if !missing.is_empty() {
        make(tx, &missing).await?;
        documents.extend(find(tx, &missing).await?);
    }
    let ids: Vec<_> = documents
        .iter()
        .map(|(place, id)| (place.organization, *id))
        .collect();
    let drafts = lock_drafts(tx, &ids).await?;
    documents.retain(|(_, id)| drafts.contains_key(id));
    let idle: Vec<_> = documents
        .iter()
        .filter(|(_, id)| drafts.get(id) == Some(&Waiting::Idle))
        .map(|(place, id)| (place.organization, *id, place.finalize_at()))
        .collect();
    wake(tx, &idle).await?;
    Ok(documents
        .into_iter()
        .map(|(place, id)| (place.clone(), id))
        .collect())
}

/// Whether a draft has a time to be finalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    Due,
    /// It came to nothing when its time came, and waits for something to print.
    Idle,
}

/// Locks documents against finalization until the end of the transaction; returns those that are drafts.
pub(crate) async fn lock_drafts(
    tx: &mut PgConnection,
    documents: &[(OrganizationId, InvoiceId)],
) -> Result<HashMap<InvoiceId, Waiting>> {
    let distinct: HashSet<_> = documents.iter().copied().collect();
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        distinct.iter().map(|(o, id)| (o.uuid(), id.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select i.id, i.state, i.finalize_at is null as "is_idle!"
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join invoices i on i.organization_id = k.organization_id and i.id = k.id
         order by i.organization_id, i.id for no key update of i"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .filter(|row| row.state == "draft")
        .map(|row| {
            let waiting = if row.is_idle {
                Waiting::Idle
            } else {
                Waiting::Due
            };
            (row.id.into(), waiting)
        })
        .collect())
}

async fn wake(
    tx: &mut PgConnection,
    drafts: &[(OrganizationId, InvoiceId, Timestamp)],
) -> Result<()> {
    if drafts.is_empty() {
        return Ok(());
    }
    let organizations: Vec<Uuid> = drafts.iter().map(|(o, ..)| o.uuid()).collect();
    let ids: Vec<Uuid> = drafts.iter().map(|(_, id, _)| id.uuid()).collect();
    let times: Vec<_> = drafts.iter().map(|(.., at)| at.to_sqlx()).collect();
    sqlx::query!(
        "update invoices i set finalize_at = k.finalize_at, updated_at = now()
         from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) as k (organization_id, id, finalize_at)
         where i.organization_id = k.organization_id and i.id = k.id",
        &organizations,
        &ids,
        &times,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The columns of places, for `unnest`.
struct Columns<'a> {
    organizations: Vec<Uuid>,
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
            customers: places.iter().map(|p| p.customer()).collect(),
            calls: places.iter().map(|p| p.call.map(Uuid::from)).collect(),
            currencies: places.iter().map(|p| p.currency.as_str()).collect(),
            starts: places.iter().map(|p| p.period.start().to_sqlx()).collect(),
            ends: places.iter().map(|p| p.period.end().to_sqlx()).collect(),
        }
    }
}

/// The documents of places, in any state. Customers, organizations and calls are looked up apart, each by its index.
async fn find<'a>(
    tx: &mut PgConnection,
    places: &[&'a Place],
) -> Result<Vec<(&'a Place, InvoiceId)>> {
    let columns = Columns::of(places);
    let rows = sqlx::query_file!(
        "src/invoices/find.sql",
        &columns.organizations,
        &columns.customers as &[Option<Uuid>],
        &columns.calls as &[Option<Uuid>],
        &columns.currencies as &[&str],
        &columns.starts,
        &columns.ends,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let index = usize::try_from(row.position).ok()?.checked_sub(1)?;
            Some((*places.get(index)?, row.id.into()))
        })
        .collect())
}

/// One draft for each place; in key order.
async fn make(tx: &mut PgConnection, places: &[&Place]) -> Result<()> {
    let columns = Columns::of(places);
    let ids: Vec<Uuid> = places.iter().map(|_| new_id()).collect();
    let payers: Vec<&str> = places.iter().map(|p| p.payer.kind().as_str()).collect();
    let zones: Vec<&str> = places.iter().map(|p| p.zone.as_str()).collect();
    let finalize: Vec<_> = places.iter().map(|p| p.finalize_at().to_sqlx()).collect();
    sqlx::query!(
        "insert into invoices (organization_id, id, payer, customer_id, kind, call_id, currency, period_start, period_end, zone, finalize_at)
         select k.organization_id, k.id, k.payer, k.customer_id, case when k.call_id is null then 'period' else 'call' end,
             k.call_id, k.currency, k.period_start, k.period_end, k.zone, k.finalize_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::timestamptz[], $8::timestamptz[], $9::text[], $10::timestamptz[])
             as k (organization_id, id, payer, customer_id, call_id, currency, period_start, period_end, zone, finalize_at)
         order by k.organization_id, k.payer, k.customer_id, k.currency, k.period_start, k.call_id
         on conflict do nothing",
        &columns.organizations,
        &ids,
        &payers as &[&str],
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

/// Where it goes instead: on the subscription's next period that is not finalized, or without one on the calendar
/// month of now, or of the month after.
async fn postpone(
    tx: &mut PgConnection,
    closed: Vec<(Place, Place)>,
    now: Timestamp,
) -> Result<BTreeMap<Place, Place>> {
    let places: Vec<&Place> = closed.iter().map(|(_, place)| place).collect();
    let periods = next_periods(tx, &places).await?;
    closed
        .into_iter()
        .enumerate()
        .map(|(index, (asked, place))| {
            let (subscription, period) = match periods.get(&index) {
                Some(period) => (place.subscription, *period),
                None => (None, month_after(&place, now)?),
            };
            let later = Place {
                call: None,
                subscription,
                period,
                ..place
            };
            Ok((asked, later))
        })
        .collect()
}

fn month_after(place: &Place, now: Timestamp) -> Result<Period> {
    let stored = |e: tollbook_core::time::TimeError| Error::Internal(format!("a stored zone: {e}"));
    let zone: Zone = place.zone.parse().map_err(stored)?;
    let month = zone.month(now.max(place.period.end())).map_err(stored)?;
    if month == place.period {
        zone.month(month.end()).map_err(stored)
    } else {
        Ok(month)
    }
}

/// The next billing period of each place's subscription whose document is not finalized, by the place's position.
async fn next_periods(tx: &mut PgConnection, places: &[&Place]) -> Result<HashMap<usize, Period>> {
    let columns = Columns::of(places);
    let subscriptions: Vec<Option<Uuid>> = places
        .iter()
        .map(|p| p.subscription.map(Uuid::from))
        .collect();
    let rows = sqlx::query_file!(
        "src/invoices/next_period.sql",
        &columns.organizations,
        &columns.customers as &[Option<Uuid>],
        &subscriptions as &[Option<Uuid>],
        &columns.currencies as &[&str],
        &columns.ends,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let index = usize::try_from(row.position).unwrap_or(0).saturating_sub(1);
            let period = Period::new(row.starts_at.to_jiff(), row.ends_at.to_jiff())
                .map_err(|e| Error::Internal(format!("a stored period: {e}")))?;
            Ok((index, period))
        })
        .collect()
}

/// The drafts of first base fees, in order: each a document of its own, due at once. Later fees go on the draft of the
/// period before.
pub(crate) async fn fee_drafts(tx: &mut PgConnection, places: &[&Place]) -> Result<Vec<InvoiceId>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let due = |place: &&Place| {
        let grace = SignedDuration::from_secs(place.grace_seconds);
        let due = place.period.start().checked_add(grace);
        due.unwrap_or(Timestamp::MAX).to_sqlx()
    };
    let columns = Columns::of(places);
    let ids: Vec<InvoiceId> = places.iter().map(|_| new_id()).collect();
    let keys: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let payers: Vec<&str> = places.iter().map(|p| p.payer.kind().as_str()).collect();
    let zones: Vec<&str> = places.iter().map(|p| p.zone.as_str()).collect();
    let finalize: Vec<_> = places.iter().map(due).collect();
    sqlx::query!(
        "insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone, finalize_at)
         select organization_id, id, payer, customer_id, 'one_off', currency, period_start, period_end, zone, finalize_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[], $9::timestamptz[])
             as k (organization_id, id, payer, customer_id, currency, period_start, period_end, zone, finalize_at)
         order by organization_id, id",
        &columns.organizations,
        &keys,
        &payers as &[&str],
        &columns.customers as &[Option<Uuid>],
        &columns.currencies as &[&str],
        &columns.starts,
        &columns.ends,
        &zones as &[&str],
        &finalize,
    )
    .execute(tx)
    .await?;
    Ok(ids)
}
