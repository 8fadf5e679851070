//! What may be used up: caps on spending, and the thresholds on the way there.

mod cap;
mod threshold;

pub use cap::{Cap, Limiter, binding, left_under};
pub use threshold::{PERCENT_MAX, PERCENTS, crossed, percent};
