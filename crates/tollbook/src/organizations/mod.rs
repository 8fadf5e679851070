//! Organizations and who works in them.

pub(crate) mod api;
mod members;
mod ops;

pub(crate) use members::{MemberRole, NewMember, add as add_member, set_role};
pub(crate) use ops::{NewOrganization, create, find};
