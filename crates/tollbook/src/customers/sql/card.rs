//! Statements behind caller cards: each reads for many customers at once.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::{Direction, Outcome, Phase};
use tollbook_core::ids::{CustomerId, OrganizationId, UserId};
use tollbook_core::money::{Currency, Money};
use tollbook_core::time::Seconds;
use uuid::Uuid;

use super::super::card::{CustomerNote, OpenInvoice, OpenInvoices, RecentCall};
use crate::db::types::Text;

fn bare(customers: &[CustomerId]) -> Vec<Uuid> {
    customers.iter().map(|id| id.uuid()).collect()
}

/// The newest calls of each customer that the reader may see.
pub(in super::super) async fn recent_calls(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
    each_max: i64,
) -> sqlx::Result<HashMap<CustomerId, Vec<RecentCall>>> {
    let readers: Vec<_> = customers.iter().map(|id| (*id, None)).collect();
    let found = newest_calls(tx, organization, &readers, each_max).await?;
    Ok(found
        .into_iter()
        .map(|((customer, _), calls)| (customer, calls))
        .collect())
}

/// The newest calls of each customer that this member may see.
pub(in super::super) async fn recent_calls_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    readers: &[(CustomerId, UserId)],
    each_max: i64,
) -> sqlx::Result<HashMap<(CustomerId, UserId), Vec<RecentCall>>> {
    let readers: Vec<_> = readers
        .iter()
        .map(|(id, user)| (*id, Some(*user)))
        .collect();
    let found = newest_calls(tx, organization, &readers, each_max).await?;
    Ok(found
        .into_iter()
        .filter_map(|((customer, member), calls)| Some(((customer, member?), calls)))
        .collect())
}

/// The newest calls of each customer that the reader may see, and of those a member's only, where one is named.
async fn newest_calls(
    tx: &mut PgConnection,
    organization: OrganizationId,
    readers: &[(CustomerId, Option<UserId>)],
    each_max: i64,
) -> sqlx::Result<HashMap<(CustomerId, Option<UserId>), Vec<RecentCall>>> {
    let customers: Vec<Uuid> = readers.iter().map(|(id, _)| id.uuid()).collect();
    let members: Vec<Option<Uuid>> = readers
        .iter()
        .map(|(_, member)| member.map(UserId::uuid))
        .collect();
    let rows = sqlx::query!(
        r#"select k.customer_id as "customer_id!", k.member_id, c.id, c.direction as "direction: Text<Direction>", c.state as "state: Text<Phase>",
             c.outcome as "outcome: Text<Outcome>", c.started_at, c.billable_seconds, c.viewer_ids, u.name as "answered_by?"
         from unnest($2::uuid[], $3::uuid[]) as k (customer_id, member_id)
         cross join lateral (
             select l.* from calls l
             where l.organization_id = $1 and l.customer_id = k.customer_id and l.merged_into_id is null
                 and (k.member_id is null or k.member_id = any (l.viewer_ids))
             order by l.started_at desc limit $4) c
         left join users u on u.id = c.answered_by
         order by c.started_at desc, c.id"#,
        organization.uuid(),
        &customers,
        &members as &[Option<Uuid>],
        each_max,
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<_, Vec<RecentCall>> = HashMap::new();
    for row in rows {
        let Text(direction) = row.direction;
        let Text(phase) = row.state;
        found
            .entry((row.customer_id.into(), row.member_id.map(UserId::from)))
            .or_default()
            .push(RecentCall {
                id: row.id.into(),
                direction,
                phase,
                outcome: row.outcome.map(|Text(outcome)| outcome),
                started_at: row.started_at.into(),
                billable: Seconds::new(u32::try_from(row.billable_seconds).unwrap_or(u32::MAX)),
                answered_by: row.answered_by,
                viewers: row.viewer_ids.into_iter().map(UserId::from).collect(),
            });
    }
    Ok(found)
}

/// What each customer has not paid: how many, how much, and the oldest of them.
pub(in super::super) async fn open_invoices(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
    each_max: i64,
) -> sqlx::Result<HashMap<CustomerId, OpenInvoices>> {
    let rows = sqlx::query!(
        r#"select o.customer_id as "customer_id!", o.id, o.number as "number!", o.currency as "currency: Text<Currency>",
             o.open_minor as "open_minor!", o.due_at, o.place as "place!"
         from (
             select i.customer_id, i.id, i.number, i.currency, i.due_at, i.total_minor - i.paid_minor - i.credited_minor as open_minor,
                 row_number() over (partition by i.customer_id order by i.due_at, i.id) as place
             from invoices i
             where i.organization_id = $1 and i.customer_id = any ($2) and i.state = 'finalized'
                 and i.total_minor > i.paid_minor + i.credited_minor) o
         order by o.customer_id, o.place"#,
        organization.uuid(),
        &bare(customers),
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<CustomerId, OpenInvoices> = HashMap::new();
    for row in rows {
        let Text(currency) = row.currency;
        let open = Money::from_minor(row.open_minor, currency);
        let invoices = found.entry(row.customer_id.into()).or_default();
        invoices.count = invoices.count.saturating_add(1);
        add(&mut invoices.totals, open)?;
        if row.place <= each_max {
            invoices.first.push(OpenInvoice {
                id: row.id.into(),
                number: row.number,
                open,
                due_at: row.due_at.map(Timestamp::from),
            });
        }
    }
    Ok(found)
}

/// Adds to the sum in the same currency; sums are in order of their currencies.
pub(in super::super) fn add(totals: &mut Vec<Money>, amount: Money) -> sqlx::Result<()> {
    let code = amount.currency().code();
    match totals.binary_search_by_key(&code, |total| total.currency().code()) {
        Ok(place) => {
            if let Some(total) = totals.get_mut(place) {
                let sum = total.checked_add(amount);
                *total = sum.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            }
        }
        Err(place) => totals.insert(place, amount),
    }
    Ok(())
}

/// The newest notes on each customer.
pub(in super::super) async fn notes(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
    each_max: i64,
) -> sqlx::Result<HashMap<CustomerId, Vec<CustomerNote>>> {
    let rows = sqlx::query!(
        r#"select k.customer_id as "customer_id!", n.id, n.body, n.created_at, coalesce(nullif(u.name, ''), u.email) as "author?"
         from unnest($2::uuid[]) as k(customer_id)
         cross join lateral (
             select m.* from customer_notes m where m.organization_id = $1 and m.customer_id = k.customer_id
             order by m.created_at desc limit $3) n
         left join users u on u.id = n.created_by
         order by n.created_at desc, n.id"#,
        organization.uuid(),
        &bare(customers),
        each_max,
    )
    .fetch_all(tx)
    .await?;
    let mut found: HashMap<CustomerId, Vec<CustomerNote>> = HashMap::new();
    for row in rows {
        found
            .entry(row.customer_id.into())
            .or_default()
            .push(CustomerNote {
                id: row.id,
                author: row.author.unwrap_or_default(),
                created_at: row.created_at.into(),
                body: row.body,
            });
    }
    Ok(found)
}
