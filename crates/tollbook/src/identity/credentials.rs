//! What a request shows to prove who calls: tokens, keys, cookies. Reading them needs no database.

use std::str::FromStr as _;

use axum::http::{HeaderMap, HeaderName, header};
use jiff::Timestamp;
use tollbook_core::ids::UserId;

use super::tokens::{self, Claim};
use crate::app::App;
use crate::http::{context, cookies, csrf::is_equal};
use crate::secrets::digest;

const API_KEY: HeaderName = HeaderName::from_static("apikey");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// Keys of ours begin with it.
pub(super) const KEY_PREFIX: &str = "tb_";

const NONE: &str = "sign in, or send a token or an API key";
const BAD_TOKEN: &str = "the token is not valid or has expired";
const NO_USER: &str = "this key is no user; send a user's token";
const BAD_SCHEME: &str = "only bearer tokens are taken in `Authorization`";
const NO_DEV_AUTH: &str = "`x-user-id` is only taken on loopback and with `--dev-auth`";

/// Whom the credentials name; the database knows whether there is such a one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// Nobody, and why.
    Nobody(&'static str),
    /// A user, by a token.
    User(UserId),
    /// The holder of the API key with this digest.
    Key([u8; 32]),
    /// The page session with this digest.
    Session([u8; 32]),
    /// The platform's own service.
    Service,
}

/// Reads the credentials. A credential that is given and bad is not made up for by another one.
pub(super) fn read(app: &App, headers: &HeaderMap) -> Named {
    let now = app.clock.real();
    let text = |name: &HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let api_key = text(&API_KEY);
    if headers.contains_key(header::AUTHORIZATION) {
        let bearer = text(&header::AUTHORIZATION).and_then(bearer);
        return match bearer {
            // A bearer equal to the key is what Supabase's clients send when nobody is signed in.
            Some(token) if api_key == Some(token) => key(app, token, now),
            Some(token) => token_or_key(app, token, now),
            None => Named::Nobody(BAD_SCHEME),
        };
    }
    if let Some(token) = api_key {
        return key(app, token, now);
    }
    if let Some(id) = text(&USER_ID) {
        return dev_user(app, id);
    }
    match cookies::read(headers, cookies::SESSION) {
        Some(token) => Named::Session(digest(token.as_bytes())),
        None => Named::Nobody(NONE),
    }
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|it| !it.is_empty())
}

fn key(app: &App, token: &str, now: Timestamp) -> Named {
    match token_or_key(app, token, now) {
        Named::User(_) => Named::Nobody(NO_USER),
        other => other,
    }
}

fn token_or_key(app: &App, token: &str, now: Timestamp) -> Named {
    if token.starts_with(KEY_PREFIX) {
        return Named::Key(digest(token.as_bytes()));
    }
    let settings = &app.settings;
    if let Some(service) = &settings.supabase_service_key
        && is_equal(token.as_bytes(), service.expose().as_bytes())
    {
        return Named::Service;
    }
    if let Some(user) = tokens::verify(&app.secrets, token, now) {
        return Named::User(user);
    }
    let secret = settings.supabase_jwt_secret.as_ref();
    match secret.and_then(|secret| tokens::verify_supabase(secret.expose(), token, now)) {
        Some(Claim::User(user)) => Named::User(user),
        Some(Claim::Service) => Named::Service,
        Some(Claim::Anonymous) => Named::Nobody(NO_USER),
        None => Named::Nobody(BAD_TOKEN),
    }
}

fn dev_user(app: &App, id: &str) -> Named {
    let is_local = context::current().is_some_and(|it| it.is_local());
    if !app.settings.dev_auth || !is_local {
        return Named::Nobody(NO_DEV_AUTH);
    }
    UserId::from_str(id).map_or(Named::Nobody("`x-user-id` is no id"), Named::User)
}
