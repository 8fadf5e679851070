//! Webhooks at the door: what is not the provider's leaves nothing but a count, what is the provider's is never lost.

use std::io::Write as _;
use std::net::TcpStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::Sha256;
use tollbook_core::ids::IntegrationId;
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::{Knobs, ScriptedCall};

use crate::support::{Answer, Organization, Phones, TestApp, User};

const SECRET: &str = "d2ViaG9vay1zZWNyZXQtb2YtdGhlLXRlc3Rz";
const LINE: &str = "+12125550101";

/// A signed webhook, to be spoilt.
#[derive(Clone)]
struct Signed {
    body: String,
    id: String,
    at: Timestamp,
    secret: &'static str,
    is_standard: bool,
}

fn sign(secret: &str, parts: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(&STANDARD.decode(secret).unwrap()).unwrap();
    for part in parts {
        mac.update(part.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

impl Signed {
    fn headers(&self) -> Vec<(&'static str, String)> {
        if self.is_standard {
            let at = self.at.as_second().to_string();
            let signature = sign(self.secret, &[&self.id, ".", &at, ".", &self.body]);
            vec![
                ("webhook-id", self.id.clone()),
                ("webhook-timestamp", at),
                ("webhook-signature", format!("v1,{signature}")),
            ]
        } else {
            let at = self.at.as_millisecond().to_string();
            let signature = sign(self.secret, &[&at, ".", &self.body]);
            vec![("openphone-signature", format!("hmac;1;{at};{signature}"))]
        }
    }

    async fn send(&self, app: &TestApp, path: &str) -> Answer {
        send(app, path, &self.headers(), &self.body).await
    }
}

async fn send(app: &TestApp, path: &str, headers: &[(&'static str, String)], body: &str) -> Answer {
    let mut ask = app.post(path).body("application/json", body);
    for (name, value) in headers {
        ask = ask.header(name, value);
    }
    ask.send().await
}

/// A connected account whose secret the test knows.
struct Door {
    app: TestApp,
    phones: Phones,
    acme: Organization,
    ann: User,
    integration: IntegrationId,
    path: String,
}

impl Door {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let acme = app.organization("Acme").await;
        let ann = app.admin(&acme).await;
        let phones = Phones::start(&app).await;
        phones.workspace("acme", &[LINE]);
        let integration = phones.connect(&app, &acme, "acme", Surface::V2026).await;
        let door = Self {
            path: format!("/webhooks/openphone/{integration}"),
            app,
            phones,
            acme,
            ann,
            integration,
        };
        door.change(&json!({"webhookSecrets": [SECRET]}))
            .await
            .expect(200);
        door
    }

    async fn change(&self, change: &Value) -> Answer {
        let path = format!("/api/integrations/{}", self.integration);
        let ask = self.app.request(reqwest::Method::PATCH, &path);
        ask.user(&self.ann)
            .organization(&self.acme)
            .json(change)
            .send()
            .await
    }

    fn ringing(&self, id: &str, is_standard: bool) -> Signed {
        let now = self.app.now();
        let call = json!({"id": format!("AC{id}"), "object": "call", "direction": "incoming", "status": "ringing",
            "createdAt": now, "updatedAt": now, "from": "+13035550100", "to": LINE});
        let body = json!({"id": id, "object": "event", "apiVersion": "v3", "type": "call.ringing", "createdAt": now,
            "data": {"object": call}});
        Signed {
            body: body.to_string(),
            id: id.to_owned(),
            at: now,
            secret: SECRET,
            is_standard,
        }
    }

    async fn inbox(&self, query: &str) -> Vec<Value> {
        let path = format!("/api/integrations/{}/inbox?{query}", self.integration);
        let answer = self
            .app
            .get(&path)
            .user(&self.ann)
            .organization(&self.acme)
            .send()
            .await;
        answer.expect(200)["data"].as_array().unwrap().clone()
    }

    async fn refused(&self) -> Vec<(String, i64)> {
        let mut tx = self.app.platform().await;
        sqlx::query_as("select reason, count from webhook_rejections order by reason")
            .fetch_all(&mut *tx)
            .await
            .unwrap()
    }

    /// Waits until nothing is left to interpret.
    async fn settled(&self) {
        let waiting = "select count(*) from inbox_queue where parked_at is null";
        self.app
            .eventually("all is interpreted", async || {
                self.app.count(waiting).await == 0
            })
            .await;
        self.app.app.settle().await.unwrap();
    }
}

const STORED: &str = "select count(*) from inbox";

#[tokio::test]
async fn a_webhook_that_is_not_the_providers_leaves_nothing_but_a_count() {
    let door = Door::new().await;
    for is_standard in [true, false] {
        let good = door.ringing("EV1", is_standard);
        let other = Signed {
            secret: "YW5vdGhlci1zZWNyZXQ=",
            ..good.clone()
        };
        assert_eq!(
            other.send(&door.app, &door.path).await.status,
            401,
            "wrong secret"
        );
        let changed = good.body.replace("+13035550100", "+13035550199");
        let headers = good.headers();
        assert_eq!(
            send(&door.app, &door.path, &headers, &changed).await.status,
            401,
            "another body"
        );
        assert_eq!(
            send(&door.app, &door.path, &[], &good.body).await.status,
            401,
            "no signature"
        );
        let garbled: Vec<_> = headers
            .iter()
            .map(|(name, _)| (*name, "x;y".to_owned()))
            .collect();
        assert_eq!(
            send(&door.app, &door.path, &garbled, &good.body)
                .await
                .status,
            401,
            "no such form"
        );
        for minutes in [-10, 10] {
            let at = good.at + SignedDuration::from_mins(minutes);
            let stale = Signed { at, ..good.clone() };
            assert_eq!(
                stale.send(&door.app, &door.path).await.status,
                401,
                "{minutes} minutes off"
            );
        }
    }
    assert_eq!(door.app.count(STORED).await, 0);
    let expected = [("missing", 4), ("stale", 4), ("wrong", 4)];
    let expected: Vec<_> = expected
        .map(|(reason, count)| (reason.to_owned(), count))
        .into();
    assert_eq!(door.refused().await, expected);
}

#[tokio::test]
async fn a_webhook_is_stored_once_and_not_under_anothers_name() {
    let door = Door::new().await;
    for (number, is_standard) in [true, false].into_iter().enumerate() {
        let good = door.ringing(&format!("EV{number}"), is_standard);
        for _ in 0..3 {
            assert_eq!(good.send(&door.app, &door.path).await.status, 204);
        }
        let body = good.body.replace("+13035550100", "+13035550199");
        let other = Signed { body, ..good };
        let answer = other.send(&door.app, &door.path).await;
        assert_eq!(answer.expect(409)["code"], "event_conflict");
    }
    assert_eq!(door.app.count(STORED).await, 2);
    door.settled().await;
    assert_eq!(door.app.count("select count(*) from calls").await, 2);
    assert_eq!(door.app.count("select count(*) from call_events").await, 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_stored_shown_and_holds_up_nobody() {
    let door = Door::new().await;
    let good = door.ringing("EV1", true);
    let mut bad = vec![
        "{".to_owned(),
        String::new(),
        "null".to_owned(),
        "\u{0}\u{1}".to_owned(),
        "[]".to_owned(),
    ];
    bad.push(good.body[..good.body.len() / 2].to_owned());
    bad.push(r#"{"id": "EV9", "type": "call.ringing", "data": {"object": {"id": ["AC1"], "createdAt": "yesterday"}}}"#.to_owned());
    bad.push(json!({"id": "EV8", "type": "call.ringing", "createdAt": "2026-03-02T15:00:00Z",
        "data": {"object": {"id": "AC8", "direction": "incoming", "createdAt": "9999-12-30T23:59:59Z", "from": "\u{0}", "to": LINE}}})
        .to_string());
    let count = bad.len();
    for (number, body) in bad.into_iter().enumerate() {
        let signed = Signed {
            body,
            id: format!("bad {number}"),
            ..good.clone()
        };
        assert_eq!(
            signed.send(&door.app, &door.path).await.status,
            204,
            "{number}"
        );
    }
    assert_eq!(good.send(&door.app, &door.path).await.status, 204);
    door.settled().await;
    let parked = door.inbox("state=parked").await;
    assert_eq!(parked.len(), count, "{parked:#?}");
    for one in &parked {
        assert!(!one["error"].as_str().unwrap().is_empty(), "{one}");
        assert_eq!(one["verdict"], "standard-webhooks");
    }
    let done = door.inbox("state=done").await;
    assert_eq!(done.len(), 1);
    assert_eq!(done[0]["eventKey"], "EV1");
    assert_eq!(door.inbox("limit=3").await.len(), 3);
    assert_eq!(door.app.count("select count(*) from calls").await, 1);

    // The provider's own sandbox cuts bodies as well.
    door.phones.sandbox.set_knobs(Knobs {
        malformed_webhook_next: 1,
        ..Knobs::default()
    });
    let bob = door.app.organization("Bob & Sons").await;
    door.phones.workspace("bob", &["+12125550901"]);
    door.phones
        .connect_straight(&door.app, &bob, "bob", Surface::V1)
        .await;
    let call = ScriptedCall::answered("+13035550100", "+12125550901", door.app.now(), 60);
    door.phones.sandbox.play(&call).unwrap();
    let drained = door
        .phones
        .sandbox
        .drain(door.app.now() + SignedDuration::from_mins(2))
        .await;
    assert_eq!((drained.refused, drained.delivered > 1), (0, true));
}

#[tokio::test]
async fn too_much_and_nowhere_are_refused() {
    let door = Door::new().await;
    let large = Signed {
        body: format!("\"{}\"", "x".repeat(4 << 20)),
        ..door.ringing("EV1", true)
    };
    assert_eq!(large.send(&door.app, &door.path).await.status, 413);
    let good = door.ringing("EV2", true);
    let nowhere = format!("/webhooks/openphone/{}", uuid::Uuid::now_v7());
    assert_eq!(good.send(&door.app, &nowhere).await.status, 404);
    assert_eq!(
        good.send(&door.app, "/webhooks/openphone/x").await.status,
        404
    );
    assert_eq!(
        good.send(&door.app, "/webhooks/openphone").await.status,
        404,
        "no account of the platform"
    );
    door.change(&json!({"active": false})).await.expect(200);
    assert_eq!(good.send(&door.app, &door.path).await.status, 404, "ended");
    assert_eq!(door.app.count(STORED).await, 0);
    door.change(&json!({"active": true})).await.expect(200);
    assert_eq!(good.send(&door.app, &door.path).await.status, 204);
}

#[tokio::test]
async fn a_client_that_goes_away_in_the_middle_leaves_nothing_open() {
    let door = Door::new().await;
    let good = door.ringing("EV1", true);
    let address = door.app.base.strip_prefix("http://").unwrap();
    for part in [0, 10, good.body.len()] {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n",
            door.path,
            good.body.len()
        );
        for (name, value) in good.headers() {
            head += &[name, ": ", &value, "\r\n"].concat();
        }
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(format!("{head}\r\n{}", &good.body[..part]).as_bytes())
            .unwrap();
    }
    let open = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'
        and state_change < clock_timestamp() - interval '200 milliseconds'";
    // The whole one may or may not have been heard; either way it can come again.
    assert_eq!(good.send(&door.app, &door.path).await.status, 204);
    door.settled().await;
    assert_eq!(door.app.count(open).await, 0);
    assert_eq!(door.app.count("select count(*) from calls").await, 1);
}

#[tokio::test]
async fn a_replay_changes_nothing() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (ann, bob) = (app.admin(&acme).await, app.organization("Bob").await);
    let stranger = app.admin(&bob).await;
    app.sell_per_call(&acme).await;
    let phones = Phones::start(&app).await;
    phones.workspace("acme", &[LINE]);
    let integration = phones
        .connect_straight(&app, &acme, "acme", Surface::V2026)
        .await;
    let call = ScriptedCall {
        is_recorded: true,
        ..ScriptedCall::answered("+13035550100", LINE, app.now(), 90)
    };
    phones.sandbox.play(&call).unwrap();
    phones.pass(&app, 4).await;
    let facts = "select (select count(*) from calls) || ' ' || (select count(*) from call_events) || ' ' ||
        (select count(*) from usage_events) || ' ' || (select count(*) from charges) || ' ' || (select count(*) from recordings)";
    let read = async || {
        let mut tx = app.platform().await;
        let facts: String = sqlx::query_scalar(facts).fetch_one(&mut *tx).await.unwrap();
        facts
    };
    let before = read().await;
    assert!(before.starts_with("1 4 3"), "{before}");
    let path = format!("/api/integrations/{integration}/inbox");
    let list = app
        .get(&path)
        .user(&ann)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    let rows = list["data"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{rows:#?}");
    for row in rows {
        let replay = format!("{path}/{}/replay", row["id"].as_str().unwrap());
        assert_eq!(
            app.post(&replay)
                .user(&stranger)
                .organization(&bob)
                .send()
                .await
                .status,
            404
        );
        let answer = app
            .post(&replay)
            .user(&ann)
            .organization(&acme)
            .send()
            .await;
        assert_eq!(answer.expect(202)["state"], "waiting");
    }
    assert_eq!(
        app.get(&path)
            .user(&stranger)
            .organization(&bob)
            .send()
            .await
            .status,
        404
    );
    app.eventually("all is interpreted", async || {
        app.count("select count(*) from inbox_queue").await == 0
    })
    .await;
    app.app.settle().await.unwrap();
    assert_eq!(read().await, before);
    assert_eq!(
        app.count("select count(*) from audit_log where action = 'webhook.replayed'")
            .await,
        4
    );
}

#[tokio::test]
async fn secrets_are_taken_and_never_shown() {
    let door = Door::new().await;
    let new = "cm90YXRlZC13ZWJob29rLXNlY3JldA==";
    let answer = door
        .change(&json!({"name": "Front desk", "apiKey": "acme", "webhookSecrets": [new, SECRET]}))
        .await;
    let shown = answer.expect(200);
    assert_eq!(
        (&shown["name"], &shown["active"]),
        (&json!("Front desk"), &json!(true))
    );
    assert_eq!(shown["webhookPath"], door.path.as_str());
    for secret in [SECRET, new] {
        assert!(!answer.text.contains(secret));
        // While one is rotated out, both are good.
        let signed = Signed {
            secret: if secret == new {
                "cm90YXRlZC13ZWJob29rLXNlY3JldA=="
            } else {
                SECRET
            },
            ..door.ringing(&format!("EV{}", secret.len()), true)
        };
        assert_eq!(signed.send(&door.app, &door.path).await.status, 204);
    }
    door.change(&json!({"webhookSecrets": [new]}))
        .await
        .expect(200);
    assert_eq!(
        door.ringing("EV7", true)
            .send(&door.app, &door.path)
            .await
            .status,
        401
    );
    let mut tx = door.app.platform().await;
    let deeds: Vec<String> = sqlx::query_scalar(
        "select concat_ws(' ', before, after) from audit_log where action = 'integration.changed' order by id",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert_eq!(deeds.len(), 3);
    assert!(
        deeds
            .iter()
            .all(|deed| !deed.contains(SECRET) && !deed.contains(new)),
        "{deeds:?}"
    );
    for (change, field) in [
        (json!({"name": " "}), "name"),
        (json!({"webhookSecrets": [""]}), "webhookSecrets[0]"),
    ] {
        let refused = door.change(&change).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field);
    }
    let path = format!("/api/integrations/{}", uuid::Uuid::now_v7());
    let ask = door
        .app
        .request(reqwest::Method::PATCH, &path)
        .user(&door.ann);
    assert_eq!(
        ask.organization(&door.acme)
            .json(&json!({"name": "x"}))
            .send()
            .await
            .status,
        404
    );
}
