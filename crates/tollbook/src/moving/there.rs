//! What of a book is here already, and what it needs to be brought in; read with few statements, however long it is.

use std::collections::{BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId, PlanVersionId};
use tollbook_core::moving::{Book, Kind};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::entries::entries;
use crate::db::types::Text;
use crate::error::{Error, Result};
use crate::organizations::{self, Business};

/// A customer who is here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) id: CustomerId,
    pub(super) account: AccountId,
    /// Whether there is a subscription now or later.
    pub(super) is_subscribed: bool,
}

/// The newest version of a plan.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offered {
    pub(super) version: PlanVersionId,
    pub(super) interval_months: i32,
}

/// The seller's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) prefix: String,
    /// The year of the next number.
    pub(super) year: i32,
    pub(super) next: i64,
    pub(super) opening_year: Option<i32>,
    pub(super) opening_number: Option<i64>,
}

/// What is here.
pub(super) struct There {
    pub(super) business: Business,
    pub(super) numbers: Numbers,
    /// Whether a number of the seller's year was given here.
    pub(super) has_issued: bool,
    /// By their key in the other system.
    pub(super) customers: HashMap<String, Known>,
    /// By code.
    pub(super) plans: HashMap<String, Offered>,
    /// What imports made, and as what it stood in their books.
    pub(super) items: HashMap<(Kind, String), Value>,
    /// Numbers of the book that somebody has who is not in it: prospects, mostly.
    pub(super) shared_numbers: HashSet<String>,
}

impl There {
    /// Reads it. Nobody else brings in a book of the organization until the transaction ends, and the customers and the
    /// accounts that are here are held.
    pub(super) async fn load(
        tx: &mut PgConnection,
        organization: OrganizationId,
        book: &Book,
        now: Timestamp,
    ) -> Result<Self> {
        sqlx::query!(
            "select pg_advisory_xact_lock(hashtextextended('import ' || $1::uuid::text, 0))",
            organization.uuid()
        )
        .execute(&mut *tx)
        .await?;
        let business = organizations::business(tx, organization).await?;
        let numbers = numbers(tx, organization).await?;
        let has_issued = has_issued(tx, organization, numbers.year).await?;
        Ok(Self {
            business,
            has_issued,
            numbers,
            customers: customers(tx, organization, book, now).await?,
            plans: plans(tx, organization, book).await?,
            items: items(tx, organization, book).await?,
            shared_numbers: shared_numbers(tx, organization, book).await?,
        })
    }
}

pub(super) async fn numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
) -> Result<Numbers> {
    sqlx::query_as!(
        Numbers,
        "select invoice_prefix as prefix, number_year as year, next_number as next, opening_year, opening_number
         from sellers where id = $1 and organization_id = $1",
        organization.uuid(),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("organization"))
}

async fn has_issued(
    tx: &mut PgConnection,
    organization: OrganizationId,
    year: i32,
) -> Result<bool> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from invoices i where i.seller_id = $1 and i.organization_id = $1 and i.number_year = $2) as "found!""#,
        organization.uuid(),
        year,
    );
    Ok(found.fetch_one(tx).await?)
}

async fn customers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    book: &Book,
    now: Timestamp,
) -> Result<HashMap<String, Known>> {
    let keys: Vec<&str> = book.customers.iter().map(|it| it.key.as_str()).collect();
    let held = sqlx::query!(
        r#"select c.id, c.external_key as "key!", c.account_id from customers c
         where c.organization_id = $1 and c.external_key = any ($2) order by c.id for no key update"#,
        organization.uuid(),
        &keys as &[&str],
    )
    .fetch_all(&mut *tx)
    .await?;
    let accounts: Vec<_> = held
        .iter()
        .map(|row| (organization, AccountId::from(row.account_id)))
        .collect();
    crate::rating::lock_accounts(tx, &accounts).await?;
    let ids: Vec<Uuid> = held.iter().map(|row| row.account_id).collect();
    let subscribed = sqlx::query_scalar!(
        "select s.account_id from subscriptions s
         where s.organization_id = $1 and s.account_id = any ($2) and (s.ends_at is null or s.ends_at > $3)",
        organization.uuid(),
        &ids,
        now.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let subscribed: HashSet<Uuid> = subscribed.into_iter().collect();
    let known = held.into_iter().map(|row| {
        let known = Known {
            id: row.id.into(),
            account: row.account_id.into(),
            is_subscribed: subscribed.contains(&row.account_id),
        };
        (row.key, known)
    });
    Ok(known.collect())
}

async fn plans(
    tx: &mut PgConnection,
    organization: OrganizationId,
    book: &Book,
) -> Result<HashMap<String, Offered>> {
    let subscriptions = book
        .customers
        .iter()
        .filter_map(|it| it.subscription.as_ref());
    let codes: BTreeSet<&str> = subscriptions.map(|it| it.plan.as_str()).collect();
    let codes: Vec<&str> = codes.into_iter().collect();
    let rows = sqlx::query!(
        r#"select distinct on (p.code) p.code, v.id, coalesce((v.document ->> 'intervalMonths')::int, 1) as "interval_months!"
         from plans p join plan_versions v on v.seller_id = p.seller_id and v.plan_id = p.id
         where p.seller_id = $1 and p.code = any ($2) and p.kind = 'subscription' and v.state = 'published'
         order by p.code, v.version desc"#,
        organization.uuid(),
        &codes as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let offered = rows.into_iter().map(|row| {
        let offered = Offered {
            version: row.id.into(),
            interval_months: row.interval_months,
        };
        (row.code, offered)
    });
    Ok(offered.collect())
}

async fn items(
    tx: &mut PgConnection,
    organization: OrganizationId,
    book: &Book,
) -> Result<HashMap<(Kind, String), Value>> {
    let entries = entries(book);
    let kinds: Vec<&str> = entries.iter().map(|(kind, _)| kind.as_str()).collect();
    let keys: Vec<&str> = entries.iter().map(|(_, key)| key.as_str()).collect();
    let rows = sqlx::query!(
        r#"select r.kind as "kind: Text<Kind>", r.key, r.item
         from (select distinct * from unnest($2::text[], $3::text[]) as k (kind, key)) k
         join import_rows r on r.organization_id = $1 and r.kind = k.kind and r.key = k.key"#,
        organization.uuid(),
        &kinds as &[&str],
        &keys as &[&str],
    )
    .fetch_all(tx)
    .await?;
    let items = rows
        .into_iter()
        .map(|row| ((row.kind.0, row.key), row.item));
    Ok(items.collect())
}

async fn shared_numbers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    book: &Book,
) -> Result<HashSet<String>> {
    let numbers = book.customers.iter().flat_map(|it| &it.numbers);
    let numbers: Vec<&str> = numbers.map(E164::as_str).collect();
    let keys: Vec<&str> = book.customers.iter().map(|it| it.key.as_str()).collect();
    let shared = sqlx::query_scalar!(
        "select distinct n.e164 from customer_numbers n
         join customers c on c.organization_id = $1 and c.id = n.customer_id and c.merged_into_id is null
         where n.organization_id = $1 and n.e164 = any ($2) and n.ends_at is null and (c.external_key is null or c.external_key <> all ($3))",
        organization.uuid(),
        &numbers as &[&str],
        &keys as &[&str],
    )
    .fetch_all(tx)
    .await?;
    Ok(shared.into_iter().collect())
}
