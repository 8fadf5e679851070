//! What accounts have used: grants drawn on, quantities counted under tiers. Loaded and written for a whole batch; the
//! accounts are locked.

use std::collections::HashMap;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, GrantId, OrganizationId};
use tollbook_core::money::Quantity;
use tollbook_core::plans::Key;
use tollbook_core::rating::{Grant, TierTotal};
use uuid::Uuid;

use super::carry::{self, Cap, Forfeited};
use crate::db::types::Text;
use crate::error::{Error, Result};

/// What an account has used, over all of its periods.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Book {
    pub(super) grants: Vec<Grant>,
    pub(super) tiers: Vec<TierTotal>,
    /// In order of time.
    pub(super) caps: Vec<Cap>,
    pub(super) forfeits: Vec<Forfeited>,
    /// Up to when the cycles that began were seen to.
    pub(super) carried_until: Option<Timestamp>,
}

/// The books of accounts.
pub(super) type Books = HashMap<AccountId, Book>;

/// Loads the grants that end after `since`, which are all that usage from then on may draw on, and tier totals of periods that began at `counted_since` or later.
pub(super) async fn load(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
    since: Timestamp,
    counted_since: Timestamp,
) -> Result<Books> {
    let mut books = Books::new();
    let mut cut = Vec::new();
    let organizations: HashMap<AccountId, OrganizationId> =
        accounts.iter().map(|(o, a)| (*a, *o)).collect();
    for granted in granted(tx, accounts, since).await? {
        let (account, grant) = (granted.account, granted.grant);
        let book = books.entry(account).or_default();
        if let (Some(organization), false) =
            (organizations.get(&account), grant.forfeited.is_zero())
        {
            cut.push((*organization, grant.id));
        }
        book.caps.extend(granted.carried_max.map(|max| Cap {
            key: grant.allowance_key.clone(),
            at: grant.starts_at,
            max,
        }));
        book.grants.push(grant);
    }
    for book in books.values_mut() {
        book.caps.sort_by_key(|cap| cap.at);
    }
    if !cut.is_empty() {
        let mut owners = HashMap::new();
        for (account, book) in &books {
            owners.extend(book.grants.iter().map(|grant| (grant.id, *account)));
        }
        for forfeited in carry::load(tx, &cut).await? {
            if let Some(account) = owners.get(&forfeited.grant) {
                books.entry(*account).or_default().forfeits.push(forfeited);
            }
        }
    }
    for (account, tier) in tiers(tx, accounts, counted_since).await? {
        books.entry(account).or_default().tiers.push(tier);
    }
    Ok(books)
}

/// A grant, and the cap of the cycle that it begins.
struct Granted {
    account: AccountId,
    grant: Grant,
    carried_max: Option<Quantity>,
}

/// The grants of accounts that end after `since`.
pub(super) async fn grants(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
    since: Timestamp,
) -> Result<Vec<Grant>> {
    let granted = granted(tx, accounts, since).await?;
    Ok(granted.into_iter().map(|it| it.grant).collect())
}

async fn granted(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
    since: Timestamp,
) -> Result<Vec<Granted>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select g.id, g.account_id, g.allowance_key as "allowance_key: Text<Key>", g.granted, g.used, g.forfeited, g.starts_at, g.expires_at, g.carried_max
         from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
         join allowance_grants g on g.organization_id = k.organization_id and g.account_id = k.id
         where g.expires_at > $3"#,
        &organizations,
        &ids,
        since.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let quantity = |value| {
        Quantity::try_from(value).map_err(|e| Error::Internal(format!("a stored quantity: {e}")))
    };
    rows.into_iter()
        .map(|row| {
            let grant = Grant {
                id: GrantId::from(row.id),
                allowance_key: row.allowance_key.0,
                granted: quantity(row.granted)?,
                used: quantity(row.used)?,
                forfeited: quantity(row.forfeited)?,
                starts_at: row.starts_at.to_jiff(),
                expires_at: row.expires_at.to_jiff(),
            };
            Ok(Granted {
                account: row.account_id.into(),
                grant,
                carried_max: row.carried_max.map(quantity).transpose()?,
            })
        })
        .collect()
}

async fn tiers(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
    since: Timestamp,
) -> Result<Vec<(AccountId, TierTotal)>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    let rows = sqlx::query!(
        "select t.account_id, t.price_key, t.period_start, t.quantity
         from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
         join tier_totals t on t.organization_id = k.organization_id and t.account_id = k.id
         where t.period_start >= $3",
        &organizations,
        &ids,
        since.to_sqlx(),
    )
    .fetch_all(tx)
    .await?;
    let stored = |e: &dyn std::fmt::Display| Error::Internal(format!("a stored tier total: {e}"));
    rows.into_iter()
        .map(|row| {
            let tier = TierTotal {
                price_key: Key::from_stored(&row.price_key).map_err(|e| stored(&e))?,
                period_start: row.period_start.to_jiff(),
                quantity: Quantity::try_from(row.quantity).map_err(|e| stored(&e))?,
            };
            Ok((row.account_id.into(), tier))
        })
        .collect()
}

/// Writes what changed of books since they were `before`.
pub(super) async fn write(
    tx: &mut PgConnection,
    organizations: &HashMap<AccountId, OrganizationId>,
    books: &Books,
    before: &Books,
) -> Result<()> {
    let nothing = Book::default();
    let (mut grants, mut tiers) = (Vec::new(), Vec::new());
    for (account, book) in books {
        let Some(organization) = organizations.get(account) else {
            continue;
        };
        let old = before.get(account).unwrap_or(&nothing);
        let changed = book.grants.iter().filter(|it| !old.grants.contains(it));
        grants.extend(changed.map(|grant| (*organization, grant)));
        let changed = book.tiers.iter().filter(|it| !old.tiers.contains(it));
        tiers.extend(changed.map(|tier| (*organization, *account, tier)));
    }
    write_grants(tx, &grants).await?;
    carry::write(tx, organizations, books, before).await?;
    write_tiers(tx, &tiers).await
}

async fn write_grants(tx: &mut PgConnection, grants: &[(OrganizationId, &Grant)]) -> Result<()> {
    if grants.is_empty() {
        return Ok(());
    }
    let organizations: Vec<Uuid> = grants.iter().map(|(o, _)| o.uuid()).collect();
    let ids: Vec<Uuid> = grants.iter().map(|(_, g)| g.id.uuid()).collect();
    let used: Vec<_> = grants.iter().map(|(_, g)| g.used.to_decimal()).collect();
    let forfeited: Vec<_> = grants
        .iter()
        .map(|(_, g)| g.forfeited.to_decimal())
        .collect();
    sqlx::query!(
        "update allowance_grants g set used = k.used, forfeited = k.forfeited
         from unnest($1::uuid[], $2::uuid[], $3::numeric[], $4::numeric[]) as k (organization_id, id, used, forfeited)
         where g.organization_id = k.organization_id and g.id = k.id",
        &organizations,
        &ids,
        &used,
        &forfeited,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn write_tiers(
    tx: &mut PgConnection,
    tiers: &[(OrganizationId, AccountId, &TierTotal)],
) -> Result<()> {
    if tiers.is_empty() {
        return Ok(());
    }
    let organizations: Vec<Uuid> = tiers.iter().map(|(o, ..)| o.uuid()).collect();
    let accounts: Vec<Uuid> = tiers.iter().map(|(_, a, _)| a.uuid()).collect();
    let keys: Vec<&str> = tiers.iter().map(|(.., t)| t.price_key.as_str()).collect();
    let starts: Vec<_> = tiers
        .iter()
        .map(|(.., t)| t.period_start.to_sqlx())
        .collect();
    let totals: Vec<_> = tiers
        .iter()
        .map(|(.., t)| t.quantity.to_decimal())
        .collect();
    sqlx::query!(
        "insert into tier_totals (organization_id, account_id, price_key, period_start, quantity)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::numeric[]) as k
         order by 1, 2, 3, 4
         on conflict (organization_id, account_id, price_key, period_start) do update set quantity = excluded.quantity",
        &organizations,
        &accounts,
        &keys as &[&str],
        &starts,
        &totals,
    )
    .execute(tx)
    .await?;
    Ok(())
}
