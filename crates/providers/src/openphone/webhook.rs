//! Who sent a webhook: both signature schemes, checked over the raw body.
//!
//! Sources: the provider's pages on legacy signature validation and webhook payloads, and the Standard Webhooks
//! specification.

use std::fmt;

use axum::http::HeaderMap;
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use crate::Secret;

/// How far a signature's time may be from ours, in either direction.
pub const AGE_MAX: SignedDuration = SignedDuration::from_mins(5);

pub(crate) const LEGACY_HEADER: &str = "openphone-signature";
pub(crate) const ID_HEADER: &str = "webhook-id";
pub(crate) const TIMESTAMP_HEADER: &str = "webhook-timestamp";
pub(crate) const SIGNATURE_HEADER: &str = "webhook-signature";
const SECRET_PREFIX: &str = "whsec_";

/// Base64 as providers write it: with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How a webhook was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `openphone-signature`, of hooks made in the app and through version 1.
    Legacy,
    /// Standard Webhooks, of hooks made through version 2026-03-30.
    Standard,
}

/// A webhook that is the provider's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How it was signed.
    pub scheme: Scheme,
    /// The `webhook-id`, the same at every retry. The legacy scheme has none.
    pub delivery_id: Option<String>,
    /// When it was signed, by the provider's clock.
    pub signed_at: Timestamp,
}

/// Why a webhook is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It carries no signature.
    #[error("the webhook is not signed")]
    Missing,
    /// Its signature headers cannot be read.
    #[error("the webhook's signature headers are malformed")]
    Malformed,
    /// None of the secrets gives any of its signatures.
    #[error("the webhook's signature is wrong")]
    Mismatch,
    /// The signature is right and too old, or from the future: a replay, or a wrong clock.
    #[error("the webhook's signature is right, but its time {signed_at} is too far from now")]
    Stale {
        /// When it was signed.
        signed_at: Timestamp,
    },
}

/// Checks that a webhook is the provider's and recent.
///
/// `secrets` are those of all hooks of the integration, the ones being rotated out included. `body` is what was
/// received, byte for byte. Comparisons take constant time.
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
    now: Timestamp,
) -> Result<Verified, SignatureError> {
    let verified = if headers.contains_key(SIGNATURE_HEADER) {
        verify_standard(headers, body, secrets)?
    } else if headers.contains_key(LEGACY_HEADER) {
        verify_legacy(headers, body, secrets)?
    } else {
        return Err(SignatureError::Missing);
    };
    let age = now.duration_since(verified.signed_at).abs();
    if age > AGE_MAX {
        return Err(SignatureError::Stale {
            signed_at: verified.signed_at,
        });
    }
    Ok(verified)
}

/// `hmac;1;<milliseconds>;<base64>`, several separated by commas or in several headers.
fn verify_legacy(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
) -> Result<Verified, SignatureError> {
    let mut is_readable = false;
    for header in headers.get_all(LEGACY_HEADER) {
        let header = header.to_str().map_err(|_| SignatureError::Malformed)?;
        for value in header.split(',') {
            let mut parts = value.trim().split(';');
            let (Some("hmac"), Some("1"), Some(time), Some(signature), None) = (
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
                parts.next(),
            ) else {
                continue;
            };
            let Some(signed_at) = legacy_time(time) else {
                continue;
            };
            is_readable = true;
            if matches_any(secrets, signature, &[time.as_bytes(), b".", body]) {
                return Ok(Verified {
                    scheme: Scheme::Legacy,
                    delivery_id: None,
                    signed_at,
                });
            }
        }
    }
    if is_readable {
        Err(SignatureError::Mismatch)
    } else {
        Err(SignatureError::Malformed)
    }
}

/// `v1,<base64>`, several separated by spaces; other versions are passed over.
fn verify_standard(
    headers: &HeaderMap,
    body: &[u8],
    secrets: &[Secret],
) -> Result<Verified, SignatureError> {
    let text = |name| {
        let value = headers.get(name).ok_or(SignatureError::Malformed)?;
        value.to_str().map_err(|_| SignatureError::Malformed)
    };
    let (id, time) = (text(ID_HEADER)?, text(TIMESTAMP_HEADER)?);
    let signed_at = seconds(time).ok_or(SignatureError::Malformed)?;
    let parts = [id.as_bytes(), b".", time.as_bytes(), b".", body];
    let is_ours = text(SIGNATURE_HEADER)?
        .split_ascii_whitespace()
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .any(|signature| matches_any(secrets, signature, &parts));
    if !is_ours {
        return Err(SignatureError::Mismatch);
    }
    Ok(Verified {
        scheme: Scheme::Standard,
        delivery_id: Some(id.to_owned()),
        signed_at,
    })
}

/// Milliseconds of 13 digits; seconds of 10 digits are tolerated.
fn legacy_time(text: &str) -> Option<Timestamp> {
    if text.len() <= 10 {
        return seconds(text);
    }
    Timestamp::from_millisecond(digits(text)?).ok()
}

fn seconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(digits(text)?).ok()
}

/// Digits only: a sign or a space would be signed as different bytes than it is read.
fn digits(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn matches_any(secrets: &[Secret], signature: &str, message: &[&[u8]]) -> bool {
    let Ok(signature) = BASE64.decode(signature) else {
        return false;
    };
    secrets
        .iter()
        .filter_map(|secret| mac(secret, message))
        .any(|mac| mac.verify_slice(&signature).is_ok())
}

/// The key is the decoded secret: as raw bytes, which a text would not survive. An empty or unreadable secret signs
/// nothing.
fn mac(secret: &Secret, message: &[&[u8]]) -> Option<Hmac<Sha256>> {
    let text = secret.reveal();
    let text = text.strip_prefix(SECRET_PREFIX).unwrap_or(text);
    let key = BASE64.decode(text.trim()).ok()?;
    if key.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    for part in message {
        mac.update(part);
    }
    Some(mac)
}

/// A signature as the provider would make it; `None` if the secret is not base64.
pub(crate) fn sign(secret: &Secret, message: &[&[u8]]) -> Option<String> {
    Some(BASE64.encode(mac(secret, message)?.finalize().into_bytes()))
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Legacy => "legacy",
            Self::Standard => "standard",
        })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// From the provider's description of both schemes; the Standard Webhooks project's public vector is among them.
    const VECTORS: &str = include_str!("samples/signatures.json");

    fn verdict(
        vector: &Value,
        headers: &[(String, String)],
        now: Timestamp,
    ) -> Result<Verified, SignatureError> {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let secrets = [Secret::new(vector["secret"].as_str().unwrap())];
        verify(
            &headers,
            vector["body"].as_str().unwrap().as_bytes(),
            &secrets,
            now,
        )
    }

    fn headers_of(vector: &Value) -> Vec<(String, String)> {
        let headers = vector["headers"].as_object().unwrap();
        headers
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect()
    }

    #[test]
    fn published_vectors_are_judged_as_published() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        assert_eq!(vectors.len(), 10);
        for vector in &vectors {
            let now = Timestamp::from_millisecond(vector["now_ms"].as_i64().unwrap()).unwrap();
            let outcome = verdict(vector, &headers_of(vector), now);
            let found = match outcome {
                Ok(verified) => verified.scheme.to_string(),
                Err(SignatureError::Stale { .. }) => "stale".to_owned(),
                Err(SignatureError::Mismatch) => "mismatch".to_owned(),
                Err(other) => format!("{other:?}"),
            };
            assert_eq!(
                found,
                vector["expect"].as_str().unwrap(),
                "{}",
                vector["name"]
            );
        }
    }

    #[test]
    fn the_future_is_as_suspicious_as_the_past() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        for vector in vectors.iter().filter(|vector| vector["accept"] == true) {
            let now = Timestamp::from_millisecond(vector["now_ms"].as_i64().unwrap()).unwrap();
            let early = now - SignedDuration::from_mins(6);
            let outcome = verdict(vector, &headers_of(vector), early);
            assert!(
                matches!(outcome, Err(SignatureError::Stale { .. })),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn missing_and_unreadable_signatures_are_told_apart() {
        let of = |pairs: &[(&'static str, &str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect();
            let secret = Secret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
            verify(&headers, b"{}", &[secret], Timestamp::UNIX_EPOCH).unwrap_err()
        };
        assert_eq!(of(&[]), SignatureError::Missing);
        for value in [
            "",
            "hmac",
            "hmac;2;1767711845000;AAAA",
            "hmac;1;-5;AAAA",
            "hmac;1;5;AAAA;x",
        ] {
            assert_eq!(
                of(&[(LEGACY_HEADER, value)]),
                SignatureError::Malformed,
                "{value}"
            );
        }
        assert_eq!(
            of(&[(LEGACY_HEADER, "hmac;1;5;AAAA")]),
            SignatureError::Mismatch
        );
        assert_eq!(
            of(&[(SIGNATURE_HEADER, "v1,AAAA")]),
            SignatureError::Malformed
        );
        let standard = [
            (SIGNATURE_HEADER, "v1,AAAA"),
            (ID_HEADER, "m"),
            (TIMESTAMP_HEADER, "5"),
        ];
        assert_eq!(of(&standard), SignatureError::Mismatch);
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        for secret in ["", "whsec_", "not base64!"] {
            assert_eq!(sign(&Secret::new(secret), &[b"x"]), None, "{secret}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_body_never_passes(body in ".{0,64}", at in 0_usize..64, flip in 1_u8..255) {
            let secret = Secret::new("whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
            let body = body.into_bytes();
            let signature = sign(&secret, &[b"m", b".", b"1767711845", b".", &body]).unwrap();
            let headers: HeaderMap = [
                (ID_HEADER, "m".to_owned()),
                (TIMESTAMP_HEADER, "1767711845".to_owned()),
                (SIGNATURE_HEADER, format!("v2,zzz v1,{signature}")),
            ]
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
            let now = Timestamp::from_second(1_767_711_845).unwrap();
            prop_assert!(verify(&headers, &body, std::slice::from_ref(&secret), now).is_ok());
            let mut changed = body;
            if changed.is_empty() { changed.push(b'x') } else {
                let at = at % changed.len();
                changed[at] ^= flip;
            }
            prop_assert_eq!(
                verify(&headers, &changed, &[secret], now),
                Err(SignatureError::Mismatch)
            );
        }
    }
}
