//! Statements on search terms.

use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use uuid::Uuid;

use super::terms::range;

/// What can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A customer, by name, contact, mail address and number.
    Customer,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
        }
    }
}

/// A thing with its words.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    pub(crate) organization: OrganizationId,
    pub(crate) id: Uuid,
    pub(crate) terms: std::collections::BTreeSet<String>,
}

/// A thing that was found. Term and id together are the place in the list of all that is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) term: String,
    pub(crate) id: Uuid,
}

/// Makes things findable under further words.
pub(crate) async fn add(tx: &mut PgConnection, kind: Kind, things: &[Indexed]) -> sqlx::Result<()> {
    let (organizations, ids, terms) = columns(things);
    sqlx::query!(
        "insert into search_terms (organization_id, term, kind, id)
         select t.organization_id, t.term, $1, t.id from unnest($2::uuid[], $3::uuid[], $4::text[]) as t(organization_id, id, term)
         order by t.organization_id, t.term, t.id
         on conflict do nothing",
        kind.as_str(),
        &organizations,
        &ids,
        &terms as &[&str],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Makes `own` things findable under the words of `things` and no others; those that are left out there under none.
pub(crate) async fn replace(
    tx: &mut PgConnection,
    kind: Kind,
    own: &[(OrganizationId, Uuid)],
    things: &[Indexed],
) -> sqlx::Result<()> {
    let (organizations, ids, terms) = columns(things);
    let (own_organizations, own_ids): (Vec<Uuid>, Vec<Uuid>) =
        own.iter().map(|(o, id)| (o.uuid(), *id)).unzip();
    sqlx::query!(
        "delete from search_terms s
         using unnest($2::uuid[], $3::uuid[]) as t(organization_id, id)
         where s.organization_id = t.organization_id and s.kind = $1 and s.id = t.id
             and not exists (select from unnest($4::uuid[], $5::uuid[], $6::text[]) as k(organization_id, id, term)
                 where k.organization_id = s.organization_id and k.id = s.id and k.term = s.term)",
        kind.as_str(),
        &own_organizations,
        &own_ids,
        &organizations,
        &ids,
        &terms as &[&str],
    )
    .execute(&mut *tx)
    .await?;
    add(tx, kind, things).await
}

fn columns(things: &[Indexed]) -> (Vec<Uuid>, Vec<Uuid>, Vec<&str>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for thing in things {
        for term in &thing.terms {
            columns.0.push(thing.organization.uuid());
            columns.1.push(thing.id);
            columns.2.push(term.as_str());
        }
    }
    columns
}

/// Things that have, for each of `words`, a term that begins with it; from `after` on, at most `limit`, by term of the
/// first word. A thing is found once, under the first of its terms.
pub(crate) async fn find(
    tx: &mut PgConnection,
    organization: OrganizationId,
    kind: Kind,
    words: &[String],
    after: Option<&Found>,
    limit: i64,
) -> sqlx::Result<Vec<Found>> {
    let Some((first, others)) = words.split_first() else {
        return Ok(Vec::new());
    };
    let (from, to) = range(first);
    let (others_from, others_to): (Vec<String>, Vec<String>) =
        others.iter().map(|word| range(word)).unzip();
    sqlx::query_as!(
        Found,
        "select s.term, s.id from search_terms s
         where s.organization_id = $1 and s.kind = $2 and s.term >= $3 and s.term < $4
             and (s.term, s.id) > (coalesce($5, ''), coalesce($6, '00000000-0000-0000-0000-000000000000'::uuid))
             and not exists (select from search_terms e
                 where e.organization_id = $1 and e.kind = $2 and e.id = s.id and e.term >= $3 and e.term < s.term)
             and not exists (select from unnest($7::text[], $8::text[]) as w(first, past)
                 where not exists (select from search_terms o
                     where o.organization_id = $1 and o.kind = $2 and o.id = s.id and o.term >= w.first and o.term < w.past))
         order by s.term, s.id limit $9",
        organization.uuid(),
        kind.as_str(),
        from,
        to,
        after.map(|found| found.term.as_str()),
        after.map(|found| found.id),
        &others_from,
        &others_to,
        limit,
    )
    .fetch_all(tx)
    .await
}
