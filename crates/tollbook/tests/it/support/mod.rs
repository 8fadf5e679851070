//! A real application for each test: its own database cloned from a migrated template, its own port, a clock that
//! stands still until it is set.
//!
//! ```ignore
//! let app = TestApp::start().await;
//! let acme = app.organization("Acme").await;
//! let ann = app.admin(&acme).await;
//! let answer = app.get("/api/api-keys").user(&ann).send().await;
//! assert_eq!(answer.status, 200);
//! ```

mod answer;
mod app;
mod billing;
mod calls;
mod cluster;
pub(crate) mod desk;
mod money;
mod offers;
mod openphone;
mod people;
mod phones;
mod stream;

pub(crate) use answer::{Answer, Ask};
pub(crate) use app::{SERVICE_KEY, TestApp};
pub(crate) use billing::{NewUsage, at, per_minute};
pub(crate) use calls::NewCall;
pub(crate) use cluster::Database;
pub(crate) use money::Firm;
pub(crate) use openphone::{Incoming, Line, WEBHOOK_SECRET, Webhook};
pub(crate) use people::{Organization, PASSWORD, User, sign};
pub(crate) use phones::{Phones, Posted};
pub(crate) use stream::{Event, EventStream};
