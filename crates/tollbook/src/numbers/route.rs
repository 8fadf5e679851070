//! What becomes of a call to one of our numbers: whoever is assigned to it is rung, and else the caller leaves a message.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{OrganizationId, UserId};
use tollbook_core::phone::E164;

use super::lines::{LineKey, resolve_lines};
use crate::error::Result;

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Nobody holds the number, or not who the call was told to.
    Refuse,
    /// To these users, all at once.
    Ring(Vec<UserId>),
    /// Nobody is assigned to the number.
    TakeMessage,
}

/// Routes a call to `number` at `at`, of which an account of `organization` tells; the platform's own account tells of
/// everybody's.
pub(crate) async fn route(
    tx: &mut PgConnection,
    provider: Provider,
    organization: Option<OrganizationId>,
    number: E164,
    at: Timestamp,
) -> Result<Route> {
    let key = LineKey {
        provider,
        sid: None,
        e164: Some(number),
        at,
    };
    let line = resolve_lines(tx, &[key])
        .await?
        .into_iter()
        .flatten()
        .next();
    Ok(match line {
        Some(line) if organization.is_none_or(|it| it == line.organization) => {
            if line.users.is_empty() {
                Route::TakeMessage
            } else {
                Route::Ring(line.users)
            }
        }
        _ => Route::Refuse,
    })
}
