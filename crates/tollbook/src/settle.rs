//! Everything that is due by now, done in the caller's own time: where the clock is set and not waited for.

use std::time::Duration;

use tollbook_core::actor::Actor;

use crate::app::App;
use crate::error::Result;
use crate::{
    alerts, authorizations, calls, costs, inbox, invoices, jobs, rating, subscriptions, wallets,
};

/// How long to wait for what another worker of this or another node is at.
const MOMENT: Duration = Duration::from_millis(2);

impl App {
    /// Interprets and rates what has come in, looks after calls, makes periods and invoices that are due, and runs the
    /// jobs that all of this makes, until nothing is left to do. Workers may run beside it.
    pub async fn settle(&self) -> Result<()> {
        loop {
            let done = self.work_through().await?;
            if self.is_something_due().await? {
                if done == 0 {
                    tokio::time::sleep(MOMENT).await;
                }
                continue;
            }
            // Only now: what was asked about a call is answered before it is asked again, or given up.
            let looked_after = calls::check_due(self).await?;
            costs::record_months(self).await?;
            costs::ask_due(self).await?;
            costs::post_days(self).await?;
            subscriptions::extend_due(self).await?;
            authorizations::expire_due(self).await?;
            wallets::expire_due(self).await?;
            invoices::finalize_due(self).await?;
            alerts::flush(self).await?;
            alerts::watch(self).await?;
            if looked_after == 0 && !self.is_something_due().await? {
                return Ok(());
            }
        }
    }

    async fn work_through(&self) -> Result<usize> {
        let mut total = 0;
        loop {
            let done =
                inbox::drain(self).await? + rating::drain(self).await? + jobs::drain(self).await?;
            if done == 0 {
                return Ok(total);
            }
            total += done;
        }
    }

    /// What waits for a person or for a later time is not due.
    async fn is_something_due(&self) -> Result<bool> {
        let mut tx = self.db.begin(&Actor::system()).await?;
        let is_due = sqlx::query_scalar!(
            r#"select exists (select from inbox_queue where parked_at is null and run_at <= clock_timestamp())
                 or exists (select from rating_queue where parked_at is null)
                 or exists (select from jobs where state = 'running' or (state = 'waiting' and run_at <= clock_timestamp()))
                 as "is_due!" -- all organizations: the queues are the platform's"#
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(is_due)
    }
}
