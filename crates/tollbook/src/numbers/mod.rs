//! Phone numbers: which organization holds each, from when to when, and who may use it.
//!
//! Numbers and their mappings are platform-wide: the platform writes them on behalf of whoever may. Assignments are the
//! organization's own.

pub(crate) mod api;
mod assign;
mod check;
mod lines;
mod map;
mod read;
mod route;
mod sql;
mod tenant;
mod tenant_sql;
pub(crate) mod view;
pub(crate) mod web;

pub(crate) use assign::replace_assignments;
pub(crate) use check::check_mapping;
pub(crate) use lines::{Line, LineKey, resolve_lines, sync};
pub(crate) use route::{Route, route};
pub(crate) use tenant::{Fields, MESSAGE, TenantNumber, map_to_tenant};

use crate::error::Error;

/// A number that the caller may not use, or that nobody knows: both are answered alike (S4.3).
pub(crate) fn not_yours() -> Error {
    Error::forbidden("Phone number not found or not owned by user")
}
