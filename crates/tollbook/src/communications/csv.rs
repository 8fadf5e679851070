//! A list as CSV: all of it, in chunks that are transactions of their own, so that no export holds a snapshot for long.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;

use super::filter::{Filter, Kind};
use super::list::{Item, What, items};
use super::places::Place;
use super::query::Query;
use super::web::{kind_label, row};
use crate::app::App;
use crate::calls::{self, Look};
use crate::error::{Error, Result};
use crate::http::caller::OrgMember;
use crate::pages::text::Text;
use crate::pages::time::Viewer;

/// Rows of one chunk.
const CHUNK: i64 = 500;

/// The columns of the page, and the time as programs read it.
fn columns(text: Text) -> [String; 12] {
    [
        text.say("column-time"),
        text.say("column-utc"),
        text.say("column-kind"),
        text.say("filter-direction"),
        text.say("column-with"),
        text.say("filter-number"),
        text.say("column-line"),
        text.say("call-agent"),
        text.say("column-outcome"),
        text.say("column-seconds"),
        text.say("column-text"),
        text.say("column-cost"),
    ]
    .map(|message| message.to_string())
}

/// Streams what a filter finds.
pub(super) async fn stream(
    app: &App,
    member: OrgMember,
    viewer: Viewer,
    query: &Query,
    kind: Option<Kind>,
) -> Result<Response> {
    let mut tx = app.db.begin(&member.actor).await?;
    let filter = query
        .filter(&mut tx, member.organization, &viewer.zone, kind)
        .await?;
    let country = calls::country(&mut tx, member.organization).await?;
    drop(tx);
    let name = file_name(&viewer, query);
    let export = Export {
        app: app.clone(),
        member,
        filter,
        look: Look {
            viewer,
            country,
            csrf: String::new(),
        },
        stage: Stage::Head,
    };
    let body = stream::try_unfold(export, |mut export| async move {
        let chunk = export.next().await?;
        Ok::<_, Error>(chunk.map(|bytes| (bytes, export)))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/csv; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
                .map_err(|e| Error::Internal(format!("a file cannot be named: {e}")))?,
        ),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Says which part and in which zone: `communications-missed-2026-11-01-to-2026-11-30-America-New_York.csv`.
fn file_name(viewer: &Viewer, query: &Query) -> String {
    let mut name = "communications".to_owned();
    let parts = [
        &query.tab,
        &query.direction,
        &query.outcome,
        &query.q,
        &query.from,
    ];
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        // Writing into a string does not fail.
        let _ = write!(name, "-{part}");
    }
    if !query.to.is_empty() {
        let _ = write!(name, "-to-{}", query.to);
    }
    let _ = write!(name, "-{}", viewer.zone_name());
    let plain = |it: char| {
        if it.is_ascii_alphanumeric() || "-_.".contains(it) {
            it
        } else {
            '-'
        }
    };
    name.chars()
        .take(150)
        .map(plain)
        .chain(".csv".chars())
        .collect()
}

struct Export {
    app: App,
    member: OrgMember,
    filter: Filter,
    look: Look,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Head,
    After(Option<Place>),
    Done,
}

impl Export {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let after = match self.stage {
            Stage::Done => return Ok(None),
            Stage::Head => {
                self.stage = Stage::After(None);
                let text = self.look.viewer.text;
                return write(std::iter::once(columns(text))).map(Some);
            }
            Stage::After(after) => after,
        };
        let OrgMember {
            actor,
            organization,
        } = &self.member;
        let mut tx = self.app.db.begin(actor).await?;
        let found = items(
            &mut tx,
            &self.app,
            actor,
            *organization,
            &self.filter,
            after,
            CHUNK,
        )
        .await?;
        drop(tx);
        self.stage = match found.last() {
            Some(last) => Stage::After(Some(last.place)),
            None => Stage::Done,
        };
        if found.is_empty() {
            return Ok(None);
        }
        write(found.iter().map(|item| self.record(item))).map(Some)
    }

    fn record(&self, item: &Item) -> [String; 12] {
        let text: Text = self.look.viewer.text;
        let shown = row(&self.look, item);
        let local = item.place.at.to_zoned(self.look.viewer.zone.clone());
        let (kind, seconds, words) = match &item.what {
            What::Call { moment, .. } => (Kind::Call, Some(moment.call.billable_seconds), ""),
            What::Message(message) => (Kind::Message, None, message.text.as_str()),
            What::Voicemail(it) => (
                Kind::Voicemail,
                it.duration_seconds,
                it.transcript.as_deref().unwrap_or_default(),
            ),
        };
        [
            local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            item.place.at.to_string(),
            kind_label(text, kind),
            shown.direction.label(text),
            shown.with.name.unwrap_or_default(),
            shown
                .with
                .phone
                .map(|phone| phone.e164().to_owned())
                .unwrap_or_default(),
            shown.line,
            shown.agent.unwrap_or_default(),
            shown.outcome.label(text),
            seconds.map(|it| it.to_string()).unwrap_or_default(),
            words.to_owned(),
            shown.price.plain(text),
        ]
    }
}

fn write<const N: usize>(records: impl Iterator<Item = [String; N]>) -> Result<Bytes> {
    let wrong =
        |e: &dyn std::fmt::Display| Error::Internal(format!("a row cannot be written: {e}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for record in records {
        writer
            .write_record(record.map(guard))
            .map_err(|e| wrong(&e))?;
    }
    writer.into_inner().map(Bytes::from).map_err(|e| wrong(&e))
}

/// A text that a spreadsheet would take for a formula is marked as text. Numbers, phone numbers too, are left alone.
fn guard(cell: String) -> String {
    let is_number = || {
        cell.chars()
            .skip(1)
            .all(|it| it.is_ascii_digit() || it == '.')
    };
    match cell.chars().next() {
        Some('+' | '-') if cell.len() > 1 && is_number() => cell,
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text_and_numbers_stay() {
        let guarded = [
            "=1+1",
            "+12125550100",
            "-5.20",
            "-",
            "@SUM(A1)",
            "+1-2",
            "\tx",
            "plain",
            "",
        ]
        .map(|it| guard(it.to_owned()));
        assert_eq!(
            guarded,
            [
                "'=1+1",
                "+12125550100",
                "-5.20",
                "'-",
                "'@SUM(A1)",
                "'+1-2",
                "'\tx",
                "plain",
                ""
            ]
        );
    }

    #[test]
    fn commas_quotes_and_lines_stay_within_their_cell() {
        let rows = [["a,b".to_owned(), "say \"hi\"\nthere".to_owned()]];
        let bytes = write(rows.into_iter()).unwrap();
        assert_eq!(bytes, "\"a,b\",\"say \"\"hi\"\"\nthere\"\n");
    }
}
