//! The list as CSV.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::response::Response;

use super::filter::{Filter, Kind};
use super::list::{Item, What, items};
use super::places::Place;
use super::query::Query;
use super::web::{kind_label, row};
use crate::app::App;
use crate::calls::{self, Look};
use crate::error::Result;
use crate::http::caller::OrgMember;
use crate::http::csv::{self, CHUNK, Chunk};
use crate::pages::text::Text;
use crate::pages::time::Viewer;

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
    let (name, columns) = (file_name(&viewer, query), columns(viewer.text));
    let export = Arc::new(Export {
        app: app.clone(),
        member,
        filter,
        look: Look {
            viewer,
            country,
            csrf: String::new(),
        },
    });
    csv::stream(&name, &columns, move |after: Option<Place>| {
        let export = Arc::clone(&export);
        async move { export.chunk(after).await }
    })
    .await
}

/// Says which part and in which zone: `communications-missed-2026-11-01-to-2026-11-30-America-New_York`.
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
    name.chars().take(150).map(plain).collect()
}

struct Export {
    app: App,
    member: OrgMember,
    filter: Filter,
    look: Look,
}

impl Export {
    async fn chunk(&self, after: Option<Place>) -> Result<Chunk<Place>> {
        let OrgMember {
            actor,
            organization,
        } = &self.member;
        let (app, filter) = (&self.app, &self.filter);
        let mut tx = app.db.begin(actor).await?;
        let found = items(&mut tx, app, actor, *organization, filter, after, CHUNK).await?;
        Ok(Chunk {
            rows: found.iter().map(|item| self.record(item)).collect(),
            // A communication may be gone between two statements, so fewer are not the last.
            next: found.last().map(|last| last.place),
        })
    }

    fn record(&self, item: &Item) -> Vec<String> {
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
        vec![
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
