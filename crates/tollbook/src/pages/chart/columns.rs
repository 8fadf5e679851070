//! A column chart: one value per day or hour.

use askama::Template;
use askama::filters::HtmlSafe;

use super::{percent, scale_end, share};
use crate::pages::text::Text;

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Under the column and in the table: `Nov 20`.
    pub(crate) label: String,
    /// What is drawn, in any unit.
    pub(crate) value: u64,
    /// The exact value in words: `3.2 hours`.
    pub(crate) shown: String,
    /// Page with the things behind the value.
    pub(crate) href: Option<String>,
}

/// A chart with its table. Days without a value must be given as 0, so that the axis has no hole.
#[derive(Clone, Debug, Template)]
#[template(path = "pages/chart/columns.html")]
pub(crate) struct Columns {
    text: Text,
    /// One sentence that says what the chart shows.
    title: String,
    /// Header of the table's first column, such as `Day`.
    axis: String,
    /// Header of the table's second column, such as `Hours`.
    unit: String,
    /// Named in the corner: columns are days of this zone.
    zone: String,
    values: Vec<Column>,
    placed: Vec<Placed>,
    grid: Vec<GridLine>,
    /// Whether some columns lead somewhere. A picture with links in it is a group for screen readers, not an image.
    is_linked: bool,
}

#[derive(Clone, Debug)]
struct Placed {
    x: String,
    y: String,
    width: String,
    height: String,
    label_x: String,
    /// Every column's label is drawn on wide screens only if there is room.
    is_labelled: bool,
}

#[derive(Clone, Debug)]
struct GridLine {
    y: String,
    shown: String,
}

/// Room for the scale at the top of the drawing, in hundredths of a percent.
const TOP: u64 = 800;
/// Labels that fit side by side on a phone.
const LABELS_MAX: usize = 6;

impl Columns {
    /// Draws the columns. The scale ends at a round number of `step`s (3,600 for hours over seconds); `scale` puts a
    /// value of it into words.
    pub(crate) fn new(
        text: Text,
        words: ColumnWords,
        columns: Vec<Column>,
        step: u64,
        scale: impl Fn(u64) -> String,
    ) -> Self {
        let most = columns.iter().map(|it| it.value).max().unwrap_or(0);
        let step = step.max(1);
        let end = scale_end(most.div_ceil(step)).saturating_mul(step);
        let placed = place(&columns, end);
        let grid = [0, end / 2, end].map(|value| GridLine {
            y: percent(10_000 - share(value, end) * (10_000 - TOP) / 10_000),
            shown: scale(value),
        });
        let is_linked = columns.iter().any(|it| it.href.is_some());
        let ColumnWords {
            title,
            axis,
            unit,
            zone,
        } = words;
        Self {
            text,
            title,
            axis,
            unit,
            zone,
            values: columns,
            placed,
            grid: grid.into(),
            is_linked,
        }
    }

    fn drawn(&self) -> impl Iterator<Item = (&Column, &Placed)> {
        self.values.iter().zip(&self.placed)
    }
}

impl HtmlSafe for Columns {}

/// The words around a chart.
#[derive(Clone, Debug)]
pub(crate) struct ColumnWords {
    pub(crate) title: String,
    pub(crate) axis: String,
    pub(crate) unit: String,
    pub(crate) zone: String,
}

fn place(columns: &[Column], end: u64) -> Vec<Placed> {
    let count = u64::try_from(columns.len()).unwrap_or(u64::MAX).max(1);
    let slot = 10_000 / count;
    let every = columns.len().div_ceil(LABELS_MAX).max(1);
    let mut left = 0;
    let mut placed = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let height = share(column.value, end) * (10_000 - TOP) / 10_000;
        // The newest column, at the end, always has its label.
        let is_labelled = (columns.len() - 1 - index).is_multiple_of(every);
        placed.push(Placed {
            x: percent(left + slot / 6),
            y: percent(10_000 - height),
            width: percent(slot - slot / 3),
            height: percent(height),
            label_x: percent(left + slot / 2),
            is_labelled,
        });
        left += slot;
    }
    placed
}

#[cfg(test)]
mod tests {
    use scraper::{Html, Selector};

    use super::*;

    fn chart(values: &[u64], href: Option<&str>) -> String {
        let columns = values.iter().enumerate().map(|(day, value)| Column {
            label: format!("Nov {}", day + 1),
            value: *value,
            shown: format!("{value} calls & more"),
            href: href.map(str::to_owned),
        });
        let words = ColumnWords {
            title: "Calls <per> day".into(),
            axis: "Day".into(),
            unit: "Calls".into(),
            zone: "Europe/Berlin".into(),
        };
        Columns::new(Text::default(), words, columns.collect(), 1, |it| {
            it.to_string()
        })
        .to_string()
    }

    fn attributes(html: &str, selector: &str, name: &str) -> Vec<String> {
        let document = Html::parse_fragment(html);
        let selector = Selector::parse(selector).unwrap();
        document
            .select(&selector)
            .filter_map(|it| it.attr(name).map(str::to_owned))
            .collect()
    }

    #[test]
    fn the_tallest_column_reaches_the_scale_it_is_on() {
        let html = chart(&[0, 5, 10], None);
        assert_eq!(
            attributes(&html, "rect", "height"),
            ["0.00%", "46.00%", "92.00%"]
        );
        assert_eq!(
            attributes(&html, "rect", "y"),
            ["100.00%", "54.00%", "8.00%"]
        );
    }

    #[test]
    fn a_chart_is_an_image_with_a_table() {
        let html = chart(&[3, 4], None);
        assert_eq!(attributes(&html, "svg", "role"), ["img"]);
        assert_eq!(attributes(&html, "svg", "aria-label"), ["Calls <per> day"]);
        assert!(html.contains("Europe/Berlin"));
        let document = Html::parse_fragment(&html);
        let rows = Selector::parse("details table tbody tr").unwrap();
        assert_eq!(document.select(&rows).count(), 2);
    }

    #[test]
    fn a_chart_with_links_is_a_group() {
        let html = chart(&[3, 4], Some("/communications?from=2026-11-01"));
        assert_eq!(attributes(&html, "svg", "role"), ["group"]);
        assert_eq!(attributes(&html, "svg a", "href").len(), 2);
    }

    #[test]
    fn nothing_to_draw_is_still_a_chart() {
        assert!(chart(&[], None).contains("<svg"));
        assert_eq!(attributes(&chart(&[0], None), "rect", "height"), ["0.00%"]);
    }
}
