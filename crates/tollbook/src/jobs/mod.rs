//! Jobs are the outbox: work is enqueued in the transaction that causes it, and so exists exactly when that commits.
//!
//! The job's id is the idempotency key at the provider. A job may run twice; what it does must not happen twice.

mod kinds;
mod queue;
mod schedule;
mod worker;

pub(crate) use kinds::Job;
pub(crate) use queue::{NewJob, enqueue};
pub(crate) use worker::{drain, start};
