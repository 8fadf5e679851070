//! Who sent a webhook: `X-Twilio-Signature`, over the address that was asked for and the parameters.
//!
//! Source: the provider's page on webhook security and the behaviour of its own validators. The scheme has no time, so
//! a replay is recognized only by the key of its event.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::Secret;

pub(crate) const SIGNATURE_HEADER: &str = "x-twilio-signature";
/// Beta: names a shared key and another digest.
const SETTINGS_HEADER: &str = "x-twilio-webhooks-signature-settings";
const FORM: &str = "application/x-www-form-urlencoded";
const BODY_DIGEST: &str = "bodySHA256";

/// A webhook as it was received.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The public address as the provider has it: the configured base with the raw path and the raw query. What a
    /// proxy says of it is not to be trusted.
    pub url: &'a str,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, byte for byte.
    pub body: &'a [u8],
}

/// Why a webhook is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It carries no signature.
    #[error("the webhook is not signed")]
    Missing,
    /// None of the tokens gives its signature.
    #[error("the webhook's signature is wrong")]
    Mismatch,
    /// The signature covers another body.
    #[error("the webhook's body is not the one that was signed")]
    Body,
}

/// Checks that a webhook is the provider's.
///
/// `tokens` are the account's auth tokens, of which there are two while they are changed, or its shared keys. The
/// address counts with and without its port. Comparisons take constant time.
pub fn verify(request: Request<'_>, tokens: &[Secret]) -> Result<(), SignatureError> {
    let header = |name: &str| {
        request
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let signature = header(SIGNATURE_HEADER).ok_or(SignatureError::Missing)?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| SignatureError::Mismatch)?;
    let is_sha256 = header(SETTINGS_HEADER).is_some_and(|text| text.contains("HMAC_SHA256"));
    let has_body = !request.method.eq_ignore_ascii_case("GET");
    let is_form = header(CONTENT_TYPE.as_str()).is_some_and(|text| text.starts_with(FORM));
    let parameters = if has_body && is_form {
        signed_parameters(request.body)
    } else {
        String::new()
    };
    let is_signed = both_ports(request.url).iter().any(|url| {
        let message = [url.as_bytes(), parameters.as_bytes()];
        tokens.iter().any(|token| {
            if is_sha256 {
                mac::<Hmac<Sha256>>(token, &message)
                    .is_some_and(|mac| mac.verify_slice(&signature).is_ok())
            } else {
                mac::<Hmac<Sha1>>(token, &message)
                    .is_some_and(|mac| mac.verify_slice(&signature).is_ok())
            }
        })
    });
    if !is_signed {
        return Err(SignatureError::Mismatch);
    }
    // A body that is not a form is not in the signature itself, but its digest is, in the address.
    if has_body && !is_form && !has_digest(request.url, request.body) {
        return Err(SignatureError::Body);
    }
    Ok(())
}

/// The signature of a form as the provider would make it.
pub(crate) fn sign_form(token: &Secret, url: &str, body: &[u8]) -> Option<String> {
    let parameters = signed_parameters(body);
    let mac = mac::<Hmac<Sha1>>(token, &[url.as_bytes(), parameters.as_bytes()])?;
    Some(STANDARD.encode(mac.finalize().into_bytes()))
}

fn mac<M: Mac + KeyInit>(token: &Secret, message: &[&[u8]]) -> Option<M> {
    let key = token.reveal().as_bytes();
    if key.is_empty() {
        return None;
    }
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in message {
        mac.update(part);
    }
    Some(mac)
}

/// Every name with each of its distinct values, both in byte order, decoded and put together without separators.
fn signed_parameters(body: &[u8]) -> String {
    let mut parameters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        let values = parameters.entry(name.into_owned()).or_default();
        values.insert(value.into_owned());
    }
    let mut text = String::new();
    for (name, values) in parameters {
        for value in values {
            text.push_str(&name);
            text.push_str(&value);
        }
    }
    text
}

/// The address as it is, and with its port removed or the scheme's own port added.
fn both_ports(url: &str) -> Vec<String> {
    let mut urls = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return urls;
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    // A colon within brackets belongs to an address of version 6.
    let port_at = authority.rfind(':').filter(|at| {
        let is_in_host = authority.rfind(']').is_some_and(|bracket| bracket > *at);
        *at >= host_at && !is_in_host
    });
    urls.push(match (port_at, scheme) {
        (Some(at), _) => format!("{scheme}://{}{path}", authority.split_at(at).0),
        (None, "http") => format!("{scheme}://{authority}:80{path}"),
        (None, _) => format!("{scheme}://{authority}:443{path}"),
    });
    urls
}

fn has_digest(url: &str, body: &[u8]) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_DIGEST);
    found.is_some_and(|(_, digest)| digest == hex::encode(Sha256::digest(body)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Checked with the provider's own validator; one of them is published by the provider.
    const VECTORS: &str = include_str!("samples/signatures.json");

    fn judge(vector: &Value) -> Result<(), SignatureError> {
        let text = |name: &str| vector[name].as_str();
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        };
        put(SIGNATURE_HEADER, text("signature").unwrap());
        if let Some(content_type) = text("content_type") {
            put("content-type", content_type);
        }
        if text("algorithm") == Some("HMAC_SHA256") {
            put(
                SETTINGS_HEADER,
                "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
            );
        }
        let request = Request {
            method: text("method").unwrap(),
            url: text("url").unwrap(),
            headers: &headers,
            body: text("body").unwrap_or_default().as_bytes(),
        };
        verify(request, &[Secret::new(text("auth_token").unwrap())])
    }

    #[test]
    fn published_vectors_are_judged_as_published() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        assert_eq!(vectors.len(), 12);
        for vector in &vectors {
            let verdict = judge(vector);
            assert_eq!(
                verdict.is_ok(),
                vector["accept"] == true,
                "{}: {verdict:?}",
                vector["name"]
            );
        }
    }

    #[test]
    fn the_token_of_the_account_is_what_counts() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        for vector in vectors.iter().filter(|vector| vector["accept"] == true) {
            let mut other = vector.clone();
            other["auth_token"] = "fedcba9876543210fedcba9876543210".into();
            assert_eq!(judge(&other), Err(SignatureError::Mismatch));
            other["auth_token"] = "".into();
            assert_eq!(judge(&other), Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn a_port_may_be_there_or_not() {
        let other = |url: &str| both_ports(url).remove(1);
        assert_eq!(
            other("https://a.example/x?y=:1"),
            "https://a.example:443/x?y=:1"
        );
        assert_eq!(other("http://a.example"), "http://a.example:80");
        assert_eq!(other("https://a.example:8443/x"), "https://a.example/x");
        assert_eq!(
            other("https://user:pw@a.example/x"),
            "https://user:pw@a.example:443/x"
        );
        assert_eq!(other("https://[::1]/x"), "https://[::1]:443/x");
        assert_eq!(other("https://[::1]:444/x"), "https://[::1]/x");
    }

    #[test]
    fn an_unsigned_webhook_is_told_apart() {
        let request = Request {
            method: "POST",
            url: "https://a.example/",
            headers: &HeaderMap::new(),
            body: b"",
        };
        assert_eq!(
            verify(request, &[Secret::new("t")]),
            Err(SignatureError::Missing)
        );
    }

    proptest! {
        #[test]
        fn what_is_signed_passes_and_anything_else_does_not(
            fields in prop::collection::vec(("[A-Z][a-z]{0,5}", ".{0,8}"), 1..6),
            at in 0_usize..64,
        ) {
            let token = Secret::new("0123456789abcdef");
            let url = "https://hooks.example.test/twilio?x=1";
            let mut body = form_urlencoded::Serializer::new(String::new());
            body.extend_pairs(&fields);
            let body = body.finish();
            let mut headers = HeaderMap::new();
            headers.insert("content-type", FORM.parse().unwrap());
            let signature = sign_form(&token, url, body.as_bytes()).unwrap();
            headers.insert(SIGNATURE_HEADER, signature.parse().unwrap());
            let request = |body| Request { method: "POST", url, headers: &headers, body };
            let tokens = [token];
            prop_assert!(verify(request(body.as_bytes()), &tokens).is_ok());
            let (name, value) = &fields[at % fields.len()];
            let more = format!("{body}&{name}x={value}");
            prop_assert_eq!(verify(request(more.as_bytes()), &tokens), Err(SignatureError::Mismatch));
        }
    }
}
