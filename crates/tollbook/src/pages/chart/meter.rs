//! A bar that shows how much of something is left: it runs empty as the words beside it count down.

use askama::Template;
use askama::filters::HtmlSafe;

use super::{percent, share};

/// How worried the bar looks. The words beside it say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MeterTone {
    Calm,
    /// Four fifths are used.
    Near,
    /// All is used.
    Over,
}

/// A horizontal bar of what `used` leaves of `total`.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/chart/meter.html")]
pub(crate) struct Meter {
    label: String,
    width: String,
    tone: MeterTone,
}

impl Meter {
    /// `label` says in words what the bar shows: `2.5 of 10.0 left`.
    pub(crate) fn new(label: String, used: u64, total: u64) -> Self {
        let share = share(used, total);
        let tone = match share {
            _ if used >= total => MeterTone::Over,
            8_000.. => MeterTone::Near,
            _ => MeterTone::Calm,
        };
        Self {
            label,
            width: percent(10_000 - share),
            tone,
        }
    }

    fn class(&self) -> &'static str {
        match self.tone {
            MeterTone::Calm => "calm",
            MeterTone::Near => "near",
            MeterTone::Over => "over",
        }
    }
}

impl HtmlSafe for Meter {}

#[cfg(test)]
mod tests {
    use super::MeterTone::{Calm, Near, Over};
    use super::*;

    #[test]
    fn a_bar_warns_before_it_is_empty() {
        let tones = [
            (0, 100),
            (79, 100),
            (80, 100),
            (99, 100),
            (100, 100),
            (130, 100),
            (0, 0),
        ]
        .map(|(used, total)| Meter::new(String::new(), used, total).tone);
        assert_eq!(tones, [Calm, Calm, Near, Near, Over, Over, Over]);
    }

    #[test]
    fn the_label_is_escaped() {
        let html = Meter::new("1 < 2".into(), 1, 4).to_string();
        assert!(
            html.contains("1 &#60; 2") && html.contains(r#"width="75.00%""#),
            "{html}"
        );
    }
}
