//! Reading calls with the rights of whoever asks: row-level security decides which rows there are.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::{Direction, Outcome, Phase, Provider};
use tollbook_core::ids::{CallId, CustomerId, OrganizationId, PhoneNumberId, UserId};
use tollbook_core::phone::Party;
use uuid::Uuid;

use crate::db::types::Text;
use crate::error::Result;

/// A call, with the names that belong to it.
#[derive(Debug, Clone)]
pub(crate) struct CallFacts {
    pub(crate) id: CallId,
    pub(crate) provider: Provider,
    pub(crate) direction: Direction,
    pub(crate) phase: Phase,
    pub(crate) outcome: Option<Outcome>,
    /// The other side.
    pub(crate) external: Party,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) phone_number: Option<PhoneNumberId>,
    /// What the organization calls the number, if the viewer may see it.
    pub(crate) line_label: Option<String>,
    pub(crate) customer: Option<(CustomerId, String)>,
    pub(crate) answered_by: Option<(UserId, String)>,
    pub(crate) started_at: Timestamp,
    pub(crate) answered_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) billable_seconds: i64,
}

impl CallFacts {
    /// The organization's own number.
    pub(crate) fn line(&self) -> &str {
        match self.direction {
            Direction::Incoming => &self.to,
            Direction::Outgoing => &self.from,
        }
    }
}

/// Those of these calls that the actor of `tx` may see, in no order. What was merged into another call is no call.
pub(crate) async fn calls_by_id(
    tx: &mut PgConnection,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<CallFacts>> {
    let rows = sqlx::query!(
        r#"select c.id, c.provider as "provider: Text<Provider>", c.direction as "direction: Text<Direction>",
             c.state as "state: Text<Phase>", c.outcome as "outcome: Text<Outcome>", c.external_party, c.from_party, c.to_party,
             c.phone_number_id, n.label as "line_label?", c.customer_id, k.name as "customer_name?",
             c.answered_by, u.name as "agent_name?", c.started_at, c.answered_at, c.ended_at, c.billable_seconds
         from calls c
         left join phone_numbers n on n.id = c.phone_number_id and n.organization_id = c.organization_id
         left join customers k on k.organization_id = c.organization_id and k.id = c.customer_id
         left join users u on u.id = c.answered_by
         where c.organization_id = $1 and c.id = any($2) and c.merged_into_id is null"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| CallFacts {
            id: row.id.into(),
            provider: row.provider.0,
            direction: row.direction.0,
            phase: row.state.0,
            outcome: row.outcome.map(|outcome| outcome.0),
            external: Party::read(&row.external_party),
            line_label: row
                .line_label
                .filter(|label| is_name(label, [&row.from_party, &row.to_party])),
            from: row.from_party,
            to: row.to_party,
            phone_number: row.phone_number_id.map(PhoneNumberId::from),
            customer: row
                .customer_id
                .map(|id| (id.into(), row.customer_name.unwrap_or_default())),
            answered_by: row
                .answered_by
                .map(|id| (id.into(), row.agent_name.unwrap_or_default())),
            started_at: row.started_at.to_jiff(),
            answered_at: row.answered_at.map(jiff_sqlx::Timestamp::to_jiff),
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
            billable_seconds: row.billable_seconds,
        })
        .collect())
}

/// Whether a label says more than the number that it stands for.
fn is_name(label: &str, numbers: [&str; 2]) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let of_label = digits(label);
    let is_number = !label.chars().any(char::is_alphabetic)
        && numbers.iter().any(|it| digits(it).ends_with(&of_label));
    !is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_no_name_of_itself() {
        let numbers = ["+14155550100", "+12125550142"];
        for label in ["", "+12125550142", "(212) 555-0142", "+1 212-555-0142"] {
            assert!(!is_name(label, numbers), "{label}");
        }
        for label in ["Support", "Line 0142", "+1 212-555-0199", "支援"] {
            assert!(is_name(label, numbers), "{label}");
        }
    }
}
