//! What changes with calls or with time alone: the day's figures, the team, and what calls in progress cost so far.
//!
//! This is kept off the way of a ringing phone, and to a small share of the machine: after each round it rests for many
//! times as long as the round took.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use jiff::tz::TimeZone;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tollbook_core::ids::OrganizationId;

use super::audience::{Audience, Form, Sharing};
use crate::app::App;
use crate::calls::{self, Look};
use crate::error::{Error, Result};
use crate::http::sse::Frames;
use crate::pages::text::Text;
use crate::pages::time::Viewer;

/// Costs and figures go on while nothing happens.
const EVERY: Duration = Duration::from_secs(3);
/// How many times as long as it worked it rests.
const REST: u32 = 19;
/// The least rest.
const REST_MIN: Duration = Duration::from_millis(100);

/// Refreshes the pages of this node's viewers until `stop`.
pub(super) async fn run(app: App, stop: CancellationToken) {
    loop {
        let stirred = tokio::select! {
            () = stop.cancelled() => return,
            stirred = app.live.stirred() => Some(stirred),
            () = tokio::time::sleep(EVERY) => None,
        };
        let started = Instant::now();
        if let Err(error) = refresh(&app, stirred.as_ref()).await {
            tracing::warn!(%error, "the live figures cannot be read");
        }
        let rest = started.elapsed().saturating_mul(REST).max(REST_MIN);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Refreshes the pages of these organizations, or of all.
pub(super) async fn refresh(app: &App, stirred: Option<&HashSet<OrganizationId>>) -> Result<()> {
    let mut by_sharing: HashMap<Sharing, Vec<Audience>> = app.live.audiences();
    by_sharing.retain(|sharing, _| stirred.is_none_or(|them| them.contains(&sharing.organization)));
    for (sharing, audiences) in by_sharing {
        let pages: Vec<Audience> = audiences
            .into_iter()
            .filter(|audience| matches!(audience.form, Form::Page { .. }))
            .collect();
        if !pages.is_empty() {
            let rendered = render(app, sharing, &pages).await?;
            app.live.hand_out(&rendered);
        }
    }
    Ok(())
}

async fn render(app: &App, sharing: Sharing, pages: &[Audience]) -> Result<Vec<(Audience, Bytes)>> {
    let Some(mark) = app.live.told() else {
        return Ok(Vec::new());
    };
    let actor = sharing.actor();
    let organization = sharing.organization;
    let now = app.clock.now();
    let mut tx = app.db.begin(&actor).await?;
    let open = calls::open_calls(&mut tx, organization).await?;
    let moments = calls::moments(&mut tx, app, &actor, organization, &open).await?;
    let team = calls::team(&mut tx, organization).await?;
    let mut days = HashMap::new();
    let mut rendered = Vec::new();
    for page in pages {
        let Form::Page { language, zone } = &page.form else {
            continue;
        };
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let start = calls::day_start(&zone, now)?;
        let day = match days.entry(start) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(calls::day(&mut tx, &actor, organization, start, now).await?)
            }
        };
        let look = Look {
            viewer: Viewer {
                text: Text::negotiate(language),
                zone,
                now,
            },
            country: moments.country.clone(),
            csrf: String::new(),
        };
        let mut put = html(&calls::tiles(&look, day, &team))?;
        for colleague in &team {
            put.push_str(&html(&calls::agent(&look, colleague))?);
        }
        for cost in calls::costs(&look, &moments) {
            put.push_str(&html(&cost)?);
        }
        let mut frames = Frames::default();
        frames.event("put", &put);
        rendered.push((page.clone(), frames.finish(mark)));
    }
    Ok(rendered)
}

fn html(element: &impl askama::Template) -> Result<String> {
    element
        .render()
        .map_err(|e| Error::Internal(format!("a figure cannot be rendered: {e}")))
}
