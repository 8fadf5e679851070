//! Who may use a number.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, PhoneNumberId, UserId};

use super::{not_yours, sql};
use crate::error::{Error, Result};

/// Most numbers that one user may have.
pub(crate) const NUMBERS_MAX: usize = 1_000;

/// What a change of a user's assignments led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reassigned {
    pub(crate) before: Vec<PhoneNumberId>,
    pub(crate) after: Vec<PhoneNumberId>,
}

/// Makes `numbers` the user's set from `at` on: what is missing from it ends, what is new begins, the rest goes on.
///
/// The user must be a member of the organization, and the organization must hold the numbers.
pub(crate) async fn replace_assignments(
    tx: &mut PgConnection,
    organization: OrganizationId,
    user: UserId,
    numbers: &BTreeSet<PhoneNumberId>,
    at: Timestamp,
) -> Result<Reassigned> {
    if numbers.len() > NUMBERS_MAX {
        let message = format!("has more than {NUMBERS_MAX} numbers");
        return Err(Error::invalid("phoneNumberIds", message));
    }
    if !sql::lock_membership(tx, organization, user).await? {
        return Err(Error::NotFound("user"));
    }
    let before = sql::assigned_numbers(tx, organization, user).await?;
    let wanted: Vec<PhoneNumberId> = numbers.iter().copied().collect();
    let touched: BTreeSet<PhoneNumberId> = numbers.iter().chain(&before).copied().collect();
    let held = sql::lock_numbers(tx, organization, &touched).await?;
    if !numbers.is_subset(&held) {
        return Err(not_yours());
    }
    sql::end_other_assignments(tx, organization, user, &wanted, at).await?;
    sql::insert_assignments(tx, organization, user, &wanted, at).await?;
    Ok(Reassigned {
        before,
        after: wanted,
    })
}
