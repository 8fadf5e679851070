//! HTTP: every route in one table, who may call it, errors, limits, and the frame around every page.

pub(crate) mod assets;
pub(crate) mod caller;
pub(crate) mod context;
pub(crate) mod cookies;
pub(crate) mod csrf;
pub(crate) mod csv;
pub(crate) mod dialect;
mod enter;
pub(crate) mod etag;
pub(crate) mod frame;
mod guard;
mod health;
pub(crate) mod idempotency;
pub(crate) mod input;
mod limits;
pub(crate) mod list;
mod names;
pub(crate) mod problem;
mod router;
pub(crate) mod seller;
mod service;
pub(crate) mod span;
pub(crate) mod sse;
pub(crate) mod tenants;
pub(crate) mod view;

pub use caller::Access;
pub use router::{Route, routes};
pub use service::router;
