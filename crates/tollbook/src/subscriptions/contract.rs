//! A subscription with its history: what it costs and grants follows from these, read for many at once.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId, PlanVersionId, SubscriptionId};
use tollbook_core::money::{Currency, Price};
use tollbook_core::payer::Payer;
use tollbook_core::plans::{Document, InvalidPlan};
use tollbook_core::rating::{DueFee, DueGrant, Surroundings, Terms, base_fees, grants_between};
use tollbook_core::subscriptions::{Life, Pause, Schedule, Segment, paid_within};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::invoices::PLATFORM_GRACE_SECONDS;

/// A subscription and the terms that it is on.
pub(crate) struct Contract {
    pub(crate) organization: OrganizationId,
    pub(crate) id: SubscriptionId,
    pub(crate) payer: Payer,
    pub(crate) account: AccountId,
    pub(crate) schedule: Schedule,
    pub(crate) life: Life,
    pub(super) auto_renew: bool,
    /// Base fees of periods that begin before were invoiced by another system.
    invoiced_until: Option<Timestamp>,
    /// The plans that it is on, over time.
    pub(super) plans: Vec<Segment<Arc<Plan>>>,
    /// How many periods there are.
    pub(super) known: usize,
    /// The last of them.
    pub(crate) last: Option<Period>,
    pub(super) grace_seconds: i64,
}

/// A plan version in a time zone.
pub(crate) struct Plan {
    /// The platform (nil), or the organization.
    pub(crate) seller: Uuid,
    pub(crate) version: PlanVersionId,
    pub(crate) document: Document,
    pub(crate) terms: Terms,
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Plan {
    /// A document in a zone. Fees and grants follow from it without price decks, so these are empty here.
    pub(crate) fn new(
        seller: Uuid,
        version: PlanVersionId,
        document: Document,
        zone: &Zone,
    ) -> std::result::Result<Self, InvalidPlan> {
        let decks = document.decks().into_iter();
        let surroundings = Surroundings {
            zone: Some(zone.clone()),
            decks: decks.map(|key| (key.clone(), Arc::default())).collect(),
            ..Surroundings::default()
        };
        Ok(Self {
            seller,
            version,
            terms: Terms::new(&document, &surroundings)?,
            document,
        })
    }

    fn key(&self) -> Version {
        (self.seller, self.version.uuid())
    }
}

/// A plan version of a seller.
type Version = (Uuid, Uuid);
/// A subscription of an organization.
type Key = (Uuid, Uuid);

impl Contract {
    /// The plan that it is on at a time.
    pub(crate) fn plan_at(&self, at: Timestamp) -> Option<&Arc<Plan>> {
        let is_then =
            |it: &&Segment<Arc<Plan>>| it.starts_at <= at && it.ends_at.is_none_or(|end| at < end);
        self.plans.iter().find(is_then).map(|it| &it.terms)
    }

    /// The part of a stored period's month or year that is no other period's: the whole of it.
    pub(crate) fn full(&self, starts_at: Timestamp) -> Result<Period> {
        let index = self.schedule.index_at(starts_at);
        index
            .and_then(|index| self.schedule.period(index))
            .map_err(|e| self.wrong(&e))
    }

    /// The base fees of a whole period.
    pub(crate) fn fees(&self, full: &Period) -> Result<Vec<DueFee<'_, Arc<Plan>>>> {
        if self.is_invoiced(full.start()) {
            return Ok(Vec::new());
        }
        let states = self.life.states();
        base_fees(full, self.schedule.zone(), &self.plans, &states, |it| {
            (it.document.proration, &it.terms)
        })
        .map_err(|e| self.wrong(&e))
    }

    /// The grants from the year that holds `from` on, or from the start, to before `until`.
    pub(crate) fn grants(&self, from: Timestamp, until: Timestamp) -> Result<Vec<DueGrant>> {
        let years = Schedule::new(self.schedule.anchor_on(), 12, self.schedule.zone().clone())
            .map_err(|e| self.wrong(&e))?;
        let year = years
            .index_at(from)
            .and_then(|index| years.period(index))
            .map_err(|e| self.wrong(&e))?;
        let Ok(time) = Period::new(year.start().max(self.life.starts_at), until) else {
            return Ok(Vec::new());
        };
        grants_between(&time, &self.life, &self.plans, &self.schedule, |it| {
            &it.document
        })
        .map_err(|e| self.wrong(&e))
    }

    /// What is committed to for a period, and by which plan: the one that it was last paid on. `None`: nothing, or nothing
    /// of the period is paid.
    pub(crate) fn commitment(&self, period: &Period) -> Option<(&Arc<Plan>, Price)> {
        if self.is_invoiced(period.start()) {
            return None;
        }
        let states = self.life.states();
        let (plan, _) = paid_within(period, &self.plans, &states).pop()?;
        Some((plan, plan.document.minimum_commitment?))
    }

    /// The same life, all of it on one plan that bills as often.
    pub(crate) fn on(self, plan: Arc<Plan>) -> Self {
        let starts_at = self
            .plans
            .first()
            .map_or(self.life.starts_at, |it| it.starts_at);
        Self {
            plans: vec![Segment {
                terms: plan,
                starts_at,
                ends_at: None,
            }],
            ..self
        }
    }

    /// The currencies of the plans that it was on.
    pub(crate) fn currencies(&self) -> impl Iterator<Item = Currency> {
        self.plans.iter().map(|it| it.terms.document.currency)
    }

    fn is_invoiced(&self, period_start: Timestamp) -> bool {
        self.invoiced_until
            .is_some_and(|until| period_start < until)
    }

    fn wrong(&self, error: &dyn Display) -> Error {
        Error::Internal(format!("subscription {}: {error}", self.id))
    }
}

/// Reads subscriptions, in the order of their keys; an error if one of them is not there.
pub(crate) async fn load(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, SubscriptionId)],
) -> Result<Vec<Contract>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, s)| (o.uuid(), s.uuid())).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"select s.organization_id, s.id, s.customer_id, s.account_id, s.zone, s.anchor_on, s.interval_months, s.starts_at, s.ends_at,
             s.trial_ends_at, s.canceled_at, s.auto_renew, s.invoiced_until, extract(epoch from o.invoice_grace)::bigint as "grace_seconds!",
             (select count(*) from billing_periods p where p.organization_id = s.organization_id and p.subscription_id = s.id) as "known!",
             l.starts_at as "last_start?", l.ends_at as "last_end?"
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join subscriptions s on s.organization_id = k.organization_id and s.id = k.id
         join organizations o on o.id = s.organization_id
         left join lateral (
             select p.starts_at, p.ends_at from billing_periods p
             where p.organization_id = s.organization_id and p.subscription_id = s.id order by p.starts_at desc limit 1
         ) l on true
         order by s.organization_id, s.id"#,
        &organizations,
        &ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    if rows.len() != keys.len() {
        return Err(Error::NotFound("subscription"));
    }
    let mut segments = segments(tx, &organizations, &ids).await?;
    let mut pauses = pauses(tx, &organizations, &ids).await?;
    let versions: BTreeSet<Version> = segments.values().flatten().map(|it| it.terms).collect();
    let documents = documents(tx, &versions).await?;
    let mut plans = Plans {
        documents,
        ready: HashMap::new(),
    };
    rows.into_iter()
        .map(|row| {
            let key = (row.organization_id, row.id);
            let segments = segments.remove(&key).unwrap_or_default();
            let pauses = pauses.remove(&key).unwrap_or_default();
            row.read(segments, pauses, &mut plans)
        })
        .collect()
}

async fn segments(
    tx: &mut PgConnection,
    organizations: &[Uuid],
    ids: &[Uuid],
) -> Result<HashMap<Key, Vec<Segment<Version>>>> {
    let rows = sqlx::query!(
        r#"select g.organization_id, g.subscription_id, g.seller_id, g.plan_version_id, g.starts_at, nullif(g.ends_at, 'infinity') as "ends_at?"
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join subscription_segments g on g.organization_id = k.organization_id and g.subscription_id = k.id
         order by g.organization_id, g.subscription_id, g.starts_at"#,
        organizations,
        ids,
    )
    .fetch_all(tx)
    .await?;
    let mut segments: HashMap<Key, Vec<Segment<Version>>> = HashMap::new();
    for row in rows {
        let key = (row.organization_id, row.subscription_id);
        segments.entry(key).or_default().push(Segment {
            terms: (row.seller_id, row.plan_version_id),
            starts_at: row.starts_at.to_jiff(),
            ends_at: row.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
        });
    }
    Ok(segments)
}

async fn pauses(
    tx: &mut PgConnection,
    organizations: &[Uuid],
    ids: &[Uuid],
) -> Result<HashMap<Key, Vec<Pause>>> {
    let rows = sqlx::query!(
        "select z.organization_id, z.subscription_id, z.starts_at, z.ends_at
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join subscription_pauses z on z.organization_id = k.organization_id and z.subscription_id = k.id
         order by z.organization_id, z.subscription_id, z.starts_at",
        organizations,
        ids,
    )
    .fetch_all(tx)
    .await?;
    let mut pauses: HashMap<Key, Vec<Pause>> = HashMap::new();
    for row in rows {
        let key = (row.organization_id, row.subscription_id);
        pauses.entry(key).or_default().push(Pause {
            starts_at: row.starts_at.to_jiff(),
            ends_at: row.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
        });
    }
    Ok(pauses)
}

async fn documents(
    tx: &mut PgConnection,
    versions: &BTreeSet<Version>,
) -> Result<HashMap<Version, Document>> {
    let (sellers, ids): (Vec<Uuid>, Vec<Uuid>) = versions.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"select v.seller_id, v.id, v.document::text as "document!" from unnest($1::uuid[], $2::uuid[]) as k (seller_id, id)
         join plan_versions v on v.seller_id = k.seller_id and v.id = k.id"#,
        &sellers,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let document = Document::read(row.document.as_bytes()).map_err(|e| {
                Error::Internal(format!("plan version {} cannot be read: {e}", row.id))
            })?;
            Ok(((row.seller_id, row.id), document))
        })
        .collect()
}

/// Plan versions, each made ready once for a zone.
struct Plans {
    documents: HashMap<Version, Document>,
    ready: HashMap<(Version, String), Arc<Plan>>,
}

impl Plans {
    fn get(&mut self, version: Version, zone: &Zone) -> Result<Arc<Plan>> {
        let place = (version, zone.name().to_owned());
        if let Some(plan) = self.ready.get(&place) {
            return Ok(Arc::clone(plan));
        }
        let document = self
            .documents
            .get(&version)
            .ok_or(Error::NotFound("plan version"))?;
        let (seller, id) = (version.0, version.1.into());
        let plan = Plan::new(seller, id, document.clone(), zone)
            .map_err(|e| Error::Internal(format!("plan version {id}: {e}")))?;
        let plan = Arc::new(plan);
        self.ready.insert(place, Arc::clone(&plan));
        Ok(plan)
    }
}

struct Row {
    organization_id: Uuid,
    id: Uuid,
    customer_id: Option<Uuid>,
    account_id: Uuid,
    zone: String,
    anchor_on: jiff_sqlx::Date,
    interval_months: i32,
    starts_at: jiff_sqlx::Timestamp,
    ends_at: Option<jiff_sqlx::Timestamp>,
    trial_ends_at: Option<jiff_sqlx::Timestamp>,
    canceled_at: Option<jiff_sqlx::Timestamp>,
    auto_renew: bool,
    invoiced_until: Option<jiff_sqlx::Timestamp>,
    grace_seconds: i64,
    known: i64,
    last_start: Option<jiff_sqlx::Timestamp>,
    last_end: Option<jiff_sqlx::Timestamp>,
}

impl Row {
    fn read(
        self,
        segments: Vec<Segment<Version>>,
        pauses: Vec<Pause>,
        plans: &mut Plans,
    ) -> Result<Contract> {
        let id = self.id;
        let stored =
            |e: &dyn Display| Error::Internal(format!("subscription {id} cannot be read: {e}"));
        let zone: Zone = self.zone.parse().map_err(|e| stored(&e))?;
        let segments = segments.into_iter().map(|it| {
            Ok(Segment {
                terms: plans.get(it.terms, &zone)?,
                starts_at: it.starts_at,
                ends_at: it.ends_at,
            })
        });
        let last = self
            .last_start
            .zip(self.last_end)
            .map(|(start, end)| Period::new(start.to_jiff(), end.to_jiff()));
        let payer = self.customer_id.map(CustomerId::from);
        let interval = self.interval_months.into();
        Ok(Contract {
            organization: self.organization_id.into(),
            id: self.id.into(),
            payer: payer.map_or(Payer::Organization, Payer::Customer),
            account: self.account_id.into(),
            plans: segments.collect::<Result<_>>()?,
            schedule: Schedule::new(self.anchor_on.to_jiff(), interval, zone)
                .map_err(|e| stored(&e))?,
            life: Life {
                starts_at: self.starts_at.to_jiff(),
                trial_ends_at: self.trial_ends_at.map(jiff_sqlx::Timestamp::to_jiff),
                canceled_at: self.canceled_at.map(jiff_sqlx::Timestamp::to_jiff),
                ends_at: self.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
                pauses,
            },
            auto_renew: self.auto_renew,
            invoiced_until: self.invoiced_until.map(jiff_sqlx::Timestamp::to_jiff),
            known: usize::try_from(self.known).unwrap_or(usize::MAX),
            last: last.transpose().map_err(|e| stored(&e))?,
            grace_seconds: match payer {
                Some(_) => self.grace_seconds,
                None => PLATFORM_GRACE_SECONDS,
            },
        })
    }
}
