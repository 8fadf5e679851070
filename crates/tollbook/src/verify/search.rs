//! Words under which customers are found against what is known of them.

use std::collections::{BTreeMap, BTreeSet};

use tollbook_core::ids::{CustomerId, OrganizationId};
use uuid::Uuid;

use super::chunks::{Chunk, last};
use super::counters::difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::customers;
use crate::db::Tx;
use crate::error::Result;

/// Customers of one chunk.
pub(super) const CHUNK: i64 = 1_000;

/// Finds the words of an organization's customers again.
pub(super) async fn chunk(
    app: &App,
    organization: OrganizationId,
    after: Option<Uuid>,
) -> Result<Chunk> {
    let after = after.unwrap_or_default();
    let mut tx = snapshot(app).await?;
    let ids = sqlx::query_scalar!(
        "select id from customers where organization_id = $1 and id > $2 order by id limit $3",
        organization.uuid(),
        after,
        CHUNK,
    )
    .fetch_all(&mut *tx)
    .await?;
    let next = last(&ids, CHUNK, |id| *id);
    let keys: Vec<_> = ids
        .iter()
        .map(|id| (organization, CustomerId::from(*id)))
        .collect();
    // Who was merged into another is found no more.
    let mut expected: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for thing in customers::terms(&mut tx, &keys).await? {
        expected.insert(thing.id, thing.terms);
    }
    let until = next.unwrap_or(Uuid::max());
    let mut found = stored(&mut tx, organization, after, until).await?;
    drop(tx);
    let named: BTreeSet<Uuid> = expected.keys().chain(found.keys()).copied().collect();
    let differences = named.into_iter().filter_map(|id| {
        let expected = expected.remove(&id).unwrap_or_default();
        let found = found.remove(&id).unwrap_or_default();
        (expected != found).then(|| {
            let (key, expected, found) =
                (format!("customer {id}"), shown(&expected), shown(&found));
            difference(organization, "search_terms", key, "terms", expected, found)
        })
    });
    Ok((next, differences.collect()))
}

async fn stored(
    tx: &mut Tx,
    organization: OrganizationId,
    after: Uuid,
    until: Uuid,
) -> Result<BTreeMap<Uuid, BTreeSet<String>>> {
    let rows = sqlx::query!(
        "select id, term from search_terms where organization_id = $1 and kind = 'customer' and id > $2 and id <= $3",
        organization.uuid(),
        after,
        until,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut terms: BTreeMap<Uuid, BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        terms.entry(row.id).or_default().insert(row.term);
    }
    Ok(terms)
}

fn shown(terms: &BTreeSet<String>) -> String {
    let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
    terms.join(" ")
}
