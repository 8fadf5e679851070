//! The public keys with which a Supabase project signs its users' tokens (RS256, ES256).
//!
//! They are fetched when a token names a key that is not known, and again after some minutes, so that a revoked key is
//! forgotten. Fetching is rare whatever tokens come, and concerns only tokens that need it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use tollbook_core::calls::MediaUrl;
use tollbook_providers::Http;

use crate::error::{Error, Result};

/// Keys are fetched again after so long, as the server's own answer asks for.
const FRESH: SignedDuration = SignedDuration::from_mins(10);
/// Known keys are used for so long while they cannot be fetched again.
const USABLE: SignedDuration = SignedDuration::from_hours(24);
/// Fetching is tried this often at most.
const TRY_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// The server has so long to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest answer in bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

const PATH: &str = "/auth/v1/.well-known/jwks.json";

/// A public key and the one algorithm that it is for.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

/// The keys of a project, as far as they are known.
#[derive(Debug)]
pub(crate) struct Jwks {
    url: Option<MediaUrl>,
    known: Mutex<Known>,
    /// One fetch at a time.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, Arc<PublicKey>>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    has_failed: bool,
}

/// What is known of a key before its project is asked.
enum Look {
    Found(Arc<PublicKey>),
    /// It should be fetched again, but may be used if that does not work.
    Old(Arc<PublicKey>),
    Unknown,
    /// It was asked for a moment ago.
    Refused,
    /// It was asked for a moment ago, and there was no answer.
    Unavailable,
}

impl Jwks {
    /// The keys of the project at this address; without one there are none.
    pub(crate) fn new(supabase_url: Option<&str>) -> Self {
        let url =
            supabase_url.map(|it| MediaUrl::new(format!("{}{PATH}", it.trim_end_matches('/'))));
        Self {
            url,
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        }
    }

    /// The key with this id; `None` if the project has no such key. `Unavailable` if it has to be asked and does not
    /// answer.
    pub(super) async fn find(
        &self,
        http: &Http,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<PublicKey>>> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let look = self.known().look(id, now);
        let _fetching = match look {
            Look::Found(key) => return Ok(Some(key)),
            Look::Refused => return Ok(None),
            Look::Unavailable => return Err(unavailable()),
            // Whoever has an old key does not wait for another's fetch.
            Look::Old(key) => match self.fetching.try_lock() {
                Ok(guard) => guard,
                Err(_) => return Ok(Some(key)),
            },
            Look::Unknown => self.fetching.lock().await,
        };
        // Another one may have fetched them meanwhile.
        if let Some(answer) = self.known().answer(id, now) {
            return answer;
        }
        let fetched = fetch(http, url).await;
        let mut known = self.known();
        known.put(fetched, now);
        known.answer(id, now).unwrap_or(Ok(None))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each change is whole whatever happened to who held it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn look(&self, id: &str, now: Timestamp) -> Look {
        let is_within =
            |at: Option<Timestamp>, time| at.is_some_and(|at| now.duration_since(at) < time);
        let may_try = !is_within(self.tried_at, TRY_EVERY);
        let key = self.keys.get(id).cloned();
        match key.filter(|_| is_within(self.fetched_at, USABLE)) {
            Some(key) if is_within(self.fetched_at, FRESH) || !may_try => Look::Found(key),
            Some(key) => Look::Old(key),
            None if may_try => Look::Unknown,
            None if self.has_failed => Look::Unavailable,
            None => Look::Refused,
        }
    }

    /// The answer, if it needs no fetch.
    fn answer(&self, id: &str, now: Timestamp) -> Option<Result<Option<Arc<PublicKey>>>> {
        match self.look(id, now) {
            Look::Found(key) => Some(Ok(Some(key))),
            Look::Refused => Some(Ok(None)),
            Look::Unavailable => Some(Err(unavailable())),
            Look::Old(_) | Look::Unknown => None,
        }
    }

    fn put(&mut self, fetched: Result<HashMap<String, Arc<PublicKey>>, String>, now: Timestamp) {
        self.tried_at = Some(now);
        self.has_failed = fetched.is_err();
        match fetched {
            Ok(keys) => {
                self.keys = keys;
                self.fetched_at = Some(now);
            }
            Err(why) => tracing::warn!(why, "the public keys of Supabase cannot be fetched"),
        }
    }
}

fn unavailable() -> Error {
    Error::Unavailable(
        "the keys that would prove this token cannot be fetched at the moment".to_owned(),
    )
}

async fn fetch(http: &Http, url: &MediaUrl) -> Result<HashMap<String, Arc<PublicKey>>, String> {
    let answer = tokio::time::timeout(ANSWER_MAX, http.download(url, ANSWER_BYTES_MAX)).await;
    let answer = answer.map_err(|_| "no answer in time".to_owned())?;
    parse(&answer.map_err(|error| error.to_string())?.bytes)
}

/// The keys of a set that verify signatures by one of the two algorithms; others are left out.
fn parse(text: &[u8]) -> Result<HashMap<String, Arc<PublicKey>>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let keys = set.keys.into_iter().filter_map(|key| {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        let algorithm = algorithm(&jwk)?;
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        let key = PublicKey {
            algorithm,
            decoding,
        };
        Some((jwk.common.key_id?, Arc::new(key)))
    });
    Ok(keys.collect())
}

/// What the key itself says it is for. A symmetric one is no public key, whatever it says.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    let is_for_signatures = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (KeyAlgorithm::RS256, Algorithm::RS256),
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
            (KeyAlgorithm::ES256, Algorithm::ES256)
        }
        _ => return None,
    };
    let is_said = jwk.common.key_algorithm.is_none_or(|it| it == algorithm.0);
    (is_for_signatures && is_said).then_some(algorithm.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example key of RFC 7515, appendix A.3, among keys that are of no use here.
    const SET: &str = r#"{"keys":[
        {"kty":"EC","crv":"P-256","kid":"good","alg":"ES256","use":"sig","key_ops":["verify"],
         "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
        {"kty":"oct","kid":"secret","alg":"HS256","k":"c2VjcmV0"},
        {"kty":"OKP","crv":"Ed25519","kid":"other","alg":"EdDSA","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"new","kid":"unheard"},
        {"kty":"EC","crv":"P-256","kid":"encrypts","use":"enc",
         "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn shown(known: &Known, id: &str, seconds: i64) -> &'static str {
        match known.look(id, at(seconds)) {
            Look::Found(_) => "found",
            Look::Old(_) => "old",
            Look::Unknown => "fetch",
            Look::Refused => "refused",
            Look::Unavailable => "unavailable",
        }
    }

    #[test]
    fn only_public_keys_for_signatures_are_taken() {
        let keys = parse(SET.as_bytes()).unwrap();
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(keys["good"].algorithm, Algorithm::ES256);
        assert!(parse(b"{}").is_err() && parse(b"<html>").is_err());
    }

    #[test]
    fn an_unknown_key_is_asked_for_once_in_a_while() {
        let mut known = Known::default();
        assert_eq!(shown(&known, "good", 0), "fetch");
        known.put(Err("down".to_owned()), at(0));
        assert_eq!(shown(&known, "good", 29), "unavailable");
        assert_eq!(shown(&known, "good", 30), "fetch");
        known.put(parse(SET.as_bytes()), at(30));
        assert_eq!(shown(&known, "good", 31), "found");
        assert_eq!(shown(&known, "other", 31), "refused");
        assert_eq!(shown(&known, "other", 60), "fetch");
    }

    #[test]
    fn a_known_key_outlives_a_server_that_is_down_for_a_day() {
        let mut known = Known::default();
        known.put(parse(SET.as_bytes()), at(0));
        assert_eq!(shown(&known, "good", 599), "found");
        assert_eq!(shown(&known, "good", 600), "old");
        known.put(Err("down".to_owned()), at(600));
        assert_eq!(shown(&known, "good", 601), "found");
        let day = 24 * 3600;
        known.put(Err("down".to_owned()), at(day - 1));
        assert_eq!(shown(&known, "good", day - 1), "found");
        assert_eq!(shown(&known, "good", day), "unavailable");
    }
}
