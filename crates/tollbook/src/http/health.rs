//! Whether this node lives, whether it can work, and its figures.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use super::context;
use super::csrf::is_equal;
use crate::app::App;
use crate::error::{Error, Result};

/// Upper bounds of the time buckets, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The figures of this process, whatever the number of applications in it.
static FIGURES: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    // Bounds are refused only when there are none.
    let builder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .unwrap_or_else(|_| PrometheusBuilder::new());
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("figures are recorded elsewhere, `/metrics` stays empty");
    }
    handle
});

/// Starts recording figures; before that they are dropped.
pub(crate) fn record_figures() {
    LazyLock::force(&FIGURES);
}

/// `GET /healthz`: the process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: the database answers and has this binary's schema.
pub(crate) async fn readyz(State(app): State<App>) -> Result<&'static str> {
    if app.stop.is_cancelled() {
        return Err(Error::Unavailable("this node is stopping".to_owned()));
    }
    let is_current = app.db.is_migrated().await.map_err(|error| {
        tracing::warn!(%error, "not ready");
        Error::Unavailable("the database does not answer".to_owned())
    })?;
    if is_current {
        Ok("ready\n")
    } else {
        Err(Error::Unavailable(
            "the database lacks migrations; run `tollbook migrate`".to_owned(),
        ))
    }
}

/// `GET /metrics`: for Prometheus, by token or from this machine.
pub(crate) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.strip_prefix("Bearer "))
        .unwrap_or_default();
    let may_read = match &app.settings.metrics_token {
        Some(token) => is_equal(given.as_bytes(), token.expose().as_bytes()),
        None => context::current().is_some_and(|it| it.is_local()),
    };
    if !may_read {
        return Err(Error::Unauthorized(
            "metrics need the token of `METRICS_TOKEN`".to_owned(),
        ));
    }
    let (busy, size) = app.db.pool_use();
    let count = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
    metrics::gauge!("tollbook_database_sessions_busy").set(count(busy));
    metrics::gauge!("tollbook_database_sessions").set(f64::from(size));
    FIGURES.run_upkeep();
    let text = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, text)], FIGURES.render()).into_response())
}
