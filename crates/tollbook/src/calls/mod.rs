//! Calls: live, in lists, and one by one.

mod board;
mod check;
mod document;
mod elements;
mod moment;
mod observe;
mod price;
mod read;
mod store;
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "the pages are filled by handlers that come with the operations"
    )
)]
pub(crate) mod view;

pub(crate) use board::{
    agent, costs, day, day_start, elements, has_numbers, open_calls, team, tiles,
};
pub(crate) use check::check_due;
pub(crate) use document::CallDocument;
pub(crate) use elements::{Element, Look, element};
pub(crate) use moment::{Moment, Moments, moments};
pub(crate) use observe::{CallOfSid, Observation, Source, Told, observe};
pub(crate) use read::{CallFacts, calls_by_id};
pub(crate) use store::calls_of_sids;
