//! Runs jobs as they become due.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::queue::{self, Claimed};
use super::{Job, schedule};
use crate::app::App;
use crate::error::{Error, Result};

/// How many jobs of one node run at a time.
const RUNNING_MAX: usize = 8;
/// A notification may be lost; nothing waits longer than this.
const POLL: Duration = Duration::from_secs(1);

/// Starts this node's job worker and scheduler. They end after `stop`, when what runs has ended.
pub(crate) fn start(app: &App, stop: &CancellationToken, tasks: &mut JoinSet<()>) {
    tasks.spawn(work(app.clone(), stop.clone()));
    tasks.spawn(schedule::keep(app.clone(), stop.clone()));
}

async fn work(app: App, stop: CancellationToken) {
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let free = RUNNING_MAX - running.len();
        let claimed = match queue::claim(&app.db, i64::try_from(free).unwrap_or(0)).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "jobs cannot be claimed");
                Vec::new()
            }
        };
        let idle = claimed.is_empty();
        for job in claimed {
            running.spawn(run(app.clone(), job));
        }
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = running.join_next(), if !running.is_empty() => {}
            () = app.wake.jobs.notified(), if running.len() < RUNNING_MAX => {}
            () = tokio::time::sleep(POLL), if idle => {}
        }
    }
    while running.join_next().await.is_some() {}
}

/// Runs the jobs that are due, one after another; returns how many.
pub(crate) async fn drain(app: &App) -> Result<usize> {
    let mut count = 0;
    loop {
        let claimed = queue::claim(&app.db, i64::try_from(RUNNING_MAX).unwrap_or(1)).await?;
        if claimed.is_empty() {
            return Ok(count);
        }
        count += claimed.len();
        for job in claimed {
            run(app.clone(), job).await;
        }
    }
}

async fn run(app: App, claimed: Claimed) {
    let Claimed {
        id,
        kind,
        payload,
        attempts,
    } = claimed;
    let result = match serde_json::from_value::<Job>(payload) {
        Ok(job) => job.run(&app, id).await,
        Err(error) => Err(Error::Internal(format!(
            "a job of kind `{kind}` cannot be read: {error}"
        ))),
    };
    let settled: Result<()> = match result {
        Ok(()) => {
            metrics::counter!("tollbook_jobs_total", "kind" => kind.clone(), "result" => "done")
                .increment(1);
            queue::complete(&app.db, id).await
        }
        Err(error) => {
            metrics::counter!("tollbook_jobs_total", "kind" => kind.clone(), "result" => "failed")
                .increment(1);
            tracing::warn!(job = %id, kind, attempts, %error, "a job failed");
            let after = match &error {
                Error::RateLimited { retry_after } => (*retry_after).try_into().ok(),
                _ => None,
            };
            queue::fail(&app.db, id, &error.to_string(), after).await
        }
    };
    if let Err(error) = settled {
        // Its lock runs out, and it runs again.
        tracing::warn!(job = %id, kind, %error, "a job's end was not stored");
    }
}
