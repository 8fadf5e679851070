//! Everything that belongs to one call, with the rights of whoever asks.

use jiff::Timestamp;
use serde::Deserialize;
use sqlx::PgConnection;
use tollbook_core::calls::Phase;
use tollbook_core::ids::{CallId, InvoiceId, OrganizationId, RecordingId};
use tollbook_core::money::{Currency, Fraction, Quantity};
use tollbook_core::rating::{PartKind, Trace};
use uuid::Uuid;

use super::view::explain::Part;
use crate::db::types::Text;
use crate::error::{Error, Result};

/// A line of the timeline.
#[derive(Debug, Clone)]
pub(crate) struct Happening {
    pub(crate) at: Timestamp,
    pub(crate) kind: String,
}

/// What the provider said, in order.
pub(crate) async fn happenings(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Vec<Happening>> {
    let rows = sqlx::query!(
        "select occurred_at, kind from call_events
         where organization_id = $1 and (leg_id in (select id from call_legs where organization_id = $1 and call_id = $2)
             or (leg_id is null and call_id = $2))
         order by occurred_at, id",
        organization.uuid(),
        call.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Happening {
            at: row.occurred_at.to_jiff(),
            kind: row.kind,
        })
        .collect())
}

/// A provider's record of a part of the call.
#[derive(Debug, Clone)]
pub(crate) struct LegFacts {
    pub(crate) sid: String,
    pub(crate) phase: Phase,
    pub(crate) external_party: String,
    pub(crate) our_number: String,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
}

/// The call's legs, oldest first.
pub(crate) async fn legs(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Vec<LegFacts>> {
    let rows = sqlx::query!(
        r#"select sid, phase as "phase: Text<Phase>", external_party, our_number, answered_at, ended_at
         from call_legs where organization_id = $1 and call_id = $2 order by started_at, sid"#,
        organization.uuid(),
        call.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| LegFacts {
            sid: row.sid,
            phase: row.phase.0,
            external_party: row.external_party,
            our_number: row.our_number,
            answered_at: row.answered_at.map(jiff_sqlx::Timestamp::to_jiff),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
        .collect())
}

/// A part of a charge in force.
#[derive(Debug, Clone)]
pub(crate) struct PartFacts {
    /// Parts of the same usage for the same payer are one charge.
    pub(crate) charge: (String, Option<Uuid>),
    /// The customer's or the organization's name.
    pub(crate) payer: String,
    /// Plan and version that priced it.
    pub(crate) terms: Option<(String, i32)>,
    pub(crate) kind: PartKind,
    pub(crate) quantity: Quantity,
    pub(crate) amount: Fraction,
    pub(crate) currency: Currency,
    pub(crate) trace: Trace,
    /// The sum of the charge, as a plain decimal.
    pub(crate) total: String,
    /// The invoice with its number; `None` while it is a draft.
    pub(crate) invoice: Option<(InvoiceId, String)>,
}

impl PartFacts {
    /// As it is explained.
    pub(super) fn to_explain(&self) -> Part<'_> {
        Part {
            kind: self.kind,
            quantity: self.quantity,
            amount: Some(self.amount),
            currency: self.currency,
            trace: &self.trace,
        }
    }
}

/// The parts of the call's charges in force, in order.
pub(crate) async fn parts(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Vec<PartFacts>> {
    let rows = sqlx::query!(
        r#"select c.payer, c.usage_event_id, coalesce(nullif(k.name, ''), o.name) as "payer_name!", p.name as "plan?", v.version as "version?",
             c.kind as "kind: Text<PartKind>", c.quantity, c.amount_numerator, c.amount_denominator, c.currency as "currency: Text<Currency>",
             c.trace::text as "trace!", (sum(c.amount) over (partition by c.payer, c.usage_event_id))::text as "total!", i.id as invoice_id, i.number
         from charges c
         join invoices i on i.organization_id = c.organization_id and i.id = c.invoice_id
         join organizations o on o.id = c.organization_id
         left join customers k on k.organization_id = c.organization_id and k.id = c.customer_id
         left join plan_versions v on v.seller_id = c.seller_id and v.id = c.plan_version_id
         left join plans p on p.seller_id = v.seller_id and p.id = v.plan_id
         where c.organization_id = $1 and c.call_id = $2 and c.reverses_id is null
             and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)
         order by c.payer, c.occurred_at, c.usage_event_id, c.part"#,
        organization.uuid(),
        call.uuid(),
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let stored =
                |e: &dyn std::fmt::Display| Error::Internal(format!("a stored charge: {e}"));
            Ok(PartFacts {
                charge: (row.payer, row.usage_event_id),
                payer: row.payer_name,
                terms: row.plan.zip(row.version),
                kind: row.kind.0,
                quantity: Quantity::try_from(row.quantity).map_err(|e| stored(&e))?,
                amount: Fraction::from_decimals(row.amount_numerator, row.amount_denominator)
                    .map_err(|e| stored(&e))?,
                currency: row.currency.0,
                trace: serde_json::from_str(&row.trace).map_err(|e| stored(&e))?,
                total: row.total,
                invoice: row.number.map(|number| (row.invoice_id.into(), number)),
            })
        })
        .collect()
}

/// What a call cost at the provider, and what that leaves of its charge.
#[derive(Debug, Clone)]
pub(crate) struct CostFacts {
    /// In major units, as plain decimals.
    pub(crate) cost: String,
    /// `None` if the charge is in another currency, or there is none yet.
    pub(crate) margin: Option<String>,
    pub(crate) currency: Currency,
}

/// What the call cost at the provider, if the organization bears it and it is known.
pub(crate) async fn provider_cost(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Option<CostFacts>> {
    let row = sqlx::query!(
        r#"select p.amount::text as "cost!", p.currency as "currency!: Text<Currency>",
             ((select sum(c.amount) from charges c
                 where c.organization_id = $1 and c.call_id = $2 and c.payer = 'customer' and c.currency = p.currency) - p.amount)::text as margin
         from provider_costs p
         where p.organization_id = $1 and p.subject = 'call' and p.subject_id = $2 and p.amount is not null"#,
        organization.uuid(),
        call.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| CostFacts {
        cost: row.cost,
        margin: row.margin,
        currency: row.currency.0,
    }))
}

/// A webhook as it came.
#[derive(Debug, Clone)]
pub(crate) struct RawWebhook {
    pub(crate) received_at: Timestamp,
    pub(crate) event_key: String,
    /// How its signature was checked.
    pub(crate) verdict: String,
    pub(crate) body: Vec<u8>,
}

/// The webhooks that told of the call, as far as they are the reader's to see, in the order in which they came.
pub(crate) async fn webhooks(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Vec<RawWebhook>> {
    let rows = sqlx::query!(
        "select i.received_at, i.event_key, i.verdict, i.body
         from (select distinct inbox_id, inbox_received_at from call_events
             where organization_id = $1 and (leg_id in (select id from call_legs where organization_id = $1 and call_id = $2)
                 or (leg_id is null and call_id = $2)) and inbox_id is not null) e
         join inbox i on i.received_at = e.inbox_received_at and i.id = e.inbox_id
         order by i.received_at",
        organization.uuid(),
        call.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| RawWebhook {
            received_at: row.received_at.to_jiff(),
            event_key: row.event_key,
            verdict: row.verdict,
            body: row.body,
        })
        .collect())
}

/// A recording of the call.
#[derive(Debug, Clone)]
pub(crate) struct RecordingFacts {
    pub(crate) id: RecordingId,
    pub(crate) duration_seconds: Option<i64>,
    pub(crate) content_type: Option<String>,
}

/// The call's recordings, oldest first.
pub(crate) async fn recordings(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Vec<RecordingFacts>> {
    let rows = sqlx::query!(
        "select id, duration_seconds, content_type from recordings
         where organization_id = $1 and call_id = $2 order by occurred_at, id",
        organization.uuid(),
        call.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| RecordingFacts {
            id: row.id.into(),
            duration_seconds: row.duration_seconds,
            content_type: row.content_type,
        })
        .collect())
}

/// What was said.
#[derive(Debug, Clone)]
pub(crate) struct TranscriptFacts {
    pub(crate) lines: Vec<Said>,
    pub(crate) summary: Vec<String>,
}

/// One thing said.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Said {
    /// Who: a number, mostly.
    #[serde(default)]
    pub(crate) speaker: Option<String>,
    /// The provider's id of the organization's user, if one of them said it.
    #[serde(default)]
    pub(crate) user_sid: Option<String>,
    #[serde(default)]
    pub(crate) start_ms: u64,
    #[serde(default)]
    pub(crate) text: String,
}

/// The call's transcript.
pub(crate) async fn transcript(
    tx: &mut PgConnection,
    organization: OrganizationId,
    call: CallId,
) -> Result<Option<TranscriptFacts>> {
    let row = sqlx::query!(
        "select dialogue, summary from transcripts where organization_id = $1 and call_id = $2",
        organization.uuid(),
        call.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    row.map(|row| {
        let lines = serde_json::from_value(row.dialogue)
            .map_err(|e| Error::Internal(format!("the transcript of call {call}: {e}")))?;
        Ok(TranscriptFacts {
            lines,
            summary: row.summary,
        })
    })
    .transpose()
}
