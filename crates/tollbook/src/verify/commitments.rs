//! Documents of periods against what their payers committed to.

use tollbook_core::ids::{InvoiceId, OrganizationId};
use tollbook_core::invoices::commitment_gap;
use tollbook_core::money::Money;
use uuid::Uuid;

use super::chunks::{Chunk, last};
use super::counters::difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::error::{Error, Result};
use crate::invoices::commitments;

/// Documents of one chunk.
pub(super) const CHUNK: i64 = 500;

/// Fills documents up again. One that a person closed before its period was over is left out: what the payer is on may
/// have changed since.
pub(super) async fn chunk(
    app: &App,
    organization: OrganizationId,
    after: Option<Uuid>,
) -> Result<Chunk> {
    let mut tx = snapshot(app).await?;
    let rows = sqlx::query!(
        r#"select i.id,
             coalesce(sum(l.amount_minor) filter (where l.line_group not like 'fee/%' and l.line_group not like 'commitment/%'
                 and not exists (select from recharges r join invoices v on v.organization_id = $1 and v.id = r.void_invoice_id
                     where r.organization_id = $1 and r.document_id = i.id and l.line_group like '%@' || v.number)), 0)::bigint as "usage_minor!",
             coalesce(sum(l.amount_minor) filter (where l.line_group like 'commitment/%' and l.line_group not like '%@%'), 0)::bigint as "filled_minor!"
         from (
             select i.id from invoices i
             where i.organization_id = $1 and i.id > $2 and i.kind = 'period' and i.state <> 'draft' and i.finalized_at >= i.period_end
             order by i.id limit $3
         ) i
         left join invoice_lines l on l.organization_id = $1 and l.invoice_id = i.id
         group by i.id order by i.id"#,
        organization.uuid(),
        after.unwrap_or_default(),
        CHUNK,
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<InvoiceId> = rows.iter().map(|row| row.id.into()).collect();
    let committed = commitments(&mut tx, organization, &ids).await?;
    drop(tx);
    let mut differences = Vec::new();
    for row in &rows {
        let mut expected = 0;
        if let Some(commitment) = committed.get(&row.id.into()) {
            let usage = Money::from_minor(row.usage_minor, commitment.amount.currency());
            let gap = commitment_gap(commitment.amount, usage)
                .map_err(|e| Error::Internal(format!("invoice {}: {e}", row.id)))?;
            expected = gap.map_or(0, Money::minor);
        }
        if expected != row.filled_minor {
            differences.push(difference(
                organization,
                "invoices",
                row.id.to_string(),
                "minimum commitment",
                expected.to_string(),
                row.filled_minor.to_string(),
            ));
        }
    }
    Ok((last(&rows, CHUNK, |row| row.id), differences))
}
