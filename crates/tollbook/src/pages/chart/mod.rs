//! Charts drawn on the server as SVG: they follow the page's colours, need no script, and print.
//!
//! Positions are whole hundredths of a percent of the drawing's width and height, so a chart stretches to any width
//! while its text keeps its size, and no floating point is involved.

pub(crate) mod columns;
pub(crate) mod meter;
pub(crate) mod sparkline;

/// `part` of `whole` in hundredths of a percent, 0 to 10,000. An empty whole gives 0.
fn share(part: u64, whole: u64) -> u64 {
    let share = u128::from(part.min(whole)) * 10_000 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(10_000)
}

/// Hundredths of a percent as an SVG length: `1234` is `12.34%`.
fn percent(hundredths: u64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// The smallest of 1, 2, 5, 10, 20, 50, … that is not below `value`, and at least 1: where the scale ends.
fn scale_end(value: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [1, 2, 4, 5, 8] {
            let end = power.saturating_mul(step);
            if end >= value {
                return end;
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        assert_eq!(
            [0, 1, 3, 7, 11, 36, 100, 101, 9_999].map(scale_end),
            [1, 1, 4, 8, 20, 40, 100, 200, 10_000]
        );
        assert_eq!(scale_end(u64::MAX), u64::MAX);
    }

    #[test]
    fn shares_are_exact_and_bounded() {
        assert_eq!(
            [share(1, 3), share(3, 3), share(5, 3), share(0, 0)],
            [3_333, 10_000, 10_000, 0]
        );
        assert_eq!(share(u64::MAX, u64::MAX), 10_000);
        assert_eq!(percent(1_205), "12.05%");
    }
}
