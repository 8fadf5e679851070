//! Thresholds on the way to a limit, in whole percent of it.

use crate::money::{Fraction, Overflow};

/// Where people are told unless they say otherwise.
pub const PERCENTS: [u32; 2] = [80, 100];

/// The highest threshold that may be set.
pub const PERCENT_MAX: u32 = 1_000;

/// How many whole percent of `limit` a value is: 0 for nothing or less, all of it where the limit is nothing. Never more
/// than [`PERCENT_MAX`].
pub fn percent(value: Fraction, limit: Fraction) -> Result<u32, Overflow> {
    if value.is_zero() || value.is_negative() {
        return Ok(0);
    }
    if limit.is_zero() || limit.is_negative() {
        return Ok(PERCENT_MAX);
    }
    let percent = value
        .checked_mul(Fraction::from_whole(100))?
        .checked_div(limit)?
        .floor();
    Ok(u32::try_from(percent).map_or(PERCENT_MAX, |it| it.min(PERCENT_MAX)))
}

/// The thresholds that lie above `before` and not above `after`, both in whole percent, in rising order.
pub fn crossed(thresholds: &[u32], before: u32, after: u32) -> Vec<u32> {
    let mut crossed: Vec<u32> = thresholds
        .iter()
        .copied()
        .filter(|at| before < *at && *at <= after)
        .collect();
    crossed.sort_unstable();
    crossed.dedup();
    crossed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fraction(numerator: i128, denominator: i128) -> Fraction {
        Fraction::new(numerator, denominator).unwrap()
    }

    #[test]
    fn a_threshold_is_reached_to_the_last_digit() {
        let limit = fraction(500, 1);
        assert_eq!(percent(fraction(39_999, 100), limit), Ok(79));
        assert_eq!(percent(fraction(400, 1), limit), Ok(80));
        assert_eq!(percent(fraction(1_499, 3), limit), Ok(99));
        assert_eq!(percent(limit, limit), Ok(100));
        assert_eq!(percent(fraction(-1, 1), limit), Ok(0));
        assert_eq!(percent(fraction(1, 1), Fraction::ZERO), Ok(PERCENT_MAX));
        assert_eq!(percent(Fraction::ZERO, Fraction::ZERO), Ok(0));
        assert_eq!(
            percent(fraction(1_000_000, 1), fraction(1, 1)),
            Ok(PERCENT_MAX)
        );
    }

    #[test]
    fn what_is_passed_in_one_step_is_passed() {
        assert_eq!(crossed(&[100, 80, 50, 80], 0, 100), [50, 80, 100]);
        assert_eq!(crossed(&PERCENTS, 79, 80), [80]);
        assert_eq!(crossed(&PERCENTS, 80, 99), [0_u32; 0]);
        // A correction that takes back tells nobody.
        assert_eq!(crossed(&PERCENTS, 100, 10), [0_u32; 0]);
    }

    proptest! {
        // In however many steps usage comes, each threshold up to where it ends is crossed once.
        #[test]
        fn each_threshold_is_crossed_once_whatever_the_steps(
            limit in 1_i128..10_000,
            steps in proptest::collection::vec(0_i128..3_000, 1..20),
            thresholds in proptest::collection::btree_set(1_u32..=PERCENT_MAX, 0..6),
        ) {
            let thresholds: Vec<u32> = thresholds.into_iter().collect();
            let limit = fraction(limit, 1);
            let (mut value, mut seen) = (Fraction::ZERO, Vec::new());
            for step in steps {
                let before = percent(value, limit).unwrap();
                value = value.checked_add(fraction(step, 1)).unwrap();
                seen.extend(crossed(&thresholds, before, percent(value, limit).unwrap()));
            }
            let end = percent(value, limit).unwrap();
            let expected: Vec<u32> = thresholds.into_iter().filter(|at| *at <= end).collect();
            prop_assert_eq!(seen, expected);
        }
    }
}
