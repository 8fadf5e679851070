//! Customers: who pays an organization.

pub(crate) mod api;
mod balance;
mod bring;
mod card;
mod edit;
mod list;
mod moving;
mod page;
mod payer;
mod reach;
mod recognize;
mod sql;
mod summary;
pub(crate) mod view;
pub(crate) mod web;

pub(crate) use bring::{NewContact, NewCustomer, create_all};
pub(crate) use card::{Card, RecentCall, cards, recent_calls_of};
pub(crate) use edit::{Profile, change_customer, create_customer, is_email, terms};
pub(crate) use list::find;
pub(crate) use moving::{
    Belonging, HeldCustomer, Taken, give_number_back, hold_customers, merge, name_prospect, part,
    take_number,
};
pub(crate) use payer::check_payer;
pub(crate) use reach::{add_contact, add_note, expect, give_number};
pub(crate) use recognize::{Caller, hold, matches, recognize};
pub(crate) use summary::{Contract, Hours, Summary, summaries};
