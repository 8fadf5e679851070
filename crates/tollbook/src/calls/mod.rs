//! Calls: live, in lists, and one by one.

pub(crate) mod api;
mod attribute;
mod board;
mod by_legs;
mod changes;
mod check;
mod client;
mod course;
mod desk;
mod detail;
mod document;
mod effects;
mod elements;
mod give;
mod moment;
mod observe;
mod page;
mod parts;
mod price;
mod read;
mod row;
mod store;
pub(crate) mod view;
pub(crate) mod web;

pub(crate) use board::{agent, costs, day, day_start, open_calls, team, tiles};
pub(crate) use by_legs::{ByLegs, by_legs};
pub(crate) use check::check_due;
pub(crate) use client::client_name;
pub(crate) use document::CallDocument;
pub(crate) use effects::Effects;
pub(crate) use elements::{
    Look, agent as agent_of, contract_state, direction, element, hours_left, length, outcome,
    party, price_of,
};
pub(crate) use give::{HeldCall, give_calls, hold_calls};
pub(crate) use moment::{Moment, Moments, Who, country, moments};
pub(crate) use observe::{CallOfRecord, LegOfCall, Observation, RecordKey, Source, Told, observe};
pub(crate) use page::call_party;
pub(crate) use parts::{part_usage, usage_of_parts};
pub(crate) use store::calls_of_records;
