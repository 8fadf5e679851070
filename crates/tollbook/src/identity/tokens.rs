//! Signed tokens: our own for 15 minutes, and those of Supabase.

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use serde::{Deserialize, Serialize};
use tollbook_core::ids::UserId;

use super::jwks::PublicKey;
use crate::error::{Error, Result};
use crate::http::caller::Nobody;
use crate::secrets::Secrets;

/// How long an access token of ours is valid.
pub(crate) const ACCESS_TOKEN_TIME: SignedDuration = SignedDuration::from_mins(15);

/// Clocks of other machines may differ by so much, as Supabase's own servers allow.
const SKEW_SECONDS: i64 = 30;

const OURS: &str = "tollbook";

/// Whom a Supabase token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// A user.
    User(UserId),
    /// `service_role`: the platform's own service.
    Service,
    /// The public key of a project, which everyone has.
    Anonymous,
}

#[derive(Debug, Serialize, Deserialize)]
struct OurClaims {
    iss: String,
    aud: String,
    sub: UserId,
    iat: i64,
    exp: i64,
}

#[derive(Debug, Deserialize)]
struct SupabaseClaims {
    sub: Option<String>,
    aud: Option<Audience>,
    exp: i64,
    nbf: Option<i64>,
    role: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Several(several) => several.iter().any(|it| it == name),
        }
    }
}

/// An access token for `user`.
pub(crate) fn issue(secrets: &Secrets, user: UserId, now: Timestamp) -> Result<String> {
    let claims = OurClaims {
        iss: OURS.to_owned(),
        aud: OURS.to_owned(),
        sub: user,
        iat: now.as_second(),
        exp: now.as_second().saturating_add(ACCESS_TOKEN_TIME.as_secs()),
    };
    encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &EncodingKey::from_secret(secrets.signing_key()),
    )
    .map_err(|error| Error::Internal(format!("a token cannot be signed: {error}")))
}

/// The user of a valid access token of ours.
pub(super) fn verify(secrets: &Secrets, token: &str, now: Timestamp) -> Option<UserId> {
    let key = DecodingKey::from_secret(secrets.signing_key());
    let claims: OurClaims = claims(&key, Algorithm::HS256, token)?;
    let is_valid = claims.iss == OURS && claims.aud == OURS && claims.exp > now.as_second();
    is_valid.then_some(claims.sub)
}

/// What a token signed with the project's JWT secret says. The secret is used as it is written, not decoded.
pub(super) fn verify_supabase(secret: &str, token: &str, now: Timestamp) -> Result<Claim, Nobody> {
    let key = DecodingKey::from_secret(secret.as_bytes());
    let claims: SupabaseClaims = claims(&key, Algorithm::HS256, token).ok_or(Nobody::BadToken)?;
    claims.read(now)
}

/// The id of the public key that would prove a token, if it is one that a public key proves.
pub(super) fn public_key_id(token: &str) -> Option<String> {
    let header = decode_header(token).ok()?;
    let is_public = matches!(header.alg, Algorithm::RS256 | Algorithm::ES256);
    header.kid.filter(|_| is_public)
}

/// The user of a token that a public key of the project proves, by the algorithm that the key is for and no other.
/// Only users have such tokens: a project's own keys are signed with its secret.
pub(super) fn verify_public(
    key: &PublicKey,
    token: &str,
    now: Timestamp,
) -> Result<UserId, Nobody> {
    let claims: SupabaseClaims =
        claims(&key.decoding, key.algorithm, token).ok_or(Nobody::BadToken)?;
    match claims.read(now)? {
        Claim::User(user) => Ok(user),
        Claim::Service => Err(Nobody::BadToken),
        Claim::Anonymous => Err(Nobody::PublicKey),
    }
}

impl SupabaseClaims {
    /// Whom they name. The issuer is the project whose key proved the token; nothing is read from `user_metadata`.
    fn read(self, now: Timestamp) -> Result<Claim, Nobody> {
        let now = now.as_second();
        if self.exp.saturating_add(SKEW_SECONDS) <= now {
            return Err(Nobody::Expired);
        }
        if self
            .nbf
            .is_some_and(|it| it.saturating_sub(SKEW_SECONDS) > now)
        {
            return Err(Nobody::BadToken);
        }
        match self.role.as_deref() {
            Some("service_role") => Ok(Claim::Service),
            Some("anon") => Ok(Claim::Anonymous),
            _ => self
                .aud
                .filter(|it| it.has("authenticated"))
                .and(self.sub)
                .and_then(|it| it.parse().ok())
                .map(Claim::User)
                .ok_or(Nobody::BadToken),
        }
    }
}

/// The claims of a token with the right signature. Times are checked by our clock, not the library's.
fn claims<T: serde::de::DeserializeOwned>(
    key: &DecodingKey,
    algorithm: Algorithm,
    token: &str,
) -> Option<T> {
    let mut validation = Validation::new(algorithm);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    decode(token, key, &validation).ok().map(|it| it.claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters-long";

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn user() -> UserId {
        "0190a0b0-c0d0-7123-8456-789abcdef012".parse().unwrap()
    }

    fn signed(claims: &serde_json::Value) -> Result<Claim, Nobody> {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::new(Algorithm::HS256), claims, &key).unwrap();
        verify_supabase(SECRET, &token, now())
    }

    fn claims_at(exp: i64) -> serde_json::Value {
        json!({"sub": user(), "aud": "authenticated", "role": "authenticated", "exp": exp})
    }

    #[test]
    fn our_token_is_valid_for_15_minutes_and_for_our_key_only() {
        let secrets = Secrets::new("one");
        let token = issue(&secrets, user(), now()).unwrap();
        let later = |minutes| now() + SignedDuration::from_mins(minutes);
        assert_eq!(verify(&secrets, &token, later(14)), Some(user()));
        assert_eq!(verify(&secrets, &token, later(15)), None);
        assert_eq!(verify(&Secrets::new("two"), &token, now()), None);
    }

    #[test]
    fn a_supabase_user_needs_audience_subject_and_time() {
        let at = now().as_second();
        assert_eq!(signed(&claims_at(at + 60)), Ok(Claim::User(user())));
        assert_eq!(
            signed(&claims_at(at - 29)),
            Ok(Claim::User(user())),
            "within the skew"
        );
        assert_eq!(signed(&claims_at(at - 30)), Err(Nobody::Expired));
        let mut several = claims_at(at + 60);
        several["aud"] = json!(["x", "authenticated"]);
        assert_eq!(signed(&several), Ok(Claim::User(user())));
        for (name, value) in [
            ("aud", json!("other")),
            ("aud", json!(null)),
            ("sub", json!("x")),
            ("nbf", json!(at + 31)),
        ] {
            let mut claims = claims_at(at + 60);
            claims[name] = value.clone();
            assert_eq!(signed(&claims), Err(Nobody::BadToken), "{name} = {value}");
        }
    }

    #[test]
    fn a_projects_keys_are_no_users() {
        let at = now().as_second();
        let key = |role: &str| json!({"iss": "supabase", "role": role, "exp": at + 60});
        assert_eq!(signed(&key("service_role")), Ok(Claim::Service));
        assert_eq!(signed(&key("anon")), Ok(Claim::Anonymous));
        let mut old = key("service_role");
        old["exp"] = json!(at - 60);
        assert_eq!(signed(&old), Err(Nobody::Expired));
    }

    #[test]
    fn another_algorithm_or_key_is_refused() {
        let claims = claims_at(now().as_second() + 60);
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = encode(&Header::new(Algorithm::HS512), &claims, &key).unwrap();
        assert_eq!(
            verify_supabase(SECRET, &token, now()),
            Err(Nobody::BadToken)
        );
        let unsigned =
            "eyJhbGciOiJub25lIn0.eyJyb2xlIjoic2VydmljZV9yb2xlIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        assert_eq!(
            verify_supabase(SECRET, unsigned, now()),
            Err(Nobody::BadToken)
        );
        let other = EncodingKey::from_secret(b"another-secret-another-secret-32");
        let token = encode(&Header::new(Algorithm::HS256), &claims, &other).unwrap();
        assert_eq!(
            verify_supabase(SECRET, &token, now()),
            Err(Nobody::BadToken)
        );
    }
}
