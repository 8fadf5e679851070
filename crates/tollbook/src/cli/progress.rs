//! How far long work is, on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a terminal is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// One line on a terminal that says how far it is, written over and over; nothing elsewhere.
pub(super) struct Teller {
    is_terminal: bool,
    started_at: Instant,
    told_at: Option<Instant>,
}

impl Teller {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            started_at: Instant::now(),
            told_at: None,
        }
    }

    pub(super) fn tell(&mut self, line: impl FnOnce() -> String) {
        if !self.is_terminal || self.told_at.is_some_and(|at| at.elapsed() < TELL_EVERY) {
            return;
        }
        self.told_at = Some(Instant::now());
        // Whoever does not listen any more misses nothing.
        let _ = write!(std::io::stderr(), "\r\x1b[K{}", line());
    }

    /// So many of so many, and how long the rest takes at the pace so far.
    pub(super) fn count(&mut self, what: &str, done: u64, total: u64) {
        let elapsed = self.started_at.elapsed();
        self.tell(|| format!("{done} of {total} {what}{}", left(elapsed, done, total)));
    }

    pub(super) fn clear(&self) {
        if self.told_at.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn left(elapsed: Duration, done: u64, total: u64) -> String {
    let rest = u128::from(total.saturating_sub(done));
    let left = elapsed.as_millis().saturating_mul(rest);
    match left.checked_div(u128::from(done)) {
        None | Some(0) => String::new(),
        Some(ms) => format!(", {} s left", ms.div_ceil(1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_was_done() {
        let left = |done, total| left(Duration::from_secs(10), done, total);
        assert_eq!(left(0, 100), "");
        assert_eq!(left(25, 100), ", 30 s left");
        assert_eq!(left(99, 100), ", 1 s left");
        assert_eq!(left(100, 100), "");
    }
}
