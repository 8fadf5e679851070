//! Lengths of time as text: a clock for one call, hours for an allowance.

use super::number;
use super::text::Text;

/// `0:45`, `21:40`, `1:02:03`: the length of a call.
pub(crate) fn clock(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    }
}

/// Hours rounded down to a tenth, as the notices state them: 9,359 s are `2.5`.
/// Down, so that nobody is promised time that is not there.
pub(crate) fn hours(text: Text, seconds: u64) -> String {
    let tenths = seconds / 360;
    number::decimal(text, &format!("{}.{}", tenths / 10, tenths % 10), 1)
}

/// The machine-readable form for `<time datetime>`: `PT1H2M3S`.
pub(crate) fn iso(seconds: u64) -> String {
    format!(
        "PT{}H{}M{}S",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_grows_an_hour_only_when_needed() {
        assert_eq!(
            [0, 45, 60, 1300, 3599, 3600, 3723].map(clock),
            [
                "0:00", "0:45", "1:00", "21:40", "59:59", "1:00:00", "1:02:03"
            ]
        );
    }

    #[test]
    fn hours_are_rounded_down_to_a_tenth() {
        let text = Text::default();
        assert_eq!(
            [0, 359, 360, 8999, 9000, 9359, 9360, 36000].map(|it| hours(text, it)),
            ["0.0", "0.0", "0.1", "2.4", "2.5", "2.5", "2.6", "10.0"]
        );
        assert_eq!(hours(text, 3600 * 1234), "1,234.0");
    }

    #[test]
    fn iso_durations_are_valid() {
        assert_eq!(iso(3723), "PT1H2M3S");
    }
}
