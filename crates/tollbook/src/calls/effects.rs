//! What follows from what was written: usage to record, calls to be wary of, and changes to tell.

use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use uuid::Uuid;

use crate::error::Result;
use crate::fraud::{self, Outgoing};
use crate::jobs::{self, NewJob};
use crate::live::{self, LiveKind};
use crate::metering::{self, NewUsage};

/// Jobs, usage, calls out and live events of a batch.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) jobs: Vec<NewJob>,
    pub(crate) usages: Vec<NewUsage>,
    pub(crate) told: Vec<(OrganizationId, LiveKind, Uuid)>,
    /// Calls out that were not known before.
    pub(crate) outgoing: Vec<Outgoing>,
}

impl Effects {
    /// Adds those of another part of the batch.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.jobs.append(&mut other.jobs);
        self.usages.append(&mut other.usages);
        self.told.append(&mut other.told);
        self.outgoing.append(&mut other.outgoing);
    }

    /// Enqueues, records and tells, as the last thing in the transaction and once: the counters are rows that every
    /// writer of an organization wants, so they are held for as short as can be, and all in one order.
    pub(crate) async fn write(self, tx: &mut PgConnection) -> Result<()> {
        jobs::enqueue(tx, &self.jobs).await?;
        fraud::observe(tx, &self.outgoing).await?;
        if !self.usages.is_empty() {
            metering::record(tx, &self.usages).await?;
        }
        live::publish(tx, &self.told).await
    }
}
