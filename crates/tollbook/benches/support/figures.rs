//! What is printed.

use std::time::Duration;

/// Prints quantiles of times.
pub(crate) fn print_quantiles(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |permille: usize| {
        let place = (times.len().saturating_sub(1)) * permille / 1000;
        times.get(place).copied().unwrap_or_default()
    };
    println!(
        "{what}: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, max {:.1?} ({} samples)",
        at(500),
        at(900),
        at(990),
        at(1000),
        times.len()
    );
}

/// How many a second, in whole ones.
pub(crate) fn rate(count: u64, time: Duration) -> u64 {
    let nanos = u128::max(time.as_nanos(), 1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// A ratio with two digits, such as `1.85`.
pub(crate) fn ratio(a: u64, b: u64) -> String {
    let hundredths = a.saturating_mul(100) / b.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
