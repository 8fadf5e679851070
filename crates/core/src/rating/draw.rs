//! Drawing on the grants of an account, the oldest expiring first.

use super::charge::GrantDraw;
use super::state::{Grant, State};
use super::terms::Terms;
use super::usage::Usage;
use crate::ids::GrantId;
use crate::money::{Overflow, Quantity};

/// The grants that a usage may draw on, in the order in which it does.
#[derive(Debug)]
pub(super) struct Drawer<'a> {
    grants: Vec<(&'a Grant, Quantity)>,
    next: usize,
    draws: Vec<GrantDraw>,
}

/// A quantity that a grant covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    pub(super) grant_id: GrantId,
    pub(super) quantity: Quantity,
    pub(super) left_before: Quantity,
}

impl<'a> Drawer<'a> {
    /// Finds the grants of allowances with the usage's meter that are valid when the usage begins.
    pub(super) fn new(usage: &Usage, terms: &Terms, state: &'a State) -> Result<Self, Overflow> {
        let covers = |grant: &Grant| {
            terms.allowances.iter().any(|allowance| {
                allowance.key == grant.allowance_key && allowance.meters.contains(&usage.meter)
            })
        };
        let mut grants = Vec::new();
        for grant in &state.grants {
            if grant.is_valid_at(usage.occurred_at) && covers(grant) {
                let left = grant.left()?;
                if left > Quantity::ZERO {
                    grants.push((grant, left));
                }
            }
        }
        grants.sort_unstable_by_key(|(grant, _)| (grant.expires_at, grant.starts_at, grant.id));
        Ok(Self {
            grants,
            next: 0,
            draws: Vec::new(),
        })
    }

    /// Covers up to `wanted` from one grant; `None` when nothing is left in any.
    pub(super) fn cover(&mut self, wanted: Quantity) -> Result<Option<Covered>, Overflow> {
        while let Some((grant, left)) = self.grants.get_mut(self.next) {
            if left.is_zero() {
                self.next = self.next.saturating_add(1);
                continue;
            }
            let covered = Covered {
                grant_id: grant.id,
                quantity: wanted.min(*left),
                left_before: *left,
            };
            *left = left.checked_sub(covered.quantity)?;
            match self
                .draws
                .last_mut()
                .filter(|draw| draw.grant_id == grant.id)
            {
                Some(draw) => draw.quantity = draw.quantity.checked_add(covered.quantity)?,
                None => self.draws.push(GrantDraw {
                    grant_id: grant.id,
                    quantity: covered.quantity,
                }),
            }
            return Ok(Some(covered));
        }
        Ok(None)
    }

    /// What was drawn in all, one entry for each grant.
    pub(super) fn into_draws(self) -> Vec<GrantDraw> {
        self.draws
    }
}
