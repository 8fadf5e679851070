//! The one way out: timeouts, limits on size and rate, and logs that never hold a credential, a query or a body.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use tollbook_core::calls::MediaUrl;

use crate::{Error, Malformed};

/// The largest answer of an API that is read; anything longer is a fault.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest stretch of a provider's text that goes into an error.
const MESSAGE_CHARS_MAX: usize = 300;

/// How long to wait for a provider.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the connection.
    pub connect: Duration,
    /// For the whole exchange, the body included.
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(30),
        }
    }
}

/// The HTTP client that all providers share. Cloning is cheap and keeps the connections.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    is_hurried: bool,
}

/// A client-side limit: requests per second, with a burst of as many.
#[derive(Debug, Clone)]
pub struct Budget(Arc<DefaultDirectRateLimiter>);

/// A file fetched from a provider.
#[derive(Debug, Clone)]
pub struct Download {
    /// The media type that the provider states.
    pub media_type: Option<String>,
    /// The file.
    pub bytes: Bytes,
}

/// An answer with any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

impl Http {
    /// Makes the client. `Unavailable` if the TLS library cannot be set up.
    ///
    /// Certificates are checked against the system's store. On a system without one, `https` addresses are refused
    /// and `http` ones, such as a sandbox's, still work.
    pub fn new(timeouts: Timeouts) -> Result<Self, Error> {
        // The provider is process-wide and may have been installed by another part; both install the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("tollbook/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(timeouts.connect)
                .timeout(timeouts.whole)
                .redirect(reqwest::redirect::Policy::limited(5))
        };
        let client = builder().build().or_else(|error| {
            tracing::warn!(%error, "no system certificates: https addresses will be refused");
            let tls = rustls::ClientConfig::builder()
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder().tls_backend_preconfigured(tls).build()
        });
        let client = client.map_err(|error| transport(error, false))?;
        Ok(Self {
            client,
            is_hurried: false,
        })
    }

    /// Asks as fast as it can, whatever the budgets of the providers: for stand-ins, which have time for everybody.
    #[must_use]
    pub fn hurried(mut self) -> Self {
        self.is_hurried = true;
        self
    }

    /// Waits for a free place in a budget.
    pub(crate) async fn wait(&self, budget: &Budget) {
        if !self.is_hurried {
            budget.wait().await;
        }
    }

    /// Begins a request.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request once; an answer with any status is an `Ok`.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Answer, Error> {
        let (response, began) = self.exchange(request).await?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let body = read(response, ANSWER_BYTES_MAX).await;
        tracing::debug!(status = status.as_u16(), elapsed = ?began.elapsed(), "answer read");
        // A refusal without its text is still a refusal.
        let body = match body {
            Err(_) if !status.is_success() => Bytes::new(),
            other => other?,
        };
        Ok(Answer {
            status,
            retry_after,
            body,
        })
    }

    /// Fetches a file of at most `bytes_max` bytes from an address that needs no credentials.
    ///
    /// `Rejected` with the status as code if the address has expired, `Malformed` if the file is larger.
    pub async fn download(&self, url: &MediaUrl, bytes_max: usize) -> Result<Download, Error> {
        let address = parse_url(url.reveal())?;
        self.download_by(self.request(Method::GET, address), bytes_max)
            .await
    }

    /// Fetches a file by a request that carries what it needs.
    pub(crate) async fn download_by(
        &self,
        request: RequestBuilder,
        bytes_max: usize,
    ) -> Result<Download, Error> {
        let (response, _) = self.exchange(request).await?;
        let status = response.status();
        if !status.is_success() {
            let answer = Answer {
                status,
                retry_after: retry_after(response.headers()),
                body: Bytes::new(),
            };
            return Err(answer.into_error(|_| None));
        }
        let media_type = media_type(response.headers());
        let bytes = read(response, bytes_max).await?;
        Ok(Download { media_type, bytes })
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<(Response, Instant), Error> {
        let request = request.build().map_err(|error| transport(error, false))?;
        let began = Instant::now();
        // The path and the query may hold numbers of people and signed addresses: neither is logged.
        let (method, host) = (
            request.method().clone(),
            request.url().authority().to_owned(),
        );
        let outcome = self.client.execute(request).await;
        let elapsed = began.elapsed();
        match outcome {
            Ok(response) => {
                tracing::debug!(%method, host, status = response.status().as_u16(), ?elapsed, "request");
                Ok((response, began))
            }
            Err(error) => {
                let error = transport(error, true);
                tracing::debug!(%method, host, %error, ?elapsed, "request failed");
                Err(error)
            }
        }
    }
}

impl Budget {
    /// At most so many requests a second.
    pub fn per_second(requests: NonZeroU32) -> Self {
        Self(Arc::new(RateLimiter::direct(Quota::per_second(requests))))
    }

    /// Waits for the next free place.
    async fn wait(&self) {
        self.0.until_ready().await;
    }

    /// Takes a place if one is free.
    pub(crate) fn take(&self) -> bool {
        self.0.check().is_ok()
    }
}

impl Answer {
    /// The body of a success as JSON; `explain` reads the provider's code and message out of a refusal.
    pub(crate) fn json<T: DeserializeOwned>(
        self,
        what: &'static str,
        explain: fn(&[u8]) -> Option<(String, String)>,
    ) -> Result<T, Error> {
        let answer = self.success(explain)?;
        serde_json::from_slice(&answer.body).map_err(|error| Malformed::json(what, &error).into())
    }

    /// Itself if it is a success.
    pub(crate) fn success(
        self,
        explain: fn(&[u8]) -> Option<(String, String)>,
    ) -> Result<Self, Error> {
        if self.status.is_success() {
            Ok(self)
        } else {
            Err(self.into_error(explain))
        }
    }

    fn into_error(self, explain: fn(&[u8]) -> Option<(String, String)>) -> Error {
        match self.status {
            StatusCode::UNAUTHORIZED => Error::Unauthorized,
            StatusCode::TOO_MANY_REQUESTS => Error::RateLimited {
                retry_after: self.retry_after,
            },
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                Error::Unavailable {
                    reason: format!("it answered {}", status.as_u16()),
                    may_have_acted: true,
                    source: None,
                }
            }
            status => {
                let (code, message) = explain(&self.body).unwrap_or_else(|| {
                    let reason = status.canonical_reason().unwrap_or("refused");
                    (status.as_u16().to_string(), reason.to_lowercase())
                });
                Error::Rejected {
                    code,
                    message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
                }
            }
        }
    }
}

/// An `http` or `https` address.
pub(crate) fn parse_url(text: &str) -> Result<Url, Malformed> {
    let problem = || Malformed::new("address", "not an http or https address");
    let url = Url::parse(text).map_err(|_| problem())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err(problem())
    }
}

fn transport(error: reqwest::Error, sent: bool) -> Error {
    let reason = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    Error::Unavailable {
        reason: reason.to_owned(),
        may_have_acted: sent && !error.is_connect(),
        source: Some(error.without_url()),
    }
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| transport(error, true))?
    {
        if body.len() + chunk.len() > bytes_max {
            let problem = format!("larger than {bytes_max} bytes");
            return Err(Malformed::new("answer", problem).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.to_owned())
}

/// Seconds, or a date, which is measured against the answer's own `Date` (RFC 9110, 10.2.3): our clock may differ.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::parse(text).ok()?.timestamp();
    let now = rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?;
    Duration::try_from(until.duration_since(now.timestamp())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(reqwest::header::HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let of = |pairs: &[_]| retry_after(&headers(pairs));
        assert_eq!(of(&[(RETRY_AFTER, "7")]), Some(Duration::from_secs(7)));
        assert_eq!(
            of(&[
                (RETRY_AFTER, "Tue, 06 Jan 2026 15:04:35 GMT"),
                (DATE, "Tue, 06 Jan 2026 15:04:05 GMT")
            ]),
            Some(Duration::from_secs(30))
        );
        assert_eq!(of(&[(RETRY_AFTER, "soon")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn only_web_addresses_are_followed() {
        assert!(parse_url("http://127.0.0.1:8080/x").is_ok());
        for text in [
            "file:///etc/passwd",
            "ftp://a.example",
            "not an address",
            "",
        ] {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_status_becomes_what_the_caller_can_do() {
        let of = |status: u16, body: &'static str| {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                body: Bytes::from_static(body.as_bytes()),
            };
            answer.into_error(|_| None)
        };
        assert!(matches!(of(401, ""), Error::Unauthorized));
        assert!(of(429, "").is_transient() && !of(429, "").may_have_acted());
        assert!(of(503, "").is_transient() && of(503, "").may_have_acted());
        let Error::Rejected { code, message } = of(404, "") else {
            panic!("404 is a refusal");
        };
        assert_eq!((code.as_str(), message.as_str()), ("404", "not found"));
    }
}
