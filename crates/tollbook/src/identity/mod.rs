//! Who is calling: sign-in, sessions, tokens, API keys.

pub(crate) mod api;
mod credentials;
mod identify;
mod jwks;
mod keys;
mod ops;
mod passwords;
mod recent;
mod refresh;
mod sessions;
mod sql;
mod tokens;
pub(crate) mod view;
pub(crate) mod web;

pub(crate) use identify::identify;
pub(crate) use jwks::Jwks;
pub(crate) use ops::{
    NewUser, UserRow, add_user, find_user, list_users, set_password, set_platform_admin,
};
pub(crate) use recent::Recent;
pub(crate) use tokens::issue as issue_access_token;
