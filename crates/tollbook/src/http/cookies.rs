//! The cookies of the pages.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Settings;
use crate::error::{Error, Result};

/// The session's token.
pub(crate) const SESSION: &str = "tollbook_session";
/// Proves that a form without a session was made for this browser.
pub(crate) const FORM: &str = "tollbook_form";
/// Light, dark, or as the system has it.
pub(crate) const SCHEME: &str = "tollbook_scheme";

/// How long a cookie stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stay {
    /// Until the browser closes.
    UntilClosed,
    /// So many days.
    Days(u32),
    /// It goes now.
    Gone,
}

/// The value of a cookie of the request.
pub(crate) fn read<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|it| it.to_str().ok())
        .flat_map(|it| it.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(own, _)| *own == name)
        .map(|(_, value)| value)
}

/// A `Set-Cookie` header: out of reach of scripts and other sites. The value must be plain, such as base64.
pub(crate) fn set(
    settings: &Settings,
    name: &'static str,
    value: &str,
    stay: Stay,
) -> Result<HeaderValue> {
    let secure = if settings.is_https() { "; Secure" } else { "" };
    let age = match stay {
        Stay::UntilClosed => String::new(),
        Stay::Days(days) => format!("; Max-Age={}", u64::from(days) * 86_400),
        Stay::Gone => "; Max-Age=0".to_owned(),
    };
    HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}"
    ))
    .map_err(|_| Error::Internal(format!("the cookie `{name}` cannot be set")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_cookies_is_found() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; tollbook_session=x=y".parse().unwrap());
        headers.append(header::COOKIE, "tollbook_scheme=dark".parse().unwrap());
        assert_eq!(read(&headers, SESSION), Some("x=y"));
        assert_eq!(read(&headers, SCHEME), Some("dark"));
        assert_eq!(read(&headers, FORM), None);
    }

    #[test]
    fn a_cookie_is_secure_when_the_server_is_reached_by_https() {
        let mut settings = Settings::defaults();
        let plain = set(&settings, SESSION, "x", Stay::Days(14)).unwrap();
        assert_eq!(
            plain,
            "tollbook_session=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=1209600"
        );
        settings.server_url = Some("https://calls.example.com".to_owned());
        let secure = set(&settings, SESSION, "", Stay::Gone).unwrap();
        assert_eq!(
            secure,
            "tollbook_session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0"
        );
    }
}
