//! Recordings: copied from the provider, whose links expire, and played to those who may hear them.

pub(crate) mod api;
mod copy;
mod sql;

pub(crate) use copy::copy;
