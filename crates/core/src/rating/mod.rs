//! Pricing usage: which allowance it uses, what the rest costs, and an explanation of every cent.
//!
//! Pure functions over plain data. The caller loads [`Terms`] and the account's [`State`], and stores what comes back.

mod charge;
mod cycles;
mod draw;
mod explain;
mod fee;
mod grants;
mod order;
mod pricer;
mod rate;
mod reach;
mod segments;
mod state;
mod tail;
mod terms;
mod trace;
mod usage;

pub use charge::{ChargePart, GrantDraw, PartKind, Rated, TierDelta};
pub use cycles::Cycles;
pub(crate) use explain::{fee_text, product_text};
pub use fee::{DueFee, FeeError, base_fees};
pub use grants::{
    DueGrant, Forfeit, GrantError, carried_beyond, due_grants, forfeits, grants_between,
};
pub use order::{order_matters, rate_in_order, sort_canonically};
pub(crate) use rate::priced_alike_until;
pub use rate::{Error, rate, waive};
pub use reach::reach;
pub use state::{Grant, State, TierTotal};
pub use tail::{Change, InForce, Place, leaves_traces, rerate, rerate_from};
pub use terms::{Surroundings, Terms};
pub use trace::{
    BandTrace, DestinationTrace, FixedFee, Item, NotChargedReason, TRACE_VERSION, TierTrace,
    TimeTrace, Trace,
};
pub use usage::{ProviderCost, Usage};
