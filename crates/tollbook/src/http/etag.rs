//! Answers that a client keeps and asks for again only if they have changed.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// The document with an `ETag`, or 304 without a body if `If-None-Match` names the same. It is the reader's own, so no
/// cache between may keep it.
pub(crate) fn json(request: &HeaderMap, document: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(document)
        .map_err(|error| Error::Internal(format!("a document cannot be written: {error}")))?;
    let digest = hex::encode(
        Sha256::digest(&body)
            .first_chunk::<16>()
            .unwrap_or(&[0; 16]),
    );
    let tag = format!("\"{digest}\"");
    let headers = [
        (header::ETAG, header(&tag)?),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
        (
            header::VARY,
            HeaderValue::from_static("authorization, cookie, x-organization-id"),
        ),
    ];
    if is_known(request, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let json = HeaderValue::from_static("application/json");
    Ok((headers, [(header::CONTENT_TYPE, json)], body).into_response())
}

fn header(tag: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(tag).map_err(|error| Error::Internal(error.to_string()))
}

/// Whether `If-None-Match` has the tag. Compression on the way makes tags weak, so they are compared weakly.
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .map(str::trim)
        .any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_sent_again() {
        let first = json(&HeaderMap::new(), &["a"]).unwrap();
        let tag = first.headers()[header::ETAG].clone();
        for known in [
            tag.to_str().unwrap().to_owned(),
            format!("\"x\", W/{}", tag.to_str().unwrap()),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, known.parse().unwrap());
            assert_eq!(
                json(&request, &["a"]).unwrap().status(),
                StatusCode::NOT_MODIFIED
            );
            assert_eq!(json(&request, &["b"]).unwrap().status(), StatusCode::OK);
        }
    }
}
