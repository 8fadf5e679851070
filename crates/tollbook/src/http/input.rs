//! What a request brings: JSON bodies, forms, query parameters, ids in the path. Errors name the field.
//!
//! Fields are `camelCase`; the `snake_case` spelling of each is taken too. Names are changed in the text, without
//! going through a JSON value, so that a number reaches its type with all its digits.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::names;
use super::problem::Problem;
use crate::error::{Error, FieldError, Result};

/// A JSON body.
#[derive(Debug)]
pub(crate) struct Input<T>(pub(crate) T);

/// A JSON body as it was sent, for what reads its names by itself.
#[derive(Debug)]
pub(crate) struct RawInput(pub(crate) Bytes);

/// A CSV file as it was sent.
#[derive(Debug)]
pub(crate) struct CsvInput(pub(crate) Bytes);

/// The body of a page's form.
#[derive(Debug)]
pub(crate) struct Form<T>(pub(crate) T);

/// The query parameters.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

/// What is variable in the path, in order: one value or a tuple. What is no id of its kind is unknown: 404.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse as _;
        let body = body(request, state, "json").await?;
        parse_json(&body).map(Self).map_err(Error::into_response)
    }
}

impl<S: Send + Sync> FromRequest<S> for RawInput {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        body(request, state, "json").await.map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for CsvInput {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let is_csv = |essence: &str| essence.eq_ignore_ascii_case("text/csv");
        body_of(request, state, is_csv, "text/csv").await.map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = axum::response::Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        use axum::response::IntoResponse as _;
        let body = body(request, state, "x-www-form-urlencoded").await?;
        parse_pairs(&body).map(Self).map_err(Error::into_response)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        parse_pairs(parts.uri.query().unwrap_or_default().as_bytes()).map(Self)
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        <axum::extract::Path<T> as FromRequestParts<S>>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(path)| Self(path))
            .map_err(|_| Error::NotFound("address"))
    }
}

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> OptionalFromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>> {
        <axum::extract::Path<T> as OptionalFromRequestParts<S>>::from_request_parts(parts, state)
            .await
            .map(|found| found.map(|axum::extract::Path(path)| Self(path)))
            .map_err(|_| Error::NotFound("address"))
    }
}

/// The body, if its type ends in `kind`, such as `application/json` or `application/scim+json`.
async fn body<S: Send + Sync>(
    request: Request,
    state: &S,
    kind: &str,
) -> Result<Bytes, axum::response::Response> {
    let is_kind = |essence: &str| {
        let subtype = essence
            .strip_prefix("application/")
            .map(str::to_ascii_lowercase);
        subtype.is_some_and(|it| it == kind || it.ends_with(&format!("+{kind}")))
    };
    body_of(request, state, is_kind, &format!("application/{kind}")).await
}

/// The body, if its type is of the kind that is `named` otherwise.
async fn body_of<S: Send + Sync>(
    request: Request,
    state: &S,
    is_kind: impl Fn(&str) -> bool,
    named: &str,
) -> Result<Bytes, axum::response::Response> {
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if !is_kind(essence) {
        let detail = format!("the body must have the type `{named}`");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).into_response());
    }
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| Problem::of_status(rejection.status()).into_response())
}

/// Parses a JSON document whose field names may be spelt either way.
pub(crate) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    let malformed =
        |error: serde_json::Error| Error::Malformed(format!("the body is no JSON: {error}"));
    let raw: &RawValue = serde_json::from_slice(body).map_err(malformed)?;
    let mut text = String::with_capacity(body.len());
    names::write_camel_case(raw.get(), &mut text).map_err(malformed)?;
    let mut deserializer = serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        invalid(&path, &message)
    })
}

/// Parses form fields or query parameters whose names may be spelt either way.
pub(crate) fn parse_pairs<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(text)
        .map(|(name, value)| (names::camel_case(&name), value.into_owned()))
        .collect();
    let mut normalized = form_urlencoded::Serializer::new(String::new());
    let mut seen = BTreeSet::new();
    for (name, value) in &pairs {
        // Of a field given twice the first counts; the types would refuse both.
        if seen.insert(name) {
            normalized.append_pair(name, value);
        }
    }
    let normalized = normalized.finish();
    let deserializer =
        serde_urlencoded::Deserializer::new(form_urlencoded::parse(normalized.as_bytes()));
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        invalid(&path, &message)
    })
}

/// An error of the deserializer as one about a field: `missing field` names it in the message only.
fn invalid(path: &str, message: &str) -> Error {
    let message = message.split(" at line ").next().unwrap_or_default().trim();
    let path = if path == "." { "" } else { path };
    let quoted = |prefix: &str| message.strip_prefix(prefix)?.split('`').next();
    let (name, message) = if let Some(name) = quoted("missing field `") {
        (Some(name), "is required".to_owned())
    } else if let Some(name) = quoted("duplicate field `") {
        (Some(name), "is given twice".to_owned())
    } else {
        (None, message.to_owned())
    };
    let mut field = path.to_owned();
    if let Some(name) = name.filter(|name| !path.ends_with(name)) {
        let dot = if path.is_empty() { "" } else { "." };
        // Writing into a string does not fail.
        let _ = write!(field, "{dot}{name}");
    }
    if field.is_empty() {
        return Error::Malformed(format!("the body has the wrong form: {message}"));
    }
    Error::Invalid(vec![FieldError { field, message }])
}

/// Text of limited length, trimmed and not empty: names and the like.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct ShortText(String);

/// The longest [`ShortText`] in characters.
const SHORT_TEXT_MAX: usize = 200;

impl ShortText {
    pub(crate) fn into_inner(self) -> String {
        self.0
    }
}

impl TryFrom<String> for ShortText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let text = text.trim();
        match text.chars().count() {
            0 => Err("must not be empty".to_owned()),
            1..=SHORT_TEXT_MAX => Ok(Self(text.to_owned())),
            _ => Err(format!("must have at most {SHORT_TEXT_MAX} characters")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Item {
        unit_price: Box<RawValueText>,
        quantity: u32,
    }

    /// The digits of a number as they were written.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(from = "Box<RawValue>")]
    struct RawValueText(String);

    impl From<Box<RawValue>> for RawValueText {
        fn from(raw: Box<RawValue>) -> Self {
            Self(raw.get().to_owned())
        }
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Order {
        org_id: String,
        items: Vec<Item>,
    }

    fn fields(text: &str) -> String {
        match parse_json::<Order>(text.as_bytes()).unwrap_err() {
            Error::Invalid(errors) => format!("{}: {}", errors[0].field, errors[0].message),
            other => other.to_string(),
        }
    }

    #[test]
    fn both_spellings_are_taken_and_digits_are_kept() {
        let text =
            r#"{"org_id":"a","items":[{"unit_price":0.123456789012345678901,"quantity":1}]}"#;
        let snake: Order = parse_json(text.as_bytes()).unwrap();
        let camel = text
            .replace("org_id", "orgId")
            .replace("unit_price", "unitPrice");
        assert_eq!(snake, parse_json(camel.as_bytes()).unwrap());
        assert_eq!(snake.items[0].unit_price.0, "0.123456789012345678901");
    }

    #[test]
    fn the_field_is_named() {
        assert_eq!(
            fields(r#"{"orgId":"a","items":[{"unitPrice":1,"quantity":-1}]}"#),
            "items[0].quantity: invalid value: integer `-1`, expected u32"
        );
        assert_eq!(fields(r#"{"orgId":"a"}"#), "items: is required");
        assert_eq!(
            fields(r#"{"orgId":"a","items":[{"quantity":1}]}"#),
            "items[0].unitPrice: is required"
        );
        assert_eq!(
            fields(r#"{"orgId":"a","org_id":"b","items":[]}"#),
            "orgId: is given twice"
        );
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for text in ["", "{", "{]", "\u{1}", "{} {}"] {
            assert!(
                matches!(
                    parse_json::<Order>(text.as_bytes()),
                    Err(Error::Malformed(_))
                ),
                "{text}"
            );
        }
        assert!(matches!(
            parse_json::<Order>(&[b'"', 0xff, b'"']),
            Err(Error::Malformed(_))
        ));
    }

    #[test]
    fn pairs_are_named_too() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Filter {
            group_by: Option<String>,
            page_size: u8,
        }
        let filter: Filter = parse_pairs(b"group_by=a%20b&pageSize=7&pageSize=8").unwrap();
        assert_eq!(
            (filter.group_by.as_deref(), filter.page_size),
            (Some("a b"), 7)
        );
        let refused = parse_pairs::<Filter>(b"pageSize=x").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`pageSize` invalid digit found in string"
        );
        let missing = parse_pairs::<Filter>(b"").unwrap_err();
        assert_eq!(missing.to_string(), "`pageSize` is required");
    }
}
