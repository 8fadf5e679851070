//! What making periods needs to know of subscriptions, read for many at once.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId, PlanVersionId, SubscriptionId};
use tollbook_core::payer::Payer;
use tollbook_core::plans::Document;
use tollbook_core::rating::{Surroundings, Terms};
use tollbook_core::subscriptions::Schedule;
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::invoices::PLATFORM_GRACE_SECONDS;

/// A subscription and the terms that it is on.
pub(super) struct Contract {
    pub(super) organization: OrganizationId,
    pub(super) id: SubscriptionId,
    pub(super) payer: Payer,
    pub(super) account: AccountId,
    pub(super) schedule: Schedule,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Option<Timestamp>,
    /// First instant for which a base fee is due.
    pub(super) paid_from: Timestamp,
    /// The platform (nil), or the organization.
    pub(super) seller: Uuid,
    pub(super) version: PlanVersionId,
    pub(super) plan: Arc<Plan>,
    /// How many periods there are.
    pub(super) known: usize,
    /// The last of them.
    pub(super) last: Option<Period>,
    pub(super) grace_seconds: i64,
}

/// A plan version in a time zone.
pub(super) struct Plan {
    pub(super) document: Document,
    pub(super) terms: Terms,
}

/// A plan version of a seller.
type Version = (Uuid, Uuid);

/// Reads subscriptions, in the order of their keys; an error if one of them is not there.
pub(super) async fn load(
    tx: &mut PgConnection,
    keys: &[(OrganizationId, SubscriptionId)],
) -> Result<Vec<Contract>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|(o, s)| (o.uuid(), s.uuid())).unzip();
    let rows = sqlx::query_as!(
        Row,
        r#"select s.organization_id, s.id, s.customer_id, s.account_id, s.zone, s.anchor_on, s.interval_months, s.starts_at, s.ends_at, s.trial_ends_at,
             g.seller_id, g.plan_version_id, extract(epoch from o.invoice_grace)::bigint as "grace_seconds!",
             (select count(*) from billing_periods p where p.organization_id = s.organization_id and p.subscription_id = s.id) as "known!",
             l.starts_at as "last_start?", l.ends_at as "last_end?"
         from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)
         join subscriptions s on s.organization_id = k.organization_id and s.id = k.id
         join organizations o on o.id = s.organization_id
         join subscription_segments g on g.organization_id = s.organization_id and g.subscription_id = s.id and g.ends_at = 'infinity'
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
    let versions: BTreeSet<Version> = rows.iter().map(Row::version).collect();
    let documents = documents(tx, &versions).await?;
    let mut plans = HashMap::new();
    rows.into_iter()
        .map(|row| row.read(&documents, &mut plans))
        .collect()
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
    seller_id: Uuid,
    plan_version_id: Uuid,
    grace_seconds: i64,
    known: i64,
    last_start: Option<jiff_sqlx::Timestamp>,
    last_end: Option<jiff_sqlx::Timestamp>,
}

impl Row {
    fn version(&self) -> Version {
        (self.seller_id, self.plan_version_id)
    }

    fn read(
        self,
        documents: &HashMap<Version, Document>,
        plans: &mut HashMap<(Version, String), Arc<Plan>>,
    ) -> Result<Contract> {
        let id = self.id;
        let stored =
            |e: &dyn Display| Error::Internal(format!("subscription {id} cannot be read: {e}"));
        let zone: Zone = self.zone.parse().map_err(|e| stored(&e))?;
        let place = (self.version(), self.zone.clone());
        let plan = if let Some(plan) = plans.get(&place) {
            Arc::clone(plan)
        } else {
            let document = documents
                .get(&self.version())
                .ok_or(Error::NotFound("plan version"))?;
            let surroundings = Surroundings {
                zone: Some(zone.clone()),
                ..Surroundings::default()
            };
            let terms = Terms::new(document, &surroundings).map_err(|e| stored(&e))?;
            let document = document.clone();
            let plan = Arc::new(Plan { document, terms });
            plans.insert(place, Arc::clone(&plan));
            plan
        };
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
            schedule: Schedule::new(self.anchor_on.to_jiff(), interval, zone)
                .map_err(|e| stored(&e))?,
            starts_at: self.starts_at.to_jiff(),
            ends_at: self.ends_at.map(jiff_sqlx::Timestamp::to_jiff),
            paid_from: self.trial_ends_at.unwrap_or(self.starts_at).to_jiff(),
            seller: self.seller_id,
            version: self.plan_version_id.into(),
            plan,
            known: usize::try_from(self.known).unwrap_or(usize::MAX),
            last: last.transpose().map_err(|e| stored(&e))?,
            grace_seconds: match payer {
                Some(_) => self.grace_seconds,
                None => PLATFORM_GRACE_SECONDS,
            },
        })
    }
}
