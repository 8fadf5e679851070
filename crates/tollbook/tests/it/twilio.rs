//! Twilio from the webhook to the usage and its price, against the stand-in over real HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;
use tollbook::sandbox::{Twilio, connect_twilio};
use tollbook_core::ids::IntegrationId;
use tollbook_providers::Secret;
use tollbook_providers::twilio::sandbox::{
    AccountSeed, Ending, Fate, FlowHooks, Knobs, Sandbox, SandboxOptions, ScriptedCall,
    ScriptedMessage,
};
use uuid::Uuid;

use crate::support::{Answer, Organization, TestApp, User};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const SALES: &str = "+12125550140";
const CALLER: &str = "+12025550123";

/// An organization with one number at Twilio, and a member who answers it.
struct World {
    app: TestApp,
    twilio: Twilio,
    acme: Organization,
    member: User,
    integration: IntegrationId,
    account_sid: String,
}

impl World {
    /// An organization, and an account of the platform's own.
    async fn on_platform() -> Self {
        let app = TestApp::start().await;
        let twilio = stand_in(&app, 60).await;
        let acme = app.organization("Acme").await;
        let member = app.member(&acme).await;
        let account_sid = account(&twilio, TOKEN, &[SALES]);
        let integration = connect_twilio(&app.app, &twilio, None, "Twilio", &account_sid, TOKEN)
            .await
            .unwrap();
        Self {
            app,
            twilio,
            acme,
            member,
            integration,
            account_sid,
        }
    }

    async fn new() -> Self {
        let app = TestApp::start().await;
        let twilio = stand_in(&app, 600).await;
        let acme = app.organization("Acme").await;
        let member = app.member(&acme).await;
        let account_sid = account(&twilio, TOKEN, &[SALES]);
        let integration = connect_twilio(
            &app.app,
            &twilio,
            Some(acme.id),
            "Twilio",
            &account_sid,
            TOKEN,
        )
        .await
        .unwrap();
        let world = Self {
            app,
            twilio,
            acme,
            member,
            integration,
            account_sid,
        };
        world.assign().await;
        world
    }

    /// The member answers the number since long ago.
    async fn assign(&self) {
        let mut tx = self.app.platform().await;
        sqlx::query(
            "insert into assignments (organization_id, id, phone_number_id, user_id, starts_at)
             select $1, $2, id, $3, 'epoch' from phone_numbers where e164 = $4",
        )
        .bind(self.acme.id.uuid())
        .bind(Uuid::now_v7())
        .bind(self.member.id.uuid())
        .bind(SALES)
        .execute(&mut *tx)
        .await
        .unwrap();
        tx.commit().await.unwrap();
    }

    fn call(&self, ending: Ending) -> ScriptedCall {
        ScriptedCall {
            from: CALLER.to_owned(),
            to: SALES.to_owned(),
            at: self.app.now(),
            ring_seconds: 5,
            talk_seconds: 61,
            ending,
            agent: format!("client:u_{}", self.member.id.uuid().simple()),
            is_recorded: true,
        }
    }

    /// Lets so many seconds pass: everything that happens in them is told when it happens, and then interpreted.
    async fn pass(&self, seconds: i64) {
        let to = self.app.now() + SignedDuration::from_secs(seconds);
        let sandbox = &self.twilio.sandbox;
        while let Some(next) = sandbox.next_at().filter(|at| *at <= to) {
            self.set(next);
            sandbox.deliver_due(next).await;
        }
        self.set(to);
        self.app.app.settle().await.unwrap();
    }

    /// The same with everything told at the end.
    async fn pass_untold(&self, seconds: i64) {
        self.set(self.app.now() + SignedDuration::from_secs(seconds));
        self.twilio.sandbox.drain(self.app.now()).await;
        self.app.app.settle().await.unwrap();
    }

    fn set(&self, to: Timestamp) {
        self.app.advance(to.duration_since(self.app.now()));
    }

    /// The rows of a query with one text column.
    async fn rows(&self, query: &str) -> Vec<String> {
        let mut tx = self.app.platform().await;
        sqlx::query_scalar(AssertSqlSafe(query.to_owned()))
            .fetch_all(&mut *tx)
            .await
            .unwrap()
    }

    async fn calls(&self) -> Vec<String> {
        let query = "select concat_ws(' ', direction, state, outcome, external_party, billable_seconds || 's',
                leg_count || ' legs', to_char(started_at at time zone 'UTC', 'HH24:MI:SS'))
            from calls where merged_into_id is null order by started_at, id";
        self.rows(query).await
    }

    /// What is counted for the organization, corrections taken together.
    async fn usage(&self) -> Vec<String> {
        let query = format!(
            "select meter || ' ' || trim_scale(sum(quantity)) from usage_events where organization_id = '{}' and meter <> 'number_month'
             group by meter having sum(quantity) <> 0 order by meter",
            self.acme.id
        );
        self.rows(&query).await
    }

    async fn costs(&self) -> Vec<String> {
        let query = "select concat_ws(' ', subject, bearer, coalesce(trim_scale(amount)::text, 'pending'), currency, asks)
            from provider_costs where subject <> 'number' order by subject, occurred_at, subject_id";
        self.rows(query).await
    }

    fn path(&self, kind: &str) -> String {
        format!("/webhooks/twilio/{}/{kind}", self.integration)
    }

    /// Sends a form as Twilio would, signed for the address that it is sent to.
    async fn tell(&self, kind: &str, fields: &[(&str, &str)]) -> Answer {
        let path = self.path(kind);
        let signature = sign(TOKEN, &format!("{}{path}", self.app.base), fields);
        self.app
            .post(&path)
            .header("x-twilio-signature", signature)
            .form(fields)
            .send()
            .await
    }
}

/// The stand-in on a port of its own.
async fn stand_in(app: &TestApp, price_after_seconds: u32) -> Twilio {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sandbox = Sandbox::new(&SandboxOptions {
        seed: 7,
        start: app.now(),
        price_after_seconds,
        base_url: url.clone(),
        ..SandboxOptions::default()
    })
    .unwrap();
    let router = sandbox.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Twilio {
        sandbox,
        url,
        our_url: app.base.clone(),
    }
}

fn account(twilio: &Twilio, token: &str, numbers: &[&str]) -> String {
    let seeded = twilio.sandbox.add_account(&AccountSeed {
        name: "Example".to_owned(),
        auth_token: Secret::new(token),
        numbers: numbers.iter().map(|it| it.parse().unwrap()).collect(),
        hooks: FlowHooks::default(),
    });
    seeded.sid
}

fn sign(token: &str, url: &str, fields: &[(&str, &str)]) -> String {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

fn ringing<'a>(sid: &'a str, to: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("CallSid", sid),
        ("CallStatus", "ringing"),
        ("Direction", "inbound"),
        ("From", CALLER),
        ("To", to),
    ]
}

#[tokio::test]
async fn an_answered_call_with_its_dialled_leg_is_one_call() {
    let world = World::new().await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::Answered))
        .unwrap();
    world.pass(3).await;
    let ringing = ["incoming ringing +12025550123 0s 2 legs 15:00:00"];
    assert_eq!(world.calls().await, ringing);
    world.pass(3).await;
    let talking = ["incoming in_progress +12025550123 0s 2 legs 15:00:00"];
    assert_eq!(world.calls().await, talking);
    assert!(world.usage().await.is_empty());
    world.pass(120).await;
    let over = ["incoming ended answered +12025550123 61s 2 legs 15:00:00"];
    assert_eq!(world.calls().await, over);
    let usage = ["CALL_DURATION_SECONDS 61", "CALL_RECEIVED 1", "recording 1"];
    assert_eq!(world.usage().await, usage);
    let answered_by = world.rows("select answered_by::text from calls").await;
    assert_eq!(answered_by, [world.member.id.to_string()]);
    // Seed 003 counts started minutes.
    let counted = world
        .rows("select concat_ws(' ', voice_calls, voice_minutes) from number_counters")
        .await;
    assert_eq!(counted, ["1 2"]);
    // The member who answered hears the recording, which only the account's credentials open at the provider.
    let recordings = world
        .rows("select id::text from recordings where object_key is not null")
        .await;
    let [recording] = &recordings[..] else {
        panic!("one recording: {recordings:?}")
    };
    let media = format!("/api/recordings/{recording}/media");
    let answer = world
        .app
        .get(&media)
        .user(&world.member)
        .send_for_status()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "audio/x-wav");
    let stranger = world.app.member(&world.acme).await;
    let answer = world
        .app
        .get(&media)
        .user(&stranger)
        .send_for_status()
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn a_dialled_leg_is_known_by_its_parent_however_much_later_it_is_told() {
    let world = World::new().await;
    world.tell("voice", &ringing("CA1", SALES)).await;
    world.app.settle().await;
    let leg = [
        ("CallSid", "CA2"),
        ("ParentCallSid", "CA1"),
        ("CallStatus", "ringing"),
        ("Direction", "outbound-dial"),
        ("From", CALLER),
        ("To", "client:ann"),
    ];
    let answer = world.tell("call-status", &leg).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    world.app.settle().await;
    let ringing = ["incoming ringing +12025550123 0s 2 legs 15:00:00"];
    assert_eq!(world.calls().await, ringing);
}

#[tokio::test]
async fn missed_calls_and_voicemails_are_told_apart() {
    let world = World::new().await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::NoAnswer))
        .unwrap();
    world.pass(30).await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::Voicemail { seconds: 12 }))
        .unwrap();
    world.pass(60).await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::Busy))
        .unwrap();
    world.pass(60).await;
    assert_eq!(
        world.calls().await,
        [
            "incoming ended missed +12025550123 0s 2 legs 15:00:00",
            "incoming ended voicemail +12025550123 0s 2 legs 15:00:30",
            "incoming ended busy +12025550123 0s 2 legs 15:01:30",
        ]
    );
    assert_eq!(world.usage().await, ["CALL_RECEIVED 3", "voicemail 1"]);
    let voicemails = world
        .rows("select concat_ws(' ', duration_seconds, provider_url is not null) from voicemails")
        .await;
    assert_eq!(voicemails, ["12 t"]);
}

#[tokio::test]
async fn calls_that_we_place_count_as_made() {
    let world = World::new().await;
    let outgoing = ScriptedCall {
        from: SALES.to_owned(),
        to: CALLER.to_owned(),
        ..world.call(Ending::Answered)
    };
    world.twilio.sandbox.play(&outgoing).unwrap();
    world.pass(100).await;
    let calls = ["outgoing ended answered +12025550123 61s 1 legs 15:00:00"];
    assert_eq!(world.calls().await, calls);
    assert_eq!(
        world.usage().await,
        ["CALL_DURATION_SECONDS 61", "CALL_MADE 1"]
    );
}

#[tokio::test]
async fn messages_in_and_out_count_once_whatever_becomes_of_them() {
    let world = World::new().await;
    let now = world.app.now();
    let message = |from: &str, to: &str, text: &str, fate| ScriptedMessage {
        from: from.to_owned(),
        to: to.to_owned(),
        text: text.to_owned(),
        at: now,
        fate,
    };
    for script in [
        message(CALLER, SALES, "Is Thursday free?", Fate::Delivered),
        message(SALES, CALLER, "Yes", Fate::Delivered),
        message(SALES, CALLER, "At nine", Fate::Undelivered),
        message(SALES, CALLER, "Or ten", Fate::Failed),
    ] {
        world.twilio.sandbox.play_message(&script).unwrap();
    }
    world.pass(10).await;
    let messages = world
        .rows("select concat_ws(' ', direction, status, error_code, nullif(body, '')) from messages order by 1")
        .await;
    assert_eq!(
        messages,
        [
            "incoming received Is Thursday free?",
            "outgoing delivered",
            "outgoing failed 30008",
            "outgoing undelivered 30003",
        ]
    );
    assert_eq!(world.usage().await, ["SMS_RECEIVED 1", "SMS_SENT 2"]);
}

#[tokio::test]
async fn doubled_and_disordered_webhooks_make_no_difference() {
    let world = World::new().await;
    world.twilio.sandbox.set_knobs(Knobs {
        duplicate_webhook_next: 100,
        reorder_webhooks: true,
        ..Knobs::default()
    });
    for second in 0..8 {
        let at = world.app.now() + SignedDuration::from_secs(second * 600);
        let call = ScriptedCall {
            at,
            ..world.call(Ending::Answered)
        };
        world.twilio.sandbox.play(&call).unwrap();
    }
    world.pass_untold(8 * 600).await;
    let calls = world.calls().await;
    assert_eq!(calls.len(), 8);
    let is_whole = |call: &String| call.contains("ended answered +12025550123 61s 2 legs");
    assert!(calls.iter().all(is_whole), "{calls:#?}");
    let usage = [
        "CALL_DURATION_SECONDS 488",
        "CALL_RECEIVED 8",
        "recording 8",
    ];
    assert_eq!(world.usage().await, usage);
    // 8 webhooks each, stored once.
    assert_eq!(world.app.count("select count(*) from inbox").await, 64);
}

#[tokio::test]
async fn what_was_never_told_is_fetched() {
    for lost in [
        vec!["call-status", "dial"],
        vec!["voice"],
        vec!["call-status"],
    ] {
        let world = World::new().await;
        world.twilio.sandbox.set_knobs(Knobs {
            lose_kinds: lost.iter().map(ToString::to_string).collect(),
            ..Knobs::default()
        });
        world
            .twilio
            .sandbox
            .play(&world.call(Ending::Answered))
            .unwrap();
        world.pass_untold(120).await;
        for _ in 0..4 {
            world.pass(300).await;
        }
        let calls = world.calls().await;
        assert_eq!(calls.len(), 1, "{lost:?}");
        assert!(
            calls[0].contains("ended answered +12025550123 61s 2 legs"),
            "{lost:?}: {calls:?}"
        );
        let usage = ["CALL_DURATION_SECONDS 61", "CALL_RECEIVED 1", "recording 1"];
        assert_eq!(world.usage().await, usage, "{lost:?}");
    }
}

#[tokio::test]
async fn a_price_is_pending_until_the_provider_knows_it() {
    let world = World::new().await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::Answered))
        .unwrap();
    let message = ScriptedMessage {
        from: CALLER.to_owned(),
        to: SALES.to_owned(),
        text: "Hello".to_owned(),
        at: world.app.now(),
        fate: Fate::Delivered,
    };
    world.twilio.sandbox.play_message(&message).unwrap();
    world.pass(70).await;
    let pending = [
        "call organization pending 0",
        "message organization pending 0",
    ];
    assert_eq!(world.costs().await[..2], pending);
    world.pass(150).await;
    let asked = [
        "call organization pending 1",
        "message organization pending 1",
        "recording organization pending 1",
    ];
    assert_eq!(world.costs().await, asked);
    // A provider that is down does not use up the questions.
    world.twilio.sandbox.set_knobs(Knobs {
        fail_next: 10,
        fail_status: 503,
        ..Knobs::default()
    });
    world.pass(900).await;
    world.twilio.sandbox.set_knobs(Knobs::default());
    world.pass(120).await;
    let known = world.costs().await;
    // Two begun minutes of each leg, an incoming and an outgoing one; one part of a message.
    assert_eq!(known[0], "call organization 0.045 USD 2");
    assert!(
        known[2].starts_with("recording organization 0.005 USD"),
        "{known:?}"
    );
    assert_eq!(
        world
            .app
            .count("select count(*) from provider_costs where amount = 0")
            .await,
        0
    );
}

#[tokio::test]
async fn the_platforms_own_account_serves_whoever_holds_the_number() {
    let world = World::on_platform().await;
    // Nobody holds the number: refused, and set aside for a person to see.
    let path = "/webhooks/twilio/voice";
    let form = ringing("CA1", SALES);
    let signature = sign(TOKEN, &format!("{}{path}", world.app.base), &form);
    let request = world.app.post(path).header("x-twilio-signature", signature);
    let answer = request.form(&form).send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("<Reject/>"), "{}", answer.text);
    world.app.app.settle().await.unwrap();
    assert!(world.calls().await.is_empty());
    let errors = world.rows("select last_error from inbox_queue").await;
    assert_eq!(errors, [format!("unknown number `{SALES}`")]);
    // Held by Acme from now on.
    let number = world
        .rows("select id::text from phone_numbers")
        .await
        .remove(0);
    let admin = world.app.platform_admin().await;
    let mapping = world
        .app
        .post(&format!("/api/numbers/{number}/mapping"))
        .user(&admin);
    mapping
        .json(&json!({"organizationId": world.acme.id}))
        .send()
        .await
        .expect(201);
    world.assign().await;
    world.pass(1).await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::Answered))
        .unwrap();
    world.pass(900).await;
    let usage = ["CALL_DURATION_SECONDS 61", "CALL_RECEIVED 1", "recording 1"];
    assert_eq!(world.usage().await, usage);
    assert_eq!(world.costs().await[0], "call platform 0.045 USD 1");
    assert!(world.account_sid.starts_with("AC"));
}

#[tokio::test]
async fn an_account_has_nothing_to_say_of_anothers_number() {
    let world = World::new().await;
    let globex = world.app.organization("Globex").await;
    let token = "fedcba9876543210fedcba9876543210";
    let theirs = account(&world.twilio, token, &["+12125550150"]);
    let integration = connect_twilio(
        &world.app.app,
        &world.twilio,
        Some(globex.id),
        "Twilio",
        &theirs,
        token,
    )
    .await
    .unwrap();
    // Signed by Globex's own token, of a number that Acme holds.
    let path = format!("/webhooks/twilio/{integration}/voice");
    let form = ringing("CA1", SALES);
    let signature = sign(token, &format!("{}{path}", world.app.base), &form);
    let request = world
        .app
        .post(&path)
        .header("x-twilio-signature", signature);
    let answer = request.form(&form).send().await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("<Reject/>"), "{}", answer.text);
    world.app.app.settle().await.unwrap();
    assert!(world.calls().await.is_empty());
    assert_eq!(
        world
            .app
            .count("select count(*) from usage_events where meter <> 'number_month'")
            .await,
        0
    );
    assert_eq!(
        world
            .app
            .count("select count(*) from inbox_queue where parked_at is not null")
            .await,
        1
    );
}

#[tokio::test]
async fn only_what_twilio_signed_for_this_address_is_stored() {
    let world = World::new().await;
    let path = world.path("call-status");
    let url = format!("{}{path}", world.app.base);
    let form = [
        ("CallSid", "CA1"),
        ("CallStatus", "completed"),
        ("To", SALES),
    ];
    let other = [
        ("CallSid", "CA1"),
        ("CallStatus", "completed"),
        ("To", CALLER),
    ];
    let good = sign(TOKEN, &url, &form);
    let refused = [
        ("forged", Some(sign("not the token", &url, &form))),
        ("tampered", Some(sign(TOKEN, &url, &other))),
        (
            "another address",
            Some(sign(
                TOKEN,
                &format!("https://elsewhere.example{path}"),
                &form,
            )),
        ),
        (
            "a lost query",
            Some(sign(TOKEN, &format!("{url}?x=1"), &form)),
        ),
        ("no signature", Some("AAAA".to_owned())),
        ("unsigned", None),
    ];
    let count = refused.len();
    for (what, signature) in refused {
        let mut request = world.app.post(&path);
        if let Some(signature) = signature {
            request = request.header("x-twilio-signature", signature);
        }
        let answer = request.form(&form).send().await;
        assert_eq!(answer.status, 403, "{what}: {answer:?}");
    }
    let body = r#"{"CallSid": "CA1", "CallStatus": "completed"}"#;
    let hash = hex::encode(Sha256::digest(body));
    let json_path = format!("{path}?bodySHA256={hash}");
    let json_url = format!("{}{json_path}", world.app.base);
    let json_signature = sign(TOKEN, &json_url, &[]);
    let tell = async |body: &str| {
        let request = world.app.post(&json_path);
        let request = request.header("x-twilio-signature", &json_signature);
        request.body("application/json", body).send().await.status
    };
    assert_eq!(
        tell(r#"{"CallSid": "CA2", "CallStatus": "completed"}"#).await,
        403
    );
    assert_eq!(world.app.count("select count(*) from inbox").await, 0);
    let counts = world
        .rows("select reason || ' ' || sum(count) from webhook_rejections group by reason order by reason")
        .await;
    assert_eq!(counts, ["missing 1", &format!("wrong {count}")]);
    assert_eq!(tell(body).await, 204);
    let request = world.app.post(&path).header("x-twilio-signature", &good);
    assert_eq!(request.form(&form).send().await.status, 204);
    // Once more, as after an answer that was lost: stored once.
    let request = world.app.post(&path).header("x-twilio-signature", good);
    assert_eq!(request.form(&form).send().await.status, 204);
    assert_eq!(world.app.count("select count(*) from inbox").await, 2);
}

#[tokio::test]
async fn what_is_no_account_in_the_address_is_answered_as_anything_unknown() {
    let app = TestApp::start().await;
    for kind in [
        "voice",
        "call-status",
        "recording-status",
        "sms",
        "sms-status",
    ] {
        for account in ["not-an-id", "%ff", "018f0000-0000-7000-8000-00000000000g"] {
            let path = format!("/webhooks/twilio/{account}/{kind}");
            let answer = app.post(&path).form(&[("CallSid", "CA1")]).send().await;
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{path}: {answer:?}"
            );
            assert_eq!(answer.expect(404)["code"], "not_found", "{path}");
        }
    }
}

#[tokio::test]
async fn a_changed_token_signs_the_next_webhook_and_the_old_one_none() {
    const NEW: &str = "fedcba9876543210fedcba9876543210";
    let world = World::new().await;
    let admin = world.app.admin(&world.acme).await;
    let tell = async |token: &str, sid: &str| {
        let (path, form) = (world.path("call-status"), [("CallSid", sid), ("To", SALES)]);
        let signature = sign(token, &format!("{}{path}", world.app.base), &form);
        let request = world
            .app
            .post(&path)
            .header("x-twilio-signature", signature);
        request.form(&form).send().await.status
    };
    let change = async |body: serde_json::Value| {
        let path = format!("/api/integrations/{}", world.integration);
        let request = world.app.request(reqwest::Method::PATCH, &path);
        let request = request.user(&admin).organization(&world.acme);
        request.json(&body).send().await
    };
    assert_eq!(
        [tell(TOKEN, "CA1").await, tell(NEW, "CA1").await],
        [204, 403]
    );
    change(json!({"authToken": NEW})).await.expect(200);
    assert_eq!(
        [tell(TOKEN, "CA2").await, tell(NEW, "CA2").await],
        [403, 204]
    );
    // While the provider changes over, the old one may go on beside it.
    change(json!({"webhookSecrets": [TOKEN]})).await.expect(200);
    assert_eq!(
        [tell(TOKEN, "CA3").await, tell(NEW, "CA3").await],
        [204, 204]
    );
    change(json!({"webhookSecrets": []})).await.expect(200);
    assert_eq!(
        [tell(TOKEN, "CA4").await, tell(NEW, "CA4").await],
        [403, 204]
    );
    let refused = change(json!({"apiKey": "k"})).await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "apiKey");
    assert_eq!(tell(NEW, "CA5").await, 204);
}

#[tokio::test]
async fn a_call_is_put_through_to_whoever_is_assigned_or_takes_a_message() {
    let world = World::new().await;
    let name = format!("u_{}", world.member.id.uuid().simple());
    let answer = world.tell("voice", &ringing("CA1", SALES)).await;
    assert_eq!(answer.header("content-type"), "text/xml; charset=utf-8");
    let base = format!("{}/webhooks/twilio/{}", world.app.base, world.integration);
    assert!(
        answer.text.contains(&format!("action=\"{base}/voice\"")),
        "{}",
        answer.text
    );
    assert!(
        answer
            .text
            .contains(&format!("statusCallback=\"{base}/call-status\""))
    );
    assert!(
        answer.text.contains(&format!(">{name}</Client>")),
        "{}",
        answer.text
    );
    let dialled = |status| {
        [
            ("CallSid", "CA1"),
            ("CallStatus", "in-progress"),
            ("DialCallSid", "CA2"),
            ("DialCallStatus", status),
            ("To", SALES),
        ]
    };
    let answer = world.tell("voice", &dialled("no-answer")).await;
    assert!(
        answer.text.contains(&format!(
            "recordingStatusCallback=\"{base}/recording-status\""
        )),
        "{}",
        answer.text
    );
    let answer = world.tell("voice", &dialled("completed")).await;
    assert!(answer.text.contains("<Hangup/>") && !answer.text.contains("<Record"));
    // Nobody is assigned any more.
    let mut tx = world.app.platform().await;
    sqlx::query("update assignments set ends_at = starts_at where organization_id = $1")
        .bind(world.acme.id.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let answer = world.tell("voice", &ringing("CA3", SALES)).await;
    assert!(answer.text.contains("<Record") && !answer.text.contains("<Dial"));
    let answer = world.tell("voice", &ringing("CA4", "+12125550199")).await;
    assert!(answer.text.contains("<Reject/>"));
    let answer = world
        .tell(
            "sms",
            &[
                ("MessageSid", "SM1"),
                ("From", CALLER),
                ("To", SALES),
                ("Body", "Hi"),
            ],
        )
        .await;
    assert!(
        answer.text.ends_with("<Response></Response>"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn an_account_is_connected_with_its_own_fields() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let connect = async |body| {
        let request = app.post("/api/integrations").user(&admin).json(&body);
        request.send().await
    };
    let sid = format!("AC{}", "0".repeat(32));
    for (body, field) in [
        (
            json!({"provider": "twilio", "name": "T", "authToken": "t"}),
            "accountSid",
        ),
        (
            json!({"provider": "twilio", "name": "T", "accountSid": "AC1", "authToken": "t"}),
            "accountSid",
        ),
        (
            json!({"provider": "twilio", "name": "T", "accountSid": sid}),
            "authToken",
        ),
        (
            json!({"provider": "openphone", "name": "O", "webhookSecrets": ["s"]}),
            "apiKey",
        ),
        (json!({"provider": "mightycall", "name": "M"}), "provider"),
    ] {
        let answer = connect(body.clone()).await.expect(422);
        assert_eq!(answer["errors"][0]["field"], field, "{body}");
    }
}

/// An organization on the platform's own account, which charges it a fifth on top of what Twilio does and a dollar for each
/// number.
async fn sold_to() -> (World, User) {
    let world = World::on_platform().await;
    let boss = world.app.platform_admin().await;
    let path = "/api/admin/billing-plans";
    let plan = include_str!("../../../core/tests/plans/platform_billing.json");
    let plan = world
        .app
        .post(path)
        .user(&boss)
        .json(&serde_json::from_str(plan).unwrap());
    let plan = plan.send().await.expect(201)["id"].clone();
    let body = json!({"orgId": world.acme.id, "planId": plan, "startDate": "2026-03-01"});
    let ask = world
        .app
        .post("/api/admin/org-subscriptions")
        .user(&boss)
        .json(&body);
    ask.send().await.expect(201);
    let number = world
        .rows("select id::text from phone_numbers")
        .await
        .remove(0);
    let mapping = world
        .app
        .post(&format!("/api/numbers/{number}/mapping"))
        .user(&boss);
    let body = json!({"organizationId": world.acme.id});
    mapping.json(&body).send().await.expect(201);
    world.assign().await;
    (world, boss)
}

impl World {
    async fn of_member(&self, what: &str) -> serde_json::Value {
        let path = format!("/api/users/{}/{what}", self.member.id);
        let ask = self
            .app
            .get(&path)
            .user(&self.member)
            .organization(&self.acme);
        ask.send().await.expect(200)
    }
}

fn sums(bill: &serde_json::Value) -> String {
    let fields = [
        "mode",
        "currency",
        "callCosts",
        "recordingCosts",
        "numberCosts",
        "total",
    ];
    let texts = fields.map(|field| bill[field].as_str().unwrap().to_owned());
    format!("{}; {} pending", texts.join(" "), bill["pending"])
}

#[tokio::test]
async fn a_user_is_billed_what_the_platform_charges_on_top_of_the_provider() {
    let (world, boss) = sold_to().await;
    world.pass(1).await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::Answered))
        .unwrap();
    world.pass(100).await;
    // The number's price is on a list, the others are not known yet.
    assert_eq!(
        sums(&world.of_member("bill").await),
        "platform USD 0 0 1 1; 2 pending"
    );
    let months = "select concat_ws(' ', bearer, trim_scale(amount), currency) from provider_costs where subject = 'number'";
    assert_eq!(world.rows(months).await, ["platform 1.15 USD"]);
    world.pass(900).await;
    // 0.045 and 0.005 with a fifth on top, and a dollar.
    assert_eq!(
        sums(&world.of_member("bill?month=2026-03").await),
        "platform USD 0.054 0.006 1 1.06; 0 pending"
    );
    assert_eq!(
        sums(&world.of_member("bill?month=2026-02").await),
        "platform USD 0 0 0 0; 0 pending"
    );
    let analytics = world.of_member("analytics?from=2026-02&to=2026-03").await;
    assert_eq!(
        analytics,
        json!({
            "userId": world.member.id, "mode": "platform", "phoneNumbers": 1,
            "callsMade": 0, "callsReceived": 1, "durationSeconds": 61, "recordings": 1, "pending": 0,
            "costs": [{"currency": "USD", "callCosts": "0.054", "recordingCosts": "0.006", "numberCosts": "1", "total": "1.06"}],
            "months": [
                {"month": "2026-02", "callsMade": 0, "callsReceived": 0, "durationSeconds": 0, "recordings": 0, "pending": 0, "costs": []},
                {"month": "2026-03", "callsMade": 0, "callsReceived": 1, "durationSeconds": 61, "recordings": 1, "pending": 0,
                    "costs": [{"currency": "USD", "callCosts": "0.054", "recordingCosts": "0.006", "numberCosts": "1", "total": "1.06"}]}]
        })
    );
    // The platform earns 0.01 on call and recording, and loses on the number.
    let path = format!("/api/admin/margin?by=number&orgId={}", world.acme.id);
    let margin = world.app.get(&path).user(&boss).send().await.expect(200);
    assert_eq!(
        margin["data"][0]["amounts"],
        json!([{"currency": "USD", "revenue": "1.06", "cost": "1.2", "margin": "-0.14"}])
    );
    // Others do not see it, and the organization's admin does.
    let path = format!("/api/users/{}/bill", world.member.id);
    let colleague = world.app.member(&world.acme).await;
    let admin = world.app.admin(&world.acme).await;
    let elsewhere = world.app.organization("Elsewhere").await;
    let stranger = world.app.admin(&elsewhere).await;
    for (user, organization, status) in [
        (&colleague, &world.acme, 403),
        (&admin, &world.acme, 200),
        (&stranger, &world.acme, 404),
        (&stranger, &elsewhere, 404),
    ] {
        let ask = world.app.get(&path).user(user).organization(organization);
        assert_eq!(ask.send().await.status, status);
    }
    let ask = world.app.get(&format!("{path}?month=2026-13")).user(&admin);
    let refused = ask.send().await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "month");
    // What the platform pays is not the organization's to see, whatever it chooses to show.
    let mode = format!("/api/orgs/{}/billing-mode", world.acme.id);
    let put = async |user: &User, body| {
        let ask = world.app.request(reqwest::Method::PUT, &mode);
        ask.user(user).json(&body).send().await
    };
    assert_eq!(
        put(&colleague, json!({"mode": "pass_through"}))
            .await
            .status,
        403
    );
    put(&admin, json!({"mode": "free"})).await.expect(422);
    put(&admin, json!({"mode": "pass_through"}))
        .await
        .expect(200);
    assert_eq!(
        sums(&world.of_member("bill").await),
        "pass_through USD 0 0 0 0; 0 pending"
    );
    // The next month is one more of the number, and recording it again is not.
    world.pass(31 * 86_400).await;
    world.pass(60).await;
    let numbers = "select concat_ws(' ', sum(quantity)::integer, count(*)) from usage_events where meter = 'number_month'";
    assert_eq!(world.rows(numbers).await, ["2 2"]);
}

#[tokio::test]
async fn a_user_who_pays_the_provider_directly_sees_what_it_charges() {
    let world = World::new().await;
    let admin = world.app.admin(&world.acme).await;
    let path = format!("/api/orgs/{}/billing-mode", world.acme.id);
    let ask = world.app.request(reqwest::Method::PUT, &path).user(&admin);
    ask.json(&json!({"mode": "pass_through"}))
        .send()
        .await
        .expect(200);
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::Answered))
        .unwrap();
    world.pass(30).await;
    world
        .twilio
        .sandbox
        .play(&world.call(Ending::NoAnswer))
        .unwrap();
    world.pass(7200).await;
    // What nobody answered is the number's owner's, as the call that was.
    let costs = world
        .rows("select trim_scale(sum(amount))::text from provider_costs where subject = 'call'")
        .await;
    let bill = world.of_member("bill").await;
    assert_eq!(bill["callCosts"], costs[0].as_str());
    assert_eq!(
        (&bill["recordingCosts"], &bill["numberCosts"], &bill["mode"]),
        (&json!("0.005"), &json!("1.15"), &json!("pass_through"))
    );
    let analytics = world.of_member("analytics").await;
    assert_eq!(
        (
            &analytics["callsReceived"],
            analytics["months"].as_array().unwrap().len()
        ),
        (&json!(2), 12)
    );
    // The provider says it anew a day later: what it corrected is known.
    world
        .app
        .change("update provider_costs set ask_at = '2026-03-02Z' where subject = 'recording' and ask_at is not null")
        .await;
    world.pass(60).await;
    assert_eq!(
        world.rows("select asks::text from provider_costs where subject = 'recording' and ask_at is null").await.len(),
        1,
        "asked for once more, and then no more"
    );
    assert_eq!(
        world
            .rows("select revision::text from provider_costs where subject = 'recording'")
            .await,
        ["1"]
    );
}
