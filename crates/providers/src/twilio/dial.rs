//! Calls that we ask for.

use reqwest::Method;

use super::client::{Client, explain};
use super::wire::Call;
use crate::Error;

/// A call to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCall {
    /// Our number.
    pub from: String,
    /// Who is called: a number, `client:…` or `sip:…`.
    pub to: String,
    /// Where the provider asks for instructions once it is answered.
    pub url: String,
    /// Where the provider tells how far it is.
    pub status_url: String,
    /// The longest it may last, in seconds; the provider's limit of four hours without it.
    pub seconds_max: Option<u32>,
}

impl Client {
    /// Places a call. The provider's id of it.
    ///
    /// There are no idempotency keys: where the error says that the provider may have acted, the call will show in its
    /// own webhooks, and asking again rings twice.
    pub async fn dial(&self, call: &NewCall) -> Result<String, Error> {
        let limit = call.seconds_max.map(|seconds| seconds.to_string());
        let mut fields = vec![
            ("From", call.from.as_str()),
            ("To", &call.to),
            ("Url", &call.url),
            ("StatusCallback", &call.status_url),
        ];
        for event in ["initiated", "ringing", "answered", "completed"] {
            fields.push(("StatusCallbackEvent", event));
        }
        fields.extend(limit.as_deref().map(|limit| ("TimeLimit", limit)));
        let answer = self
            .send(Method::POST, self.url(&["Calls"]), &fields)
            .await?;
        let record: Call = answer.json("call", explain)?;
        Ok(record.sid)
    }

    /// Ends a call that is going on.
    pub async fn hang_up(&self, sid: &str) -> Result<(), Error> {
        let fields = [("Status", "completed")];
        let answer = self
            .send(Method::POST, self.url(&["Calls", sid]), &fields)
            .await?;
        answer.success(explain).map(drop)
    }
}
