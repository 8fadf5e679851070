//! The HTTP answer that carries a page, or only the part of it that was asked for.

use askama::Template;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The request header that names the part of the page to send.
pub(crate) const FRAGMENT: HeaderName = HeaderName::from_static("x-fragment");

/// A page whose parts can be sent alone. The part and the page come from the same template.
pub(crate) trait Fragments: Template {
    /// The element with this id, or `None` if the page has no such part.
    fn fragment(&self, id: &str) -> Option<askama::Result<String>>;
}

/// The page, or the part of it that the request's `x-fragment` header names.
pub(crate) fn page_or_fragment(view: &impl Fragments, request: &HeaderMap) -> Response {
    let id = request.get(FRAGMENT).and_then(|it| it.to_str().ok());
    let body = id
        .and_then(|id| view.fragment(id))
        .unwrap_or_else(|| view.render());
    let mut response = html(StatusCode::OK, body);
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("x-fragment"));
    response
}

/// A whole page with a status.
pub(crate) fn page(status: StatusCode, view: &impl Template) -> Response {
    html(status, view.render())
}

fn html(status: StatusCode, body: askama::Result<String>) -> Response {
    match body {
        Ok(body) => {
            let no_store = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            let html = (
                header::CONTENT_TYPE,
                HeaderValue::from_static("text/html; charset=utf-8"),
            );
            (status, [html, no_store], body).into_response()
        }
        // A template fails only if writing into a string fails.
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;
    use crate::pages::samples;

    async fn body(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn asking_for(part: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(FRAGMENT, HeaderValue::from_static(part))])
    }

    #[tokio::test]
    async fn the_part_that_is_asked_for_comes_alone() {
        let response = page_or_fragment(&samples::communications(), &asking_for("list"));
        assert_eq!(response.headers()[header::VARY], "x-fragment");
        let part = body(response).await;
        assert!(
            part.trim_start().starts_with("<section id=\"list\""),
            "{part}"
        );
    }

    #[tokio::test]
    async fn an_unknown_part_is_answered_by_the_whole_page() {
        for request in [HeaderMap::new(), asking_for("nothing")] {
            let response = page_or_fragment(&samples::live(), &request);
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "text/html; charset=utf-8"
            );
            assert!(body(response).await.starts_with("<!doctype html>"));
        }
    }

    #[tokio::test]
    async fn a_page_is_never_kept_and_has_its_status() {
        let response = page(StatusCode::NOT_FOUND, &samples::error(404, "no such call"));
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
}
