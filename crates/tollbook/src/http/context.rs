//! The request that is being answered, for logs and the audit log.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;
use uuid::Uuid;

use crate::config::Settings;

/// What is known about a request from outside its handler.
#[derive(Debug)]
pub(crate) struct Context {
    /// The client's `X-Request-Id`, or one of ours.
    pub(crate) request_id: String,
    /// The trace that the client says this belongs to.
    pub(crate) trace_id: Option<String>,
    /// Whom the request comes from, behind the proxies that are trusted.
    pub(crate) address: Option<IpAddr>,
    /// Who was recognized, for the log line.
    pub(crate) principal: OnceLock<String>,
}

tokio::task_local! {
    static CURRENT: Arc<Context>;
}

/// The request that this task answers, if it answers one.
pub(crate) fn current() -> Option<Arc<Context>> {
    CURRENT.try_with(Arc::clone).ok()
}

impl Context {
    /// Reads the request's head.
    pub(crate) fn of(request: &Request, settings: &Settings) -> Self {
        let headers = request.headers();
        let peer = request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|it| it.0.ip());
        Self {
            request_id: text(headers, "x-request-id")
                .filter(|it| is_plain(it))
                .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned),
            trace_id: text(headers, "traceparent")
                .and_then(trace_id)
                .map(str::to_owned),
            address: peer.map(|peer| client_address(peer, headers, &settings.trusted_proxies)),
            principal: OnceLock::new(),
        }
    }

    /// Runs `future` as a part of answering this request.
    pub(crate) async fn scope<F: Future>(self: Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    /// Whether the client is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.address
            .is_some_and(|it| it.to_canonical().is_loopback())
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Whether an id of a client's may go into our logs.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The trace id of a W3C `traceparent`: `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut parts = traceparent.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let is_valid = version.len() == 2
        && trace.len() == 32
        && trace.bytes().all(|it| it.is_ascii_hexdigit())
        && trace.bytes().any(|it| it != b'0');
    is_valid.then_some(trace)
}

/// The last address that no trusted proxy has: what comes before it in `X-Forwarded-For` is the client's own claim.
fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpAddr]) -> IpAddr {
    let is_trusted = |address: IpAddr| {
        let address = address.to_canonical();
        address.is_loopback() || trusted.contains(&address)
    };
    if !is_trusted(peer) {
        return peer;
    }
    let forwarded: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(','))
        .collect();
    let mut nearest = peer;
    for address in forwarded.iter().rev() {
        let Ok(address) = address.trim().parse() else {
            break;
        };
        nearest = address;
        if !is_trusted(address) {
            break;
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        client_address(
            peer.parse().unwrap(),
            &headers,
            &["10.0.0.1".parse().unwrap()],
        )
        .to_string()
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        assert_eq!(client("192.0.2.9", "198.51.100.1"), "192.0.2.9");
        assert_eq!(client("127.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(
            client("127.0.0.1", "203.0.113.5, 198.51.100.1, 10.0.0.1"),
            "198.51.100.1"
        );
        assert_eq!(client("127.0.0.1", "nonsense"), "127.0.0.1");
    }

    #[test]
    fn a_trace_is_taken_from_a_valid_traceparent_only() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(trace_id(&format!("00-{id}-00f067aa0ba902b7-01")), Some(id));
        assert_eq!(
            trace_id(&format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))),
            None
        );
        assert_eq!(trace_id("x"), None);
    }

    #[test]
    fn a_request_id_that_could_break_a_log_line_is_replaced() {
        assert!(is_plain("req-1.A_b") && !is_plain("a b") && !is_plain("a\nb"));
        assert!(!is_plain("") && !is_plain(&"x".repeat(65)));
    }
}
