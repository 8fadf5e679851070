//! Stylesheet, scripts and icons, carried inside the binary.
//!
//! Their address contains a hash over all of them: `/assets/<hash>/app.css`. A browser may keep them for ever, a new
//! version has a new address, and modules find each other by their plain names within the same folder.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

/// The route of [`serve`].
pub(crate) const ROUTE: &str = "/assets/{hash}/{name}";

const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NOT_AT_ALL: HeaderValue = HeaderValue::from_static("no-cache");

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

struct Asset {
    plain: Bytes,
    gzip: Option<Bytes>,
    content_type: HeaderValue,
}

struct Assets {
    hash: String,
    by_name: BTreeMap<String, Asset>,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(Assets::load);

impl Assets {
    fn load() -> Self {
        let mut digest = Sha256::new();
        let mut by_name = BTreeMap::new();
        for name in Files::iter() {
            let Some(file) = Files::get(&name) else {
                continue;
            };
            digest.update(name.as_bytes());
            digest.update(file.metadata.sha256_hash());
            let content_type = HeaderValue::from_str(&with_charset(file.metadata.mimetype()));
            let asset = Asset {
                gzip: gzip(&file.data)
                    .ok()
                    .filter(|it| it.len() < file.data.len()),
                plain: Bytes::from(file.data.into_owned()),
                content_type: content_type
                    .unwrap_or(HeaderValue::from_static("application/octet-stream")),
            };
            by_name.insert(name.into_owned(), asset);
        }
        let mut hash = hex::encode(digest.finalize());
        hash.truncate(12);
        Self { hash, by_name }
    }
}

/// The address of an asset, for templates: `url("app.css")`.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", ASSETS.hash)
}

/// Serves one asset. An address with another version's hash still answers, so that an old tab keeps working after a
/// deploy, but is not kept.
pub(crate) async fn serve(
    Path((hash, name)): Path<(String, String)>,
    request: HeaderMap,
) -> Response {
    let Some(asset) = ASSETS.by_name.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let cache = if hash == ASSETS.hash {
        FOR_EVER
    } else {
        NOT_AT_ALL
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(header::CONTENT_TYPE, asset.content_type.clone());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    let body = match &asset.gzip {
        Some(gzip) if accepts_gzip(&request) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            gzip
        }
        _ => &asset.plain,
    };
    (headers, body.clone()).into_response()
}

fn accepts_gzip(request: &HeaderMap) -> bool {
    let accepted = request
        .get(header::ACCEPT_ENCODING)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    accepted
        .split(',')
        .map(str::trim)
        .any(|it| it == "gzip" || (it.starts_with("gzip;") && !it.ends_with("q=0")))
}

fn with_charset(mime: &str) -> String {
    if mime.starts_with("text/") {
        format!("{mime}; charset=utf-8")
    } else {
        mime.to_owned()
    }
}

fn gzip(data: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data)?;
    Ok(Bytes::from(encoder.finish()?))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use axum::routing::get;
    use flate2::read::GzDecoder;
    use tower::ServiceExt as _;

    use super::*;

    async fn fetch(address: &str, encoding: &str) -> (StatusCode, HeaderMap, Bytes) {
        let request = Request::get(address)
            .header("accept-encoding", encoding)
            .body(Body::empty())
            .unwrap();
        let response = Router::new()
            .route(ROUTE, get(serve))
            .oneshot(request)
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        (
            parts.status,
            parts.headers,
            to_bytes(body, usize::MAX).await.unwrap(),
        )
    }

    #[tokio::test]
    async fn an_asset_is_compressed_and_kept_for_ever() {
        let (status, headers, body) = fetch(&url("app.css"), "br, gzip").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["content-type"], "text/css; charset=utf-8");
        assert_eq!(headers["content-encoding"], "gzip");
        assert!(
            headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        let mut css = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut css).unwrap();
        assert!(css.contains("light-dark("));
    }

    #[tokio::test]
    async fn compression_is_only_for_those_who_understand_it() {
        for encoding in ["identity", "gzip;q=0"] {
            let (_, headers, body) = fetch(&url("app.css"), encoding).await;
            assert!(!headers.contains_key("content-encoding"));
            assert!(body.starts_with(b"/*") || body.starts_with(b"@"));
        }
    }

    #[tokio::test]
    async fn another_versions_address_answers_but_is_not_kept() {
        let (status, headers, _) = fetch("/assets/000000000000/app.css", "gzip").await;
        assert_eq!(
            (status, headers["cache-control"].to_str().unwrap()),
            (StatusCode::OK, "no-cache")
        );
    }

    #[tokio::test]
    async fn modules_are_javascript_and_unknown_names_are_unknown() {
        let (_, headers, _) = fetch(&url("app.js"), "gzip").await;
        assert!(
            headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/javascript")
        );
        assert_eq!(
            fetch(&url("nothing.js"), "gzip").await.0,
            StatusCode::NOT_FOUND
        );
    }
}
