//! What was used: meters, usage events and their keys, corrections, and the counters that total them.

mod correction;
mod counter;
mod meter;
mod request;
mod source;

pub use correction::{Due, Recorded, Target, due, recorded};
pub use counter::aggregate;
pub use meter::{Aggregation, BuiltInMeter, InvalidMeter, MeterCode, ResolveError, resolve};
pub use request::{IdempotencyKey, InvalidKey, UsageRequest};
pub use source::{call_usage, message_usage, recording_usage, transcript_usage, voicemail_usage};
