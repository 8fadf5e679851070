//! Requests and their answers.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::app::TestApp;
use super::people::{Organization, User};
use super::stream::EventStream;

/// A request in the making.
pub(crate) struct Ask<'a> {
    app: &'a TestApp,
    request: RequestBuilder,
}

impl<'a> Ask<'a> {
    pub(super) fn new(app: &'a TestApp, method: Method, path: &str) -> Self {
        Self {
            app,
            request: app.client.request(method, format!("{}{path}", app.base)),
        }
    }

    /// As a user, by a Supabase token.
    pub(crate) fn user(self, user: &User) -> Self {
        let token = self.app.token(user);
        self.bearer(&token)
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// About an organization, by the header.
    pub(crate) fn organization(self, organization: &Organization) -> Self {
        self.header("x-organization-id", organization.id.to_string())
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.request = self.request.header(
            HeaderName::from_static(name),
            HeaderValue::from_str(value.as_ref()).unwrap(),
        );
        self
    }

    /// With the session cookie or others.
    pub(crate) fn cookie(self, cookie: &str) -> Self {
        self.header("cookie", cookie)
    }

    /// As a browser does.
    pub(crate) fn browser(self) -> Self {
        self.header("accept", "text/html,application/xhtml+xml")
    }

    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.request = self.request.json(body);
        self
    }

    pub(crate) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        self.request = self.request.form(fields);
        self
    }

    pub(crate) fn body(mut self, content_type: &'static str, body: impl Into<String>) -> Self {
        self.request = self
            .request
            .header("content-type", content_type)
            .body(body.into());
        self
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(self) -> Answer {
        let response = self.request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer {
            status,
            headers,
            text,
        }
    }

    /// Opens a stream of events.
    #[track_caller]
    pub(crate) fn stream(self) -> impl Future<Output = EventStream> {
        let request = self.request.header("accept", "text/event-stream");
        async move {
            let response = request.send().await.unwrap();
            assert_eq!(response.status().as_u16(), 200, "{:?}", response.headers());
            EventStream::new(response)
        }
    }

    /// Sends it and reads the answer unless it succeeds, since a stream would never end.
    pub(crate) async fn send_for_status(self) -> Answer {
        let response = self.request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = if status.is_success() {
            String::new()
        } else {
            response.text().await.unwrap()
        };
        Answer {
            status: status.as_u16(),
            headers,
            text,
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The same, after checking the status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        if self.text.is_empty() {
            Value::Null
        } else {
            self.json()
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map(|it| it.to_str().unwrap())
            .unwrap_or_default()
    }

    /// The name and value of each cookie that is set.
    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        self.headers
            .get_all("set-cookie")
            .iter()
            .map(|it| {
                let text = it.to_str().unwrap();
                let (name, rest) = text.split_once('=').unwrap();
                let value = rest.split(';').next().unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn cookie(&self, name: &str) -> String {
        let cookies = self.cookies();
        let found = cookies.iter().find(|it| it.0 == name);
        found
            .unwrap_or_else(|| panic!("no cookie `{name}` in {cookies:?}"))
            .1
            .clone()
    }
}
