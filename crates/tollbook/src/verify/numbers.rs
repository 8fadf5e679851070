//! Invoice numbers of each seller and year: from 1 on, without gap or repeat.

use sqlx::PgConnection;
use uuid::Uuid;

use super::ops::{Difference, FOUND_MAX};
use super::snapshot::snapshot;
use crate::app::App;
use crate::error::Result;

/// Numbers of one chunk.
const CHUNK: i64 = 20_000;

/// Follows the sequences. A number is taken in the last moment before the commit, by one transaction at a time, so
/// those before a number are always there.
pub(super) async fn run(app: &App, tell: &mut impl FnMut(u64)) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    let mut last = (Uuid::nil(), 0, 0);
    // The nil seller is the platform, and years begin at 1970.
    loop {
        let mut tx = snapshot(app).await?;
        let rows = sqlx::query!(
            r#"select seller_id as "seller_id!", number_year as "year!", number_seq as "seq!", organization_id, id
             from invoices where (seller_id, number_year, number_seq) > ($1, $2, $3) and number_seq is not null
             -- all organizations: the platform's sequence runs through all of them
             order by seller_id, number_year, number_seq limit $4"#,
            last.0,
            last.1,
            last.2,
            CHUNK,
        )
        .fetch_all(&mut *tx)
        .await?;
        tell(CHUNK.unsigned_abs());
        let is_last = i64::try_from(rows.len()).unwrap_or(CHUNK) < CHUNK;
        for row in rows {
            let expected = if (last.0, last.1) == (row.seller_id, row.year) {
                last.2 + 1
            } else {
                1
            };
            if row.seq != expected {
                let (expected, found) = (expected.to_string(), row.seq.to_string());
                let key = row.id.to_string();
                differences.push(note(
                    row.organization_id,
                    "invoices",
                    key,
                    "number_seq",
                    expected,
                    found,
                ));
            }
            last = (row.seller_id, row.year, row.seq);
        }
        if is_last || differences.len() >= FOUND_MAX {
            differences.extend(compare_sellers(&mut tx).await?);
            return Ok(differences);
        }
    }
}

/// What sellers take next.
async fn compare_sellers(tx: &mut PgConnection) -> Result<Vec<Difference>> {
    let rows = sqlx::query!(
        r#"select s.id, s.organization_id, s.next_number, v.next as "next!"
         from sellers s
         cross join lateral (
             select coalesce(max(i.number_seq), 0) + 1 as next from invoices i where i.seller_id = s.id and i.number_year = s.number_year
         ) v
         where s.next_number <> v.next
         -- all organizations: the platform is a seller too"#
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (expected, found) = (row.next.to_string(), row.next_number.to_string());
            let organization = row.organization_id.unwrap_or_default();
            note(
                organization,
                "sellers",
                row.id.to_string(),
                "next_number",
                expected,
                found,
            )
        })
        .collect())
}

fn note(
    organization: Uuid,
    table: &str,
    key: String,
    what: &str,
    expected: String,
    found: String,
) -> Difference {
    Difference {
        organization: (!organization.is_nil()).then(|| organization.into()),
        table: table.to_owned(),
        key,
        what: what.to_owned(),
        expected,
        found,
    }
}
