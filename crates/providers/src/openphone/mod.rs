//! OpenPhone, renamed Quo in 2025: calls, messages, recordings and transcripts of one workspace.
//!
//! The provider has two interfaces on one host. Version 1 alone sends messages; version 2026-03-30 lists calls without
//! naming the other party and reports more events. Either can be read; both sign their webhooks, differently.

mod calls;
mod client;
mod events;
mod facts;
mod manage;
mod messages;
pub mod sandbox;
mod webhook;
mod wire;

pub use client::{Client, Surface, Workspace};
pub use events::{dedupe_key, parse};
pub use manage::{CreatedWebhook, RegisteredWebhook};
pub use webhook::{AGE_MAX, Scheme, SignatureError, Verified, verify};
pub use wire::User;
