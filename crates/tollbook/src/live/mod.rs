//! Live events: what changed, to everybody who may see it, within milliseconds and without loss.
//!
//! A writer tells of a change with [`publish`], in the transaction that makes it. After the commit each node's [`Hub`]
//! reads what is new, reads the things themselves once per organization, narrows them to what each member may see,
//! renders once per class of viewers, and hands the bytes to every stream.
//!
//! On the wire each batch carries one id, a [`Mark`]. A reader who connects again with it hears everything from there
//! on, some of it twice. Events of a page's stream:
//!
//! | event | data |
//! |---|---|
//! | `put` | an element with an id: it replaces the one with the same id, or goes on top of the list `data-list` |
//! | `gone` | the id of an element that the viewer sees no more |
//! | `beat` | the server's clock in milliseconds since 1970, every 15 s |
//! | `resync` | nothing: too much has happened, the page is to be fetched again |
//!
//! A program's stream has the kinds of [`LiveKind`], `call.gone` and `resync`, with documents.

pub(crate) mod api;
mod audience;
mod hub;
mod kind;
mod mark;
mod refresh;
mod run;
mod scene;
mod store;
mod stream;
mod tickets;

pub(crate) use hub::Hub;
pub(crate) use kind::LiveKind;
pub(crate) use run::start;
pub(crate) use store::present;
pub(crate) use store::{prune, publish};
use stream::open;
