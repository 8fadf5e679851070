//! The billing run: everything that is due, made into documents at once, with progress and an account of what is held
//! back.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::money::Money;
use tollbook_core::payer::PayerKind;
use uuid::Uuid;

use super::due::{self, Draft, DueSale};
use super::finalize::{Done, documents, finalize_sales};
use crate::app::App;
use crate::db::types::Text;
use crate::error::Result;
use crate::{inbox, rating, subscriptions, wallets};

/// Drafts that a trial run looks at in one go.
const CHUNK: i64 = 400;

/// What a billing run is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct BillingRun {
    /// Only drafts that are due by then; now if absent.
    pub until: Option<Timestamp>,
    /// Only documents of this organization: those to its customers, and the platform's to it.
    pub organization: Option<OrganizationId>,
    /// Writes nothing: says what the drafts would come to.
    pub is_trial: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunProgress {
    /// Drafts that were looked at.
    pub done: u64,
    /// Drafts that were due at the start.
    pub total: u64,
}

/// What a run did.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Documents and their sum by currency.
    pub issued: Vec<Counted>,
    /// Drafts with nothing on them; they wait until there is something.
    pub empty: u64,
    /// Drafts that are due and stay drafts.
    pub held: Vec<Held>,
}

/// Documents of one currency.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// ISO 4217 code.
    pub currency: String,
    /// How many.
    pub documents: u64,
    /// What they come to, in major units.
    pub total: String,
}

/// Drafts of a sale that are held back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The organization.
    #[serde(rename = "orgId")]
    pub organization: OrganizationId,
    /// Its name.
    pub name: String,
    /// Who pays: `customer` or `organization`.
    pub payer: PayerKind,
    /// How many drafts.
    pub drafts: i64,
    /// Subscriptions of which the next period is not made yet.
    pub periods_waiting: i64,
    /// Usage of their payers that waits to be rated.
    pub usages_waiting: i64,
    /// Usage of their payers that waits for what the provider charges for it.
    pub prices_waiting: i64,
    /// Webhooks that wait to be interpreted.
    pub webhooks_waiting: i64,
}

impl App {
    /// Interprets and rates what has come in, makes the periods that are due, and finalizes the drafts that are due.
    /// Safe beside a server and other runs; one that was stopped is gone on with by the next.
    pub async fn billing_run(
        &self,
        run: BillingRun,
        mut tell: impl FnMut(RunProgress),
    ) -> Result<RunReport> {
        if !run.is_trial {
            inbox::drain(self).await?;
            subscriptions::extend_due(self).await?;
            rating::drain(self).await?;
            wallets::expire_due(self).await?;
        }
        let until = run.until.unwrap_or_else(|| self.clock.now());
        let mut tx = self.db.begin(&Actor::system()).await?;
        let sales = due::sales(&mut tx, until, run.organization).await?;
        tx.rollback().await?;
        let total: i64 = sales.iter().map(|it| it.drafts).sum();
        let total = u64::try_from(total).unwrap_or_default();
        let (mut sums, mut done) = (Sums::default(), 0_u64);
        tell(RunProgress { done, total });
        let tell = |part: &Done| {
            sums.add(part);
            let count = part.issued.len().saturating_add(part.empty);
            done = done.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
            tell(RunProgress { done, total });
        };
        let mut free = HashMap::new();
        if run.is_trial {
            free = try_sales(self, &sales, until, tell).await?;
        } else {
            finalize_sales(self, &sales, run.until, tell).await?;
        }
        let mut tx = self.db.begin(&Actor::system()).await?;
        let mut held = held(&mut tx, until, run.organization).await?;
        tx.rollback().await?;
        for sale in &mut held {
            let free = free.get(&(sale.organization, sale.payer));
            sale.drafts = sale
                .drafts
                .saturating_sub(free.copied().unwrap_or_default());
        }
        held.retain(|sale| sale.drafts > 0);
        Ok(RunReport {
            issued: sums.counted(),
            empty: sums.empty,
            held,
        })
    }
}

#[derive(Default)]
struct Sums {
    /// Documents and minor units by currency.
    issued: BTreeMap<String, (u64, Money)>,
    empty: u64,
}

impl Sums {
    fn add(&mut self, done: &Done) {
        for total in &done.issued {
            let currency = total.currency();
            let zero = (0, Money::zero(currency));
            let (count, sum) = self
                .issued
                .entry(currency.code().to_owned())
                .or_insert(zero);
            *count = count.saturating_add(1);
            *sum = Money::from_minor(sum.minor().saturating_add(total.minor()), currency);
        }
        let empty = u64::try_from(done.empty).unwrap_or(u64::MAX);
        self.empty = self.empty.saturating_add(empty);
    }

    fn counted(&self) -> Vec<Counted> {
        let counted = |(currency, (documents, total)): (&String, &(u64, Money))| Counted {
            currency: currency.clone(),
            documents: *documents,
            total: total.amount(),
        };
        self.issued.iter().map(counted).collect()
    }
}

/// Adds up what the drafts would come to, and writes nothing. What is held back is left out; returns how many of each
/// sale are not.
async fn try_sales(
    app: &App,
    sales: &[DueSale],
    until: Timestamp,
    mut tell: impl FnMut(&Done),
) -> Result<HashMap<(OrganizationId, PayerKind), i64>> {
    let mut free = HashMap::new();
    for DueSale { sale, .. } in sales {
        let mut after = None;
        loop {
            let mut tx = app.db.begin_background(&Actor::system()).await?;
            let due = due::due(&mut tx, *sale, until, after, CHUNK).await?;
            let Some(last) = due.last() else { break };
            after = Some(*last);
            let ids: Vec<InvoiceId> = due.iter().map(|it| it.id).collect();
            let drafts = due::lock(&mut tx, *sale, &ids, false).await?;
            tell(&add_up(&mut tx, sale.organization, &drafts).await?);
            tx.rollback().await?;
            let count = i64::try_from(drafts.len()).unwrap_or(i64::MAX);
            *free.entry((sale.organization, sale.payer)).or_insert(0) += count;
        }
    }
    Ok(free)
}

async fn add_up(
    tx: &mut PgConnection,
    organization: OrganizationId,
    drafts: &[Draft],
) -> Result<Done> {
    let documents = documents(tx, organization, drafts).await?;
    let (printed, empty): (Vec<_>, Vec<_>) = documents.iter().partition(|it| !it.lines.is_empty());
    Ok(Done {
        issued: printed.iter().map(|it| it.totals.total).collect(),
        empty: empty.len(),
    })
}

/// Drafts that are due and cannot be finalized yet, by sale, with what is waited for.
async fn held(
    tx: &mut PgConnection,
    until: Timestamp,
    only: Option<OrganizationId>,
) -> Result<Vec<Held>> {
    let rows = sqlx::query!(
        r#"select d.organization_id, o.name, d.payer as "payer: Text<PayerKind>", d.drafts as "drafts!",
             (select count(*) from subscriptions s
                 where s.organization_id = d.organization_id and s.payer = d.payer and s.state <> 'ended'
                     and s.starts_at < $1 and (s.ends_at is null or s.ends_at > $1)
                     and not exists (select from billing_periods p
                         where p.organization_id = s.organization_id and p.subscription_id = s.id and p.ends_at > $1)) as "periods_waiting!",
             (select count(*) from rating_queue q join accounts a on a.organization_id = q.organization_id and a.id = q.account_id
                 where q.organization_id = d.organization_id and a.payer = d.payer and q.parked_at is null) as "usages_waiting!",
             (select count(*) from rating_queue q join accounts a on a.organization_id = q.organization_id and a.id = q.account_id
                 where q.organization_id = d.organization_id and a.payer = d.payer and q.parked_at is not null
                     and q.cost_id is not null) as "prices_waiting!",
             (select count(*) from inbox_queue w join inbox b on b.received_at = w.received_at and b.id = w.inbox_id
                 where w.parked_at is null and (b.organization_id = d.organization_id or b.organization_id is null)) as "webhooks_waiting!"
         from (
             select i.organization_id, i.payer, count(*) as drafts from invoices i
             where i.state = 'draft' and i.finalize_at <= $1 and ($2::uuid is null or i.organization_id = $2)
             -- all organizations: the schedule is the platform's
             group by i.organization_id, i.payer
         ) d
         join organizations o on o.id = d.organization_id
         order by o.name, d.payer"#,
        until.to_sqlx(),
        only.map(Uuid::from),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Held {
            organization: row.organization_id.into(),
            name: row.name,
            payer: row.payer.0,
            drafts: row.drafts,
            periods_waiting: row.periods_waiting,
            usages_waiting: row.usages_waiting,
            prices_waiting: row.prices_waiting,
            webhooks_waiting: row.webhooks_waiting,
        })
        .collect())
}
