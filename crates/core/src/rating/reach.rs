//! How far a change in one usage can reach.

use super::state::Grant;
use crate::time::{Period, TimeError};

/// The time whose usages share grants with those of `around`, directly or through others: nothing outside of it draws on
/// a grant that something within it draws on. `grants` are those of the account that end after the start of the answer.
///
/// Billing periods are not looked at: `around` should hold whole ones, and grants begin and end with them.
pub fn reach(around: Period, grants: &[Grant]) -> Result<Period, TimeError> {
    let (mut start, mut end) = (around.start(), around.end());
    loop {
        let before = (start, end);
        for grant in grants {
            if grant.starts_at < end && start < grant.expires_at {
                start = start.min(grant.starts_at);
                end = end.max(grant.expires_at);
            }
        }
        if before == (start, end) {
            return Period::new(start, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::ids::GrantId;
    use crate::money::Quantity;

    fn at(month: i64) -> Timestamp {
        Timestamp::from_second(month * 1_000).unwrap()
    }

    fn reached(around: (i64, i64), grants: &[(i64, i64)]) -> (i64, i64) {
        let grants: Vec<Grant> = grants
            .iter()
            .map(|(from, to)| Grant {
                id: GrantId::new(Uuid::nil()),
                allowance_key: "x".parse().unwrap(),
                granted: Quantity::from_units(1),
                used: Quantity::ZERO,
                forfeited: Quantity::ZERO,
                starts_at: at(*from),
                expires_at: at(*to),
            })
            .collect();
        let period = Period::new(at(around.0), at(around.1)).unwrap();
        let reached = reach(period, &grants).unwrap();
        (
            reached.start().as_second() / 1_000,
            reached.end().as_second() / 1_000,
        )
    }

    #[test]
    fn it_ends_where_no_grant_goes_on() {
        assert_eq!(reached((3, 4), &[]), (3, 4));
        // A grant of its own period, and neighbours that touch it only.
        assert_eq!(reached((3, 4), &[(2, 3), (3, 4), (4, 5)]), (3, 4));
        // A year's.
        assert_eq!(reached((3, 4), &[(0, 12), (12, 24)]), (0, 12));
        // Carried for one more month each: they hang together like a chain.
        assert_eq!(
            reached((3, 4), &[(0, 1), (1, 3), (2, 4), (3, 5), (4, 6), (6, 7)]),
            (1, 6)
        );
    }
}
