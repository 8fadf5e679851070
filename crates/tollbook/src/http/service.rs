//! The service: what stands around every route.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};

use super::caller::Access;
use super::guard::{self, Guard};
use super::limits::Limits;
use super::router::{BOOK, DECK_IMPORT, Route, routes};
use super::{enter, health};
use crate::app::App;
use crate::config::Settings;
use crate::moving;

/// The longest body in bytes, except for webhooks and books.
const BODY_MAX: usize = 1 << 20;
/// The longest webhook in bytes: transcripts of long calls are large.
const WEBHOOK_MAX: usize = 4 << 20;

/// The longest file of a price deck in bytes: half a million prefixes.
const DECK_MAX: usize = 32 << 20;

/// The application's HTTP service.
pub fn router(app: App) -> Router {
    health::record_figures();
    let limits = Arc::new(Limits::new(&app.settings));
    let mut router = Router::new();
    for route in routes() {
        router = router.route(route.path, wrap(&app, &limits, route));
    }
    router
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(from_fn_with_state(app.clone(), enter::enter))
        .layer(cors(&app.settings))
        .layer(CompressionLayer::new().gzip(true))
        .with_state(app)
}

/// Puts around a handler what its callers need: the last layer is the first to see a request.
fn wrap(app: &App, limits: &Arc<Limits>, route: Route) -> MethodRouter<App> {
    let body_max = match route.access {
        Access::Webhook => {
            return route
                .handler
                .route_layer(DefaultBodyLimit::max(WEBHOOK_MAX));
        }
        _ if route.path == DECK_IMPORT => DefaultBodyLimit::max(DECK_MAX),
        _ if route.path == BOOK => DefaultBodyLimit::max(moving::BOOK_BYTES_MAX),
        _ => DefaultBodyLimit::max(BODY_MAX),
    };
    let guard = Guard::new(app.clone(), Arc::clone(limits), route.access);
    let guarded = from_fn_with_state(guard, guard::guard);
    route.handler.route_layer(guarded).route_layer(body_max)
}

fn cors(settings: &Settings) -> CorsLayer {
    let origins: Vec<HeaderValue> = settings
        .cors_origins
        .iter()
        .filter_map(|it| it.trim_end_matches('/').parse().ok())
        .collect();
    let exposed = [
        "x-request-id",
        "retry-after",
        "etag",
        "location",
        "content-range",
    ]
    .into_iter()
    .chain(["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]);
    // Cookies are not for other origins: they come with tokens.
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods(AllowMethods::list([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ]))
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(exposed.map(HeaderName::from_static)))
        .max_age(std::time::Duration::from_hours(1))
}
