//! The charges behind documents, added up by the line that prints them.

use std::collections::BTreeMap;

use jiff_sqlx::Timestamp;
use rust_decimal::Decimal;
use tollbook_core::ids::OrganizationId;
use tollbook_core::money::{Fraction, Quantity};
use uuid::Uuid;

use super::charges::fraction;
use super::counters::{quantity, sum};
use super::snapshot::snapshot;
use crate::app::App;
use crate::db::Tx;
use crate::error::{Error, Result};

/// Charges of one statement. A document with more is read piece by piece, which is safe: it takes no more charges.
pub(super) const CHARGES_MAX: i64 = 50_000;

struct Piece {
    invoice_id: Option<Uuid>,
    line_group: String,
    quantity: Option<Decimal>,
    numerator: Option<Decimal>,
    amount_denominator: Decimal,
    charges: Option<i64>,
}

/// What the charges of a line group come to.
pub(super) struct Group {
    pub(super) quantity: Quantity,
    pub(super) exact: Fraction,
    pub(super) charges: i64,
}

/// By document and line group.
pub(super) type Groups = BTreeMap<(Uuid, String), Group>;

/// The charges of documents by line group.
pub(super) async fn gather(
    tx: &mut Tx,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Groups> {
    let pieces = sqlx::query_as!(
        Piece,
        r#"select invoice_id as "invoice_id?", line_group as "line_group!", sum(quantity) as quantity, sum(amount_numerator) as numerator,
             amount_denominator as "amount_denominator!", count(*) as charges
         from (
             select c.invoice_id, c.line_group, c.quantity, c.amount_numerator, c.amount_denominator
             from charges c where c.organization_id = $1 and c.invoice_id = any($2)
             union all
             select r.document_id, c.line_group || '@' || v.number, c.quantity, c.amount_numerator, c.amount_denominator
             from recharges r
             join invoices v on v.organization_id = $1 and v.id = r.void_invoice_id
             join charges c on c.organization_id = $1 and c.invoice_id = r.void_invoice_id
             where r.organization_id = $1 and r.document_id = any($2)
         ) c
         group by invoice_id, line_group, amount_denominator"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut groups = Groups::new();
    pieces
        .into_iter()
        .try_for_each(|piece| add(&mut groups, piece))?;
    Ok(groups)
}

/// The same, a bounded number of charges at a time.
pub(super) async fn gather_in_pieces(
    app: &App,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Groups> {
    let mut groups = Groups::new();
    for Source { id, of, suffix } in sources(app, organization, ids).await? {
        let (mut group, mut at, mut charge) = (String::new(), None, Uuid::nil());
        loop {
            let mut tx = snapshot(app).await?;
            let rows = sqlx::query!(
                "select line_group, occurred_at, id, quantity, amount_numerator, amount_denominator
                 from charges where organization_id = $1 and invoice_id = $2
                     and (line_group, occurred_at, id) > ($3, coalesce($4, '-infinity'::timestamptz), $5)
                 order by line_group, occurred_at, id limit $6",
                organization.uuid(),
                of,
                group,
                at as Option<Timestamp>,
                charge,
                CHARGES_MAX,
            )
            .fetch_all(&mut *tx)
            .await?;
            let Some(last) = rows.last() else { break };
            (group, at, charge) = (last.line_group.clone(), Some(last.occurred_at), last.id);
            for row in rows {
                let piece = Piece {
                    invoice_id: Some(id),
                    line_group: format!("{}{suffix}", row.line_group),
                    quantity: Some(row.quantity),
                    numerator: Some(row.amount_numerator),
                    amount_denominator: row.amount_denominator,
                    charges: Some(1),
                };
                add(&mut groups, piece)?;
            }
        }
    }
    Ok(groups)
}

/// Where the charges of a document stand: on itself, and on void invoices whose charges it gathers again.
struct Source {
    id: Uuid,
    of: Uuid,
    /// What the groups of its lines end with.
    suffix: String,
}

async fn sources(app: &App, organization: OrganizationId, ids: &[Uuid]) -> Result<Vec<Source>> {
    let mut tx = snapshot(app).await?;
    let rows = sqlx::query!(
        r#"select r.document_id, r.void_invoice_id, v.number as "number!"
         from recharges r join invoices v on v.organization_id = $1 and v.id = r.void_invoice_id
         where r.organization_id = $1 and r.document_id = any($2) order by r.document_id, r.void_invoice_id"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    let own = ids.iter().map(|id| Source {
        id: *id,
        of: *id,
        suffix: String::new(),
    });
    let again = rows.into_iter().map(|row| Source {
        id: row.document_id,
        of: row.void_invoice_id,
        suffix: format!("@{}", row.number),
    });
    Ok(own.chain(again).collect())
}

fn add(groups: &mut Groups, piece: Piece) -> Result<()> {
    let Some(invoice) = piece.invoice_id else {
        return Ok(());
    };
    let nothing = Group {
        quantity: Quantity::ZERO,
        exact: Fraction::ZERO,
        charges: 0,
    };
    let group = groups.entry((invoice, piece.line_group)).or_insert(nothing);
    let exact = fraction(
        piece.numerator.unwrap_or_default(),
        piece.amount_denominator,
    )?;
    group.quantity = sum(
        group.quantity,
        quantity(piece.quantity.unwrap_or_default())?,
    )?;
    group.exact = group
        .exact
        .checked_add(exact)
        .map_err(|e| Error::Internal(format!("a sum of charges: {e}")))?;
    group.charges = group
        .charges
        .saturating_add(piece.charges.unwrap_or_default());
    Ok(())
}
