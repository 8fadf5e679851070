//! Webhooks of the phone provider, written and signed as it does.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::answer::Answer;
use super::app::TestApp;
use super::people::{Organization, User};

/// What the webhooks of all tests are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "dGVzdC13ZWJob29rLXNlY3JldC10ZXN0LXdlYmhvb2s=";

/// A number of ours, and where its webhooks go.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Below the server's address.
    pub(crate) path: String,
    /// The provider's id of the number.
    pub(crate) number_sid: String,
    pub(crate) e164: String,
}

/// A webhook to deliver, as often as one likes.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    /// The provider's key of the event.
    pub(crate) id: String,
    pub(crate) body: String,
}

/// An incoming call.
#[derive(Debug, Clone)]
pub(crate) struct Incoming<'a> {
    pub(crate) sid: &'a str,
    pub(crate) from: &'a str,
    pub(crate) at: Timestamp,
}

fn after(at: Timestamp, seconds: i64) -> String {
    (at + SignedDuration::from_secs(seconds)).to_string()
}

impl Incoming<'_> {
    fn record(
        &self,
        line: &Line,
        status: &str,
        talked: Option<i64>,
        ended_after: Option<i64>,
    ) -> Value {
        json!({
            "id": self.sid,
            "object": "call",
            "phoneNumberId": line.number_sid,
            "direction": "incoming",
            "status": status,
            "participants": [self.from, line.e164],
            "createdAt": self.at.to_string(),
            "updatedAt": ended_after.map(|seconds| after(self.at, seconds)),
            "answeredAt": talked.map(|_| after(self.at, 5)),
            "answeredBy": null,
            "initiatedBy": null,
            "completedAt": ended_after.map(|seconds| after(self.at, seconds)),
            "duration": talked.unwrap_or(0),
            "forwardedFrom": null,
            "forwardedTo": null,
            "contactIds": [],
        })
    }

    /// It rings.
    pub(crate) fn ringing(&self, line: &Line) -> Webhook {
        let record = self.record(line, "ringing", None, None);
        Webhook::new(&format!("{}-ringing", self.sid), "call.ringing", &record)
    }

    /// It was answered after five seconds, and is over.
    pub(crate) fn answered(&self, line: &Line, talked: i64) -> Webhook {
        let record = self.record(line, "completed", Some(talked), Some(5 + talked));
        Webhook::new(
            &format!("{}-answered-{talked}", self.sid),
            "call.completed",
            &record,
        )
    }

    /// It rang for half a minute and nobody answered, as far as is known.
    pub(crate) fn missed(&self, line: &Line) -> Webhook {
        let record = self.record(line, "no-answer", None, Some(30));
        Webhook::new(&format!("{}-missed", self.sid), "call.completed", &record)
    }

    /// Nobody answered, and the caller left a message.
    pub(crate) fn voicemail(&self, line: &Line) -> Webhook {
        let record = json!({
            "id": self.sid,
            "object": "call",
            "createdAt": self.at.to_string(),
            "phoneNumberId": line.number_sid,
            "from": self.from,
            "to": line.e164,
            "direction": "incoming",
            "media": [],
            "voicemail": {"url": "http://127.0.0.1:9/vm.mp3", "type": "audio/mpeg", "duration": 12},
            "status": "completed",
            "answeredAt": null,
            "completedAt": after(self.at, 40),
        });
        let mut webhook = Webhook::new(
            &format!("{}-voicemail", self.sid),
            "call.completed",
            &record,
        );
        webhook.body = webhook.body.replace("\"v4\"", "\"v3\"");
        webhook
    }

    /// The recording of an answered call is ready.
    pub(crate) fn recorded(&self, line: &Line, talked: i64) -> Webhook {
        let mut record = self.record(line, "completed", Some(talked), Some(5 + talked));
        record["media"] =
            json!([{"url": "http://127.0.0.1:9/r.mp3", "type": "audio/mpeg", "duration": talked}]);
        Webhook::new(
            &format!("{}-recorded", self.sid),
            "call.recording.completed",
            &record,
        )
    }
}

impl Webhook {
    fn new(id: &str, kind: &str, record: &Value) -> Self {
        let body = json!({
            "id": format!("EV{id}"),
            "object": "event",
            "apiVersion": "v4",
            "createdAt": record["createdAt"],
            "type": kind,
            "data": {"object": record},
        });
        Self {
            id: format!("EV{id}"),
            body: body.to_string(),
        }
    }

    /// A text message to us.
    pub(crate) fn message(line: &Line, sid: &str, from: &str, at: Timestamp) -> Self {
        let record = json!({
            "id": sid,
            "object": "message",
            "from": from,
            "to": [line.e164],
            "direction": "incoming",
            "text": "Is Thursday free?",
            "status": "received",
            "createdAt": at.to_string(),
            "phoneNumberId": line.number_sid,
            "contactIds": [],
        });
        Self::new(sid, "message.received", &record)
    }

    /// The headers of a delivery at this time.
    pub(crate) fn headers(&self, now: Timestamp) -> [(&'static str, String); 4] {
        let (id, time) = (&self.id, now.as_second());
        let key = STANDARD.decode(WEBHOOK_SECRET).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{id}.{time}.{}", self.body).as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        [
            ("webhook-id", id.clone()),
            ("webhook-timestamp", time.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
            ("content-type", "application/json".to_owned()),
        ]
    }
}

impl TestApp {
    /// Connects an organization's account at the provider, with a number that it holds.
    pub(crate) async fn line(&self, organization: &Organization, admin: &User, e164: &str) -> Line {
        // Nothing of a test asks the real provider.
        sqlx::raw_sql(
            "create or replace function name_base_url() returns trigger language plpgsql as
                 $$ begin new.base_url := 'http://127.0.0.1:9'; return new; end $$;
             create or replace trigger name_base_url before insert on integrations for each row execute function name_base_url();",
        )
        .execute(&mut self.superuser().await)
        .await
        .unwrap();
        let (number, number_sid) = (
            Uuid::now_v7(),
            format!("PN{}", e164.trim_start_matches('+')),
        );
        let mut tx = self.platform().await;
        sqlx::query("insert into phone_numbers (id, e164, provider, provider_number_sid) values ($1, $2, 'openphone', $3)")
            .bind(number)
            .bind(e164)
            .bind(&number_sid)
            .execute(&mut *tx)
            .await
            .unwrap();
        // Calls of the past count too.
        sqlx::query("insert into number_mappings (id, phone_number_id, organization_id, starts_at) values ($1, $2, $3, '2020-01-01')")
            .bind(Uuid::now_v7())
            .bind(number)
            .bind(organization.id.uuid())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let made = self
            .post("/api/integrations")
            .user(admin)
            .organization(organization)
            .json(&json!({"provider": "openphone", "name": e164, "apiKey": "key", "webhookSecrets": [WEBHOOK_SECRET]}))
            .send()
            .await
            .expect(201);
        Line {
            path: made["webhookPath"].as_str().unwrap().to_owned(),
            number_sid,
            e164: e164.to_owned(),
        }
    }

    /// Delivers a webhook.
    pub(crate) async fn deliver(&self, line: &Line, webhook: &Webhook) -> Answer {
        let mut ask = self
            .post(&line.path)
            .body("application/json", webhook.body.clone());
        for (name, value) in webhook.headers(self.now()) {
            if name != "content-type" {
                ask = ask.header(name, value);
            }
        }
        ask.send().await
    }
}
