//! Trying everything out without any account: made-up organizations, and made-up traffic for the provider sandboxes.

mod cast;
mod phones;
mod player;
mod stage;
pub mod traffic;
mod world;

pub(crate) use phones::Phones;
pub(crate) use player::{Calendar, Player, Progress, STRIDE, last_heard, tally};
pub(crate) use stage::Stage;
pub use world::{Provider, Twilio, connect_twilio, connect_workspace};
pub(crate) use world::{Providers, SignIn, World, accounts_alone, set_up};
