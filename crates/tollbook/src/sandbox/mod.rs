//! Trying everything out without any account: made-up organizations, and made-up traffic for the provider sandboxes.

mod cast;
mod player;
mod stage;
pub mod traffic;
mod world;

pub(crate) use player::{Calendar, Player, Progress, last_heard, tally};
pub(crate) use stage::Stage;
pub use world::{Provider, connect_workspace};
pub(crate) use world::{SignIn, World, accounts_alone, set_up};
