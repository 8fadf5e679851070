//! What a request shows to prove who calls: tokens, keys, cookies. Reading them needs no database, and the network only
//! for a token that a public key proves which is not known yet.

use std::str::FromStr as _;

use axum::http::{HeaderMap, HeaderName, header};
use tollbook_core::ids::UserId;

use super::tokens::{self, Claim};
use crate::app::App;
use crate::error::Result;
use crate::http::caller::Nobody;
use crate::http::{context, cookies, csrf::is_equal};
use crate::secrets::digest;

const API_KEY: HeaderName = HeaderName::from_static("apikey");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");

/// Keys of ours begin with it.
pub(super) const KEY_PREFIX: &str = "tb_";

/// Supabase's newer public keys, which are no tokens, begin with it.
const PUBLISHABLE_PREFIX: &str = "sb_publishable_";

/// Whom the credentials name; the database knows whether there is such a one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// Nobody, and why.
    Nobody(Nobody),
    /// A user, by a token.
    User(UserId),
    /// The holder of the API key with this digest.
    Key([u8; 32]),
    /// The page session with this digest.
    Session([u8; 32]),
    /// The platform's own service.
    Service,
}

/// Reads the credentials. A credential that is given and bad is not made up for by another one. `Unavailable` if it
/// takes a key that cannot be fetched to tell.
pub(super) async fn read(app: &App, headers: &HeaderMap) -> Result<Named> {
    let text = |name: &HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let api_key = text(&API_KEY);
    if headers.contains_key(header::AUTHORIZATION) {
        let bearer = text(&header::AUTHORIZATION).and_then(bearer);
        return match bearer {
            // A bearer equal to the key is what Supabase's clients send when nobody is signed in.
            Some(token) if api_key == Some(token) => key(app, token).await,
            Some(token) => token_or_key(app, token).await,
            None => Ok(Named::Nobody(Nobody::BadScheme)),
        };
    }
    if let Some(token) = api_key {
        return key(app, token).await;
    }
    if let Some(id) = text(&USER_ID) {
        return Ok(dev_user(app, id));
    }
    Ok(match cookies::read(headers, cookies::SESSION) {
        Some(token) => Named::Session(digest(token.as_bytes())),
        None => Named::Nobody(Nobody::Missing),
    })
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim())
        .filter(|it| !it.is_empty())
}

/// A key names no user, and one that means nothing to us is one of those that everyone has.
async fn key(app: &App, token: &str) -> Result<Named> {
    Ok(match token_or_key(app, token).await? {
        Named::User(_) | Named::Nobody(Nobody::BadToken) => Named::Nobody(Nobody::PublicKey),
        other => other,
    })
}

async fn token_or_key(app: &App, token: &str) -> Result<Named> {
    if token.starts_with(KEY_PREFIX) {
        return Ok(Named::Key(digest(token.as_bytes())));
    }
    if token.starts_with(PUBLISHABLE_PREFIX) {
        return Ok(Named::Nobody(Nobody::PublicKey));
    }
    let settings = &app.settings;
    if let Some(service) = &settings.supabase_service_key
        && is_equal(token.as_bytes(), service.expose().as_bytes())
    {
        return Ok(Named::Service);
    }
    let now = app.clock.real();
    if let Some(id) = tokens::public_key_id(token) {
        let key = app.jwks.find(&app.http, &id, now).await?;
        let user = key.ok_or(Nobody::BadToken);
        let user = user.and_then(|key| tokens::verify_public(&key, token, now));
        return Ok(user.map_or_else(Named::Nobody, Named::User));
    }
    if let Some(user) = tokens::verify(&app.secrets, token, now) {
        return Ok(Named::User(user));
    }
    let secret = settings.supabase_jwt_secret.as_ref();
    let claim = secret.map(|secret| tokens::verify_supabase(secret.expose(), token, now));
    Ok(match claim.unwrap_or(Err(Nobody::BadToken)) {
        Ok(Claim::User(user)) => Named::User(user),
        Ok(Claim::Service) => Named::Service,
        Ok(Claim::Anonymous) => Named::Nobody(Nobody::PublicKey),
        Err(why) => Named::Nobody(why),
    })
}

fn dev_user(app: &App, id: &str) -> Named {
    let is_local = context::current().is_some_and(|it| it.is_local());
    if !app.settings.dev_auth || !is_local {
        return Named::Nobody(Nobody::NoDevAuth);
    }
    UserId::from_str(id).map_or(Named::Nobody(Nobody::BadUserId), Named::User)
}
