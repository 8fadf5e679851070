//! Numbers of documents of each seller and year: from 1 on, or from where another system ended, without gap or repeat.

use sqlx::PgConnection;
use uuid::Uuid;

use super::ops::{Difference, FOUND_MAX};
use super::snapshot::snapshot;
use crate::app::App;
use crate::error::Result;

/// Numbers of one chunk.
const CHUNK: i64 = 20_000;

/// What has numbers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sequence {
    Invoices,
    CreditNotes,
}

/// A number in its sequence.
struct Numbered {
    seller: Uuid,
    year: i32,
    seq: i64,
    /// The first number of the year: another system may have given those before it.
    first: i64,
    organization_id: Uuid,
    id: Uuid,
}

/// Follows the sequences. A number is taken in the last moment before the commit, by one transaction at a time, so
/// those before a number are always there.
pub(super) async fn run(app: &App, tell: &mut impl FnMut(u64)) -> Result<Vec<Difference>> {
    let mut differences = follow(app, Sequence::Invoices, tell).await?;
    differences.extend(follow(app, Sequence::CreditNotes, tell).await?);
    Ok(differences)
}

async fn follow(
    app: &App,
    sequence: Sequence,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    let mut last = (Uuid::nil(), 0, 0);
    // The nil seller is the platform, and years begin at 1970.
    loop {
        let mut tx = snapshot(app).await?;
        let rows = sequence.chunk(&mut tx, last).await?;
        tell(CHUNK.unsigned_abs());
        let is_last = i64::try_from(rows.len()).unwrap_or(CHUNK) < CHUNK;
        for row in rows {
            let expected = if (last.0, last.1) == (row.seller, row.year) {
                last.2 + 1
            } else {
                row.first
            };
            if row.seq != expected {
                let (expected, found) = (expected.to_string(), row.seq.to_string());
                let (table, key) = (sequence.table(), row.id.to_string());
                let organization = row.organization_id;
                let what = "number_seq";
                differences.push(note(organization, table, key, what, expected, found));
            }
            last = (row.seller, row.year, row.seq);
        }
        if is_last || differences.len() >= FOUND_MAX {
            differences.extend(sequence.compare_sellers(&mut tx).await?);
            return Ok(differences);
        }
    }
}

impl Sequence {
    fn table(self) -> &'static str {
        match self {
            Self::Invoices => "invoices",
            Self::CreditNotes => "credit_notes",
        }
    }

    async fn chunk(
        self,
        tx: &mut PgConnection,
        last: (Uuid, i32, i64),
    ) -> sqlx::Result<Vec<Numbered>> {
        match self {
            Self::Invoices => {
                sqlx::query_as!(
                    Numbered,
                    r#"select i.seller_id as "seller!", i.number_year as "year!", i.number_seq as "seq!",
                         case when s.opening_year = i.number_year then s.opening_number else 1 end as "first!", i.organization_id, i.id
                     from invoices i join sellers s on s.id = i.seller_id
                     where (i.seller_id, i.number_year, i.number_seq) > ($1, $2, $3) and i.number_seq is not null
                     -- all organizations: the platform's sequence runs through all of them
                     order by i.seller_id, i.number_year, i.number_seq limit $4"#,
                    last.0,
                    last.1,
                    last.2,
                    CHUNK,
                )
                .fetch_all(tx)
                .await
            }
            Self::CreditNotes => {
                sqlx::query_as!(
                    Numbered,
                    r#"select seller_id as "seller!", number_year as year, number_seq as seq, 1::bigint as "first!", organization_id, id
                     from credit_notes where (seller_id, number_year, number_seq) > ($1, $2, $3)
                     -- all organizations: the platform's sequence runs through all of them
                     order by seller_id, number_year, number_seq limit $4"#,
                    last.0,
                    last.1,
                    last.2,
                    CHUNK,
                )
                .fetch_all(tx)
                .await
            }
        }
    }

    /// What sellers take next.
    async fn compare_sellers(self, tx: &mut PgConnection) -> Result<Vec<Difference>> {
        let rows = sqlx::query!(
            r#"select s.id, s.organization_id, v.found as "found!", v.next as "next!"
             from sellers s
             cross join lateral (
                 select s.next_number as found,
                     coalesce(max(i.number_seq) + 1, case when s.opening_year = s.number_year then s.opening_number else 1 end) as next
                 from invoices i where $1 = 'invoices' and i.seller_id = s.id and i.number_year = s.number_year
                 having $1 = 'invoices'
                 union all
                 select s.next_credit_note, coalesce(max(n.number_seq), 0) + 1
                 from credit_notes n where $1 = 'credit_notes' and n.seller_id = s.id and n.number_year = s.credit_note_year
                 having $1 = 'credit_notes'
             ) v
             where v.found <> v.next
             -- all organizations: the platform is a seller too"#,
            self.table(),
        )
        .fetch_all(tx)
        .await?;
        let what = match self {
            Self::Invoices => "next_number",
            Self::CreditNotes => "next_credit_note",
        };
        Ok(rows
            .into_iter()
            .map(|row| {
                let (expected, found) = (row.next.to_string(), row.found.to_string());
                let organization = row.organization_id.unwrap_or_default();
                let key = row.id.to_string();
                note(organization, "sellers", key, what, expected, found)
            })
            .collect())
    }
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
