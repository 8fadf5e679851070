//! A line as small as a word: the direction of a figure over time.

use std::fmt::Write as _;

use askama::Template;
use askama::filters::HtmlSafe;

use super::scale_end;

/// Width of the drawing's own coordinates; CSS gives the real size.
const WIDTH: u64 = 1_000;
/// Height of the drawing's own coordinates.
const HEIGHT: u64 = 100;

/// A line through the values, oldest first.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/chart/sparkline.html")]
pub(crate) struct Sparkline {
    label: String,
    line: String,
    area: String,
}

impl Sparkline {
    /// `label` says in words what the line shows.
    pub(crate) fn new(label: String, values: &[u64]) -> Self {
        let end = scale_end(values.iter().copied().max().unwrap_or(0));
        let gaps = u64::try_from(values.len().saturating_sub(1))
            .unwrap_or(1)
            .max(1);
        let mut line = String::new();
        for (step, value) in (0_u64..).zip(values) {
            let y = HEIGHT
                - u64::try_from(u128::from(*value) * u128::from(HEIGHT) / u128::from(end))
                    .unwrap_or(HEIGHT);
            let separator = if line.is_empty() { "" } else { " " };
            // Writing into a string cannot fail.
            let _ = write!(line, "{separator}{},{y}", WIDTH * step / gaps);
        }
        let area = format!("0,{HEIGHT} {line} {WIDTH},{HEIGHT}");
        Self { label, line, area }
    }
}

impl HtmlSafe for Sparkline {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_spans_the_whole_drawing() {
        let sparkline = Sparkline::new("Calls".into(), &[0, 5, 10]);
        assert_eq!(sparkline.line, "0,100 500,50 1000,0");
        assert!(sparkline.to_string().contains(r#"aria-label="Calls""#));
    }

    #[test]
    fn no_values_and_one_value_are_fine() {
        assert_eq!(Sparkline::new(String::new(), &[]).line, "");
        assert_eq!(Sparkline::new(String::new(), &[7]).line, "0,13");
    }
}
