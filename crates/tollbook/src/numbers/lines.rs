//! From what a provider calls a line to who holds it; and the provider's own list of lines.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, MappingId, OrganizationId, PhoneNumberId, UserId};
use tollbook_core::phone::E164;
use tollbook_providers::PhoneLine;

use super::{map, sql};
use crate::error::Result;

/// How a provider names one of our lines, and when something happened on it. The provider's own id goes before the
/// number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineKey {
    pub(crate) provider: Provider,
    pub(crate) sid: Option<String>,
    pub(crate) e164: Option<E164>,
    pub(crate) at: Timestamp,
}

/// A line as it was at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) number: PhoneNumberId,
    pub(crate) e164: E164,
    pub(crate) mapping: MappingId,
    pub(crate) organization: OrganizationId,
    /// Who could use it then, in order.
    pub(crate) users: Vec<UserId>,
}

/// Finds the line of each key at its time, in the order of the keys; `None` where nobody held the number. As the
/// platform, since the organization is what is asked for.
pub(crate) async fn resolve_lines(
    tx: &mut PgConnection,
    keys: &[LineKey],
) -> Result<Vec<Option<Line>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines: Vec<Option<Line>> = vec![None; keys.len()];
    for (index, line) in sql::lines(tx, keys).await? {
        if let Some(place) = lines.get_mut(index) {
            *place = Some(line);
        }
    }
    Ok(lines)
}

/// Takes over a provider's list of lines. Lines of an organization's own account become its numbers, for all time that
/// nobody else held them; a number that another organization holds stays where it is.
pub(crate) async fn sync(
    tx: &mut PgConnection,
    provider: Provider,
    integration: IntegrationId,
    organization: Option<OrganizationId>,
    lines: &[PhoneLine],
    now: Timestamp,
) -> Result<()> {
    sql::lock_lines(tx, integration, lines).await?;
    sql::upsert_lines(tx, provider, integration, lines, now).await?;
    sql::deactivate_missing(tx, integration, lines).await?;
    if let Some(organization) = organization {
        let mappings = sql::map_unheld(tx, integration, organization, lines.len()).await?;
        map::start_counters(tx, organization, &mappings, now).await?;
    }
    Ok(())
}
