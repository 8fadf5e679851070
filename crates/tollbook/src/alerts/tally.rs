//! Failures that leave no row, because what failed was rolled back: counted in memory, and written a moment later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{CustomerId, OrganizationId};

use super::kind::{AlertKind, Severity};
use super::store::{Counting, NewAlert, Repeated, repeat, tell};
use crate::app::App;
use crate::error::{Error, Result};

/// How long a count stays in memory.
const EVERY: Duration = Duration::from_secs(1);
/// Different failures that are kept at once. What comes beyond them is counted by the metric alone.
const GROUPS_MAX: usize = 10_000;
/// An example has at most so many characters.
const EXAMPLE_MAX: usize = 300;

/// What failed on this node since the last time it was written.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<HashMap<Group, Noted>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Group {
    organization: OrganizationId,
    kind: AlertKind,
    customer: Option<CustomerId>,
    subject: String,
}

#[derive(Debug, Clone)]
struct Noted {
    count: i64,
    example: String,
    first_seen_at: Timestamp,
    last_seen_at: Timestamp,
}

impl Tally {
    /// Something failed: for one reason, in one organization. `example` is one of the messages.
    pub(crate) fn note(
        &self,
        organization: OrganizationId,
        kind: AlertKind,
        customer: Option<CustomerId>,
        subject: &str,
        example: &str,
        now: Timestamp,
    ) {
        metrics::counter!("tollbook_failures_total", "kind" => kind.as_str()).increment(1);
        let group = Group {
            organization,
            kind,
            customer,
            subject: subject.to_owned(),
        };
        // What people send may hold anything; the database takes no such character.
        let plain = example.chars().filter(|it| *it != '\0');
        let count = Noted {
            count: 1,
            example: plain.take(EXAMPLE_MAX).collect(),
            first_seen_at: now,
            last_seen_at: now,
        };
        self.add(group, count);
    }

    fn add(&self, group: Group, more: Noted) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = counts.len() >= GROUPS_MAX;
        match counts.get_mut(&group) {
            Some(count) => {
                count.count = count.count.saturating_add(more.count);
                count.first_seen_at = count.first_seen_at.min(more.first_seen_at);
                count.last_seen_at = count.last_seen_at.max(more.last_seen_at);
            }
            None if is_full => {}
            None => drop(counts.insert(group, more)),
        }
    }

    fn take(&self) -> HashMap<Group, Noted> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes counts as they come, until `stop`, and then what is left.
pub(crate) fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    let (app, stop) = (app.clone(), stop.clone());
    tasks.spawn(async move {
        let mut goes_on = true;
        while goes_on {
            tokio::select! {
                () = stop.cancelled() => goes_on = false,
                () = tokio::time::sleep(EVERY) => {}
            }
            if let Err(error) = flush(&app).await {
                tracing::warn!(%error, "what failed cannot be written down");
            }
        }
    });
}

/// Writes what was counted on this node. While the database does not answer, it is kept for the next time.
pub(crate) async fn flush(app: &App) -> Result<()> {
    let counts = app.tally.take();
    if counts.is_empty() {
        return Ok(());
    }
    let written = write(app, &counts).await;
    if written.as_ref().is_err_and(Error::is_transient) {
        for (group, count) in counts {
            app.tally.add(group, count);
        }
    }
    written
}

async fn write(app: &App, counts: &HashMap<Group, Noted>) -> Result<()> {
    let repeated: Vec<Repeated> = counts
        .iter()
        .map(|(group, it)| repeated(group, it))
        .collect();
    let mut tx = app.db.begin(&Actor::system()).await?;
    let open = repeat(&mut tx, &repeated, Counting::More).await?;
    tell(&mut tx, open).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    Ok(())
}

fn repeated(group: &Group, count: &Noted) -> Repeated {
    let of = group.customer.map(|it| it.to_string()).unwrap_or_default();
    Repeated {
        alert: NewAlert {
            organization: group.organization,
            kind: group.kind,
            severity: match group.kind {
                AlertKind::Fraud => Severity::Critical,
                _ => Severity::Warning,
            },
            group_key: format!("{}:{of}:{}", group.kind, group.subject),
            customer: group.customer,
            subject: group.subject.clone(),
            detail: json!({ "example": count.example }),
        },
        count: count.count,
        first_seen_at: count.first_seen_at,
        last_seen_at: count.last_seen_at,
    }
}
