//! Organizations and who works in them.

pub(crate) mod api;
mod billing;
mod business;
mod members;
mod ops;

pub(crate) use billing::{BillingMode, BillingSettings, set_billing};
pub(crate) use business::{Business, business};
pub(crate) use members::{MemberRole, NewMember, add as add_member, link_provider_user, set_role};
pub(crate) use ops::{NewOrganization, any_but, create, create_in, find, find_in};
