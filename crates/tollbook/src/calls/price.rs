//! What calls were charged to customers, in short.

use std::collections::HashMap;

use sqlx::PgConnection;
use tollbook_core::ids::{CallId, OrganizationId};
use tollbook_core::money::Currency;
use uuid::Uuid;

use super::read::CallFacts;
use crate::db::types::Text as Named;
use crate::error::Result;
use crate::pages::Price;
use crate::pages::number::Amount;
use crate::pages::text::Text;
use crate::rating::Estimate;
use tollbook_core::calls::Phase;

/// The charges in force of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charged {
    /// The sum, in major units, as a plain decimal.
    pub(crate) plain: String,
    pub(crate) currency: Currency,
    /// Whether nothing is owed.
    pub(crate) is_zero: bool,
    /// Whether included time covered some of it.
    pub(crate) is_covered: bool,
}

/// The charges of these calls to customers. Only who runs the organization may ask.
pub(crate) async fn charged(
    tx: &mut PgConnection,
    organization: OrganizationId,
    calls: &[Uuid],
) -> Result<HashMap<CallId, Charged>> {
    let rows = sqlx::query!(
        r#"select c.call_id as "call_id!", c.currency as "currency: Named<Currency>", sum(c.amount)::text as "plain!",
             sum(c.amount) = 0 as "is_zero!", bool_or(c.kind = 'allowance') as "is_covered!"
         from charges c
         where c.organization_id = $1 and c.call_id = any ($2) and c.payer = 'customer' and c.reverses_id is null
             and not exists (select from charges r where r.organization_id = c.organization_id and r.reverses_id = c.id)
         group by c.call_id, c.currency"#,
        organization.uuid(),
        calls,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let charged = Charged {
                plain: row.plain,
                currency: row.currency.0,
                is_zero: row.is_zero,
                is_covered: row.is_covered,
            };
            (row.call_id.into(), charged)
        })
        .collect())
}

/// The price that stands beside a call.
pub(crate) fn price(
    text: Text,
    call: &CallFacts,
    charged: Option<&Charged>,
    estimate: Option<&Estimate>,
) -> Price {
    let amount = |plain: &str, currency| Price::Amount(Amount::price(text, plain, currency));
    match (call.phase, charged, estimate) {
        (Phase::Ended, Some(charged), _) if !charged.is_zero => {
            amount(&charged.plain, charged.currency)
        }
        (Phase::Ended, Some(charged), _) if charged.is_covered => Price::Included,
        (Phase::Ended, Some(_), _) => Price::Free,
        (Phase::Ended, None, _) if call.billable_seconds == 0 => Price::Free,
        (Phase::Ended | Phase::InProgress, None, None) if call.customer.is_none() => {
            Price::NoCustomer
        }
        (Phase::InProgress, _, Some(Estimate::Included)) => Price::Included,
        (Phase::InProgress, _, Some(Estimate::Amount { plain, currency })) => {
            amount(plain, *currency)
        }
        (Phase::Ended | Phase::InProgress | Phase::Ringing | Phase::Queued, _, _) => Price::Pending,
    }
}
