//! Identifiers are UUIDv7, made by the application: they sort by time, and PostgreSQL 15 makes none.

use uuid::Uuid;

/// A new identifier of any kind.
pub(crate) fn new_id<T: From<Uuid>>() -> T {
    T::from(Uuid::now_v7())
}
