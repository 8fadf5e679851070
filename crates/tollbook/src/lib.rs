//! The application: a folder is a capability and holds its SQL, operations, API, pages and templates.
//!
//! Capabilities use `db`, `http`, `jobs`, the core rules and the providers, and reach each other only through their
//! public operations.
#![expect(
    clippy::as_conversions,
    reason = "`value as Type` is how a checked query is told the type of a parameter"
)]

mod alerts;
mod app;
mod audit;
mod authorizations;
mod calls;
pub mod cli;
mod clock;
mod communications;
mod config;
mod corrections;
mod costs;
mod credit_notes;
mod customers;
mod db;
mod decks;
mod error;
mod fraud;
mod http;
mod identity;
mod ids;
mod inbox;
mod integrations;
mod invoices;
mod jobs;
mod ledger;
mod limits;
mod live;
mod metering;
mod moving;
mod node;
mod numbers;
mod objects;
mod organizations;
mod pages;
mod payments;
mod plans;
mod rating;
mod recordings;
mod reports;
mod retention;
pub mod sandbox;
mod search;
mod secrets;
mod settle;
mod sheet;
mod subscriptions;
mod supabase;
mod verify;
mod wallets;

pub use app::{App, Wake};
pub use clock::Clock;
pub use config::{Masked, Settings};
pub use db::{Connection, Db, Tx, migrate, schema_digest};
pub use error::{Error, FieldError, Result};
pub use http::{Access, Route, router, routes};
pub use invoices::{BillingRun, Counted, Held, RunProgress, RunReport};
pub use node::{Node, Work};
pub use secrets::Secrets;
pub use verify::{Difference, Progress, Report};
