//! Recurring work: one row each; whichever node takes the row enqueues the job.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;

use super::kinds::Job;
use super::queue::{NewJob, enqueue};
use crate::app::App;
use crate::error::Result;

/// How often the rows are looked at.
const TICK: Duration = Duration::from_secs(1);

/// Looks after the schedules until `stop`.
pub(super) async fn keep(app: App, stop: CancellationToken) {
    if let Err(error) = register(&app).await {
        tracing::warn!(%error, "schedules cannot be registered");
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        // Whoever sets the clock does what is due before setting it again; what has only half arrived is not overdue.
        if app.clock.speed() == 0 {
            continue;
        }
        match enqueue_due(&app).await {
            Ok(0) => {}
            Ok(_) => app.wake.jobs.notify_one(),
            Err(error) => tracing::warn!(%error, "schedules cannot be run"),
        }
    }
}

/// Makes the rows that are missing; the interval follows the code.
async fn register(app: &App) -> Result<()> {
    let names: Vec<&str> = Job::SCHEDULED.iter().map(|(name, _, _)| *name).collect();
    let seconds: Vec<f64> = Job::SCHEDULED
        .iter()
        .map(|(_, _, seconds)| f64::from(*seconds))
        .collect();
    let mut tx = app.db.begin(&Actor::system()).await?;
    sqlx::query!(
        "insert into schedules (name, every, next_run_at)
         select name, make_interval(secs => seconds), clock_timestamp()
         from unnest($1::text[], $2::float8[]) as s (name, seconds) order by name
         on conflict (name) do update set every = excluded.every",
        &names as &[&str],
        &seconds,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(())
}

/// Enqueues what is due and sets its next time; a time that was missed is not made up for.
async fn enqueue_due(app: &App) -> Result<usize> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let due = sqlx::query_scalar!(
        "update schedules set last_run_at = clock_timestamp(), next_run_at = clock_timestamp() + every
         where name in (select name from schedules where next_run_at <= clock_timestamp() order by name for update skip locked)
         returning name",
    )
    .fetch_all(&mut *tx)
    .await?;
    let jobs: Vec<NewJob> = Job::SCHEDULED
        .iter()
        .filter(|(name, _, _)| due.iter().any(|d| d == name))
        .map(|(name, job, _)| NewJob {
            organization: None,
            job: job.clone(),
            unique_key: Some((*name).to_owned()),
            delay: jiff::SignedDuration::ZERO,
        })
        .collect();
    if !jobs.is_empty() {
        enqueue(&mut tx, &jobs).await?;
    }
    tx.commit().await?;
    Ok(jobs.len())
}
