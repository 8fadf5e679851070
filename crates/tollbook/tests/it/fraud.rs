//! Calls out that look like fraud are held until somebody releases them, with one click; and released ones are blocked
//! again as easily.

use futures_util::future::join_all;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::ScriptedCall;

use crate::authorize::{Firm, NOBODYS};
use crate::support::{NewCall, Phones, TestApp, at};

const CUBA: &str = "+5352345678";
const JAMAICA: &str = "+18765550123";
const GERMANY: &str = "+4930123456";
const PREMIUM: &str = "+19002345678";

impl Firm {
    /// Turns the guard on, with more fields.
    async fn guard(&self, more: &Value) -> Value {
        let mut body = json!({"isEnabled": true});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        self.put("/api/admin/fraud-guard", &body).await.expect(200)
    }

    /// Asks for a call out: nothing, or why it is held.
    async fn asks(&self, key: &str, to: &str) -> String {
        let answer = self.authorize_on(&self.app, key, to, 60).await;
        if answer.status == 201 {
            return "through".to_owned();
        }
        let refused = answer.expect(409);
        assert_eq!(refused["code"], "fraud_guard", "{refused}");
        let detail = refused["detail"].as_str().unwrap();
        let reason = detail.rsplit_once('(').unwrap().1;
        reason.trim_end_matches(')').to_owned()
    }

    /// Destination, reason, whether all are held, and state of each hold.
    async fn holds(&self) -> Vec<String> {
        self.app
            .texts(
                "select concat_ws(' ', nullif(destination, ''), reason, case when holds_all then 'all' end, state)
                 from fraud_holds order by destination",
            )
            .await
    }

    async fn hold_id(&self) -> String {
        let list = self.get("/api/admin/fraud-holds?state=held").await;
        list["data"][0]["id"].as_str().unwrap().to_owned()
    }

    async fn turn(&self, id: &str, act: &str) -> Value {
        let path = format!("/api/admin/fraud-holds/{id}/{act}");
        self.post(&path, &json!({})).await.expect(200)
    }
}

#[tokio::test]
async fn a_call_to_where_nobody_called_lately_is_held_until_it_is_released() {
    let firm = Firm::new(TestApp::quiet().await).await;
    // Nobody asked for a guard.
    assert_eq!(firm.asks("before", GERMANY).await, "through");
    firm.guard(&json!({})).await;
    // Germany was called, and at home nothing is unusual.
    assert_eq!(firm.asks("a", GERMANY).await, "through");
    assert_eq!(firm.asks("b", NOBODYS).await, "through");
    assert_eq!(firm.asks("c", CUBA).await, "unusual_destination");
    assert_eq!(firm.asks("d", CUBA).await, "unusual_destination");
    // An island with the code of the United States, and a number that costs extra in them.
    assert_eq!(firm.asks("e", JAMAICA).await, "unusual_destination");
    assert_eq!(firm.asks("f", PREMIUM).await, "unusual_destination");
    assert_eq!(firm.asks("g", NOBODYS).await, "through");
    assert_eq!(
        firm.holds().await,
        [
            "+19002345678 unusual_destination held",
            "CU unusual_destination held",
            "JM unusual_destination held"
        ]
    );
    firm.app.settle().await;
    assert_eq!(
        firm.alerts("?kind=fraud").await,
        [
            "fraud +19002345678 1 open",
            "fraud CU 2 open",
            "fraud JM 1 open"
        ]
    );
    let list = firm.get("/api/admin/fraud-holds").await;
    let mut held = list["data"].as_array().unwrap().iter();
    let cuba = held.find(|it| it["destination"] == "CU").unwrap();
    let id = cuba["id"].as_str().unwrap();
    for _ in 0..2 {
        assert_eq!(firm.turn(id, "release").await["state"], "released");
    }
    assert_eq!(firm.asks("h", CUBA).await, "through");
    assert_eq!(firm.asks("i", JAMAICA).await, "unusual_destination");
    // Undone: it was called in the meantime, and is held all the same.
    assert_eq!(firm.turn(id, "block").await["state"], "held");
    assert_eq!(firm.asks("j", CUBA).await, "unusual_destination");
    let audited = "select count(*) from audit_log where action in ('fraud_hold.released', 'fraud_hold.blocked')";
    assert_eq!(firm.app.count(audited).await, 2);
    // A key that was answered is answered again.
    assert_eq!(firm.asks("h", CUBA).await, "through");
    let member = firm.app.member(&firm.acme).await;
    let path = format!("/api/admin/fraud-holds/{id}/release");
    let ask = firm.app.post(&path).user(&member).organization(&firm.acme);
    ask.json(&json!({})).send().await.expect(403);
    let other = firm.app.organization("Other").await;
    let admin = firm.app.admin(&other).await;
    let ask = firm.app.post(&path).user(&admin).organization(&other);
    ask.json(&json!({})).send().await.expect(404);
}

#[tokio::test]
async fn what_was_called_long_ago_or_is_allowed_by_name_decides() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let integration = firm.app.integration(&firm.acme).await;
    let long_ago = NewCall {
        direction: "outgoing",
        ..NewCall::answered(CUBA, at("2025-11-01T12:00:00Z"), 60)
    };
    firm.app.call(&firm.acme, integration, &long_ago).await;
    // They called us: that is not calling them.
    let incoming = NewCall::answered(JAMAICA, at("2026-03-01T12:00:00Z"), 60);
    firm.app.call(&firm.acme, integration, &incoming).await;
    firm.guard(&json!({"allowedDestinations": ["de"]})).await;
    assert_eq!(firm.asks("a", CUBA).await, "unusual_destination");
    assert_eq!(firm.asks("b", JAMAICA).await, "unusual_destination");
    assert_eq!(firm.asks("c", GERMANY).await, "through");
    let id = firm.hold_id().await;
    firm.guard(&json!({"historyDays": 200, "allowedDestinations": ["DE"]}))
        .await;
    // What is held stays held, whatever is usual now.
    assert_eq!(firm.asks("d", CUBA).await, "unusual_destination");
    firm.turn(&id, "release").await;
    firm.guard(&json!({"holdsUnusual": false})).await;
    assert_eq!(firm.asks("e", "+33123456789").await, "through");
    firm.put("/api/admin/fraud-guard", &json!({"isEnabled": false}))
        .await
        .expect(200);
    assert_eq!(firm.asks("f", CUBA).await, "through");
}

#[tokio::test]
async fn too_many_calls_hold_all_until_somebody_lifts_it() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.guard(&json!({"callsPerMinuteMax": 3, "callsPerHourMax": 5, "concurrentMax": null}))
        .await;
    for key in ["a", "b", "c"] {
        assert_eq!(firm.asks(key, NOBODYS).await, "through");
    }
    assert_eq!(firm.asks("d", NOBODYS).await, "calls_per_minute");
    // It does not pass by itself.
    firm.app.advance(SignedDuration::from_mins(2));
    assert_eq!(firm.asks("e", GERMANY).await, "calls_per_minute");
    assert_eq!(firm.holds().await, ["calls_per_minute all held"]);
    // Who is on the phone may not go on for longer either.
    let known = firm.get("/api/admin/fraud-holds").await;
    assert_eq!(known["data"][0]["destination"], "");
    firm.turn(&firm.hold_id().await, "release").await;
    // What was counted before counts no more, neither in the minute nor in the hour.
    firm.app.advance(SignedDuration::from_secs(1));
    for key in ["f", "g", "h"] {
        assert_eq!(firm.asks(key, NOBODYS).await, "through");
    }
    firm.app.advance(SignedDuration::from_mins(2));
    for key in ["i", "j"] {
        assert_eq!(firm.asks(key, NOBODYS).await, "through");
    }
    assert_eq!(firm.asks("k", NOBODYS).await, "calls_per_hour");
    // Calls that come in are nobody's fraud.
    let body = json!({"key": "in", "direction": "incoming", "from": CUBA, "to": crate::authorize::OURS, "seconds": 60});
    let ask = firm.app.post("/api/calls/authorize").bearer(&firm.key);
    ask.json(&body).send().await.expect(201);
}

#[tokio::test]
async fn calls_at_the_same_time_are_counted_however_many_ask_at_once() {
    let firm = Firm::new(TestApp::start().await).await;
    let node = firm.app.beside().await;
    firm.guard(&json!({"concurrentMax": 4, "callsPerMinuteMax": null, "callsPerHourMax": null}))
        .await;
    let ask = |n: u32| {
        let on = if n.is_multiple_of(2) {
            &firm.app
        } else {
            &node
        };
        let firm = &firm;
        async move {
            let key = n.to_string();
            firm.authorize_on(on, &key, NOBODYS, 60).await.status
        }
    };
    let answers = join_all((0..24).map(ask)).await;
    let through = answers.iter().filter(|status| **status == 201).count();
    assert_eq!((through, answers.len()), (4, 24), "{answers:?}");
    assert!(answers.iter().all(|status| [201, 409].contains(status)));
    assert_eq!(firm.holds().await, ["concurrent_calls all held"]);
    drop(node);
}

#[tokio::test]
async fn who_is_on_the_phone_goes_on_no_longer_once_calls_are_held() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let (id, ..) = shown_call(&firm, "a", GERMANY).await;
    firm.guard(&json!({"callsPerMinuteMax": 1})).await;
    let extended = firm.extend_on(&firm.app, &id, 120).await;
    assert_eq!(extended.expect(200)["seconds"], 120);
    assert_eq!(firm.asks("b", NOBODYS).await, "calls_per_minute");
    let refused = firm.extend_on(&firm.app, &id, 600).await.expect(409);
    assert_eq!(refused["code"], "fraud_guard");
    firm.turn(&firm.hold_id().await, "release").await;
    let extended = firm.extend_on(&firm.app, &id, 600).await;
    assert_eq!(extended.expect(200)["seconds"], 600);
}

async fn shown_call(firm: &Firm, key: &str, to: &str) -> (String, u64, Vec<String>) {
    let made = firm.authorize_on(&firm.app, key, to, 60).await.expect(201);
    crate::authorize::shown(&made)
}

#[tokio::test]
async fn calls_that_cost_too_much_within_an_hour_hold_their_destination() {
    let firm = Firm::new(TestApp::quiet().await).await;
    firm.guard(&json!({"hourlySpendMax": "1.00", "allowedDestinations": ["DE", "CU"]}))
        .await;
    let integration = firm.app.integration(&firm.acme).await;
    let talk = async |minutes: i64| {
        let call = NewCall {
            direction: "outgoing",
            customer: Some(firm.dana),
            ..NewCall::answered(GERMANY, firm.app.now(), minutes * 60)
        };
        let call = firm.app.call(&firm.acme, integration, &call).await;
        let usage = crate::support::NewUsage {
            call: Some(call),
            ..crate::support::NewUsage::call(firm.dana, minutes * 60, firm.app.now())
        };
        firm.app.record(&firm.acme, &[usage]).await;
        firm.app.settle().await;
    };
    talk(9).await;
    assert_eq!(firm.asks("a", GERMANY).await, "through");
    talk(1).await;
    assert_eq!(firm.asks("b", GERMANY).await, "hourly_spend");
    assert_eq!(firm.asks("c", CUBA).await, "through");
    firm.app.advance(SignedDuration::from_secs(1));
    firm.turn(&firm.hold_id().await, "release").await;
    assert_eq!(firm.asks("d", GERMANY).await, "through");
    firm.app.advance(SignedDuration::from_secs(1));
    talk(10).await;
    assert_eq!(firm.asks("e", GERMANY).await, "hourly_spend");
}

#[tokio::test]
async fn a_call_that_nobody_asked_for_is_an_alert_and_holds_all_others() {
    let firm = Firm::new(TestApp::start().await).await;
    let line = "+12125550177";
    let phones = Phones::start(&firm.app).await;
    phones.workspace("acme", &[line]);
    phones
        .connect_straight(&firm.app, &firm.acme, "acme", Surface::V2026)
        .await;
    firm.guard(&json!({})).await;
    let call_out = async |to: &str| {
        let call = ScriptedCall::answered(line, to, firm.app.now(), 60);
        phones.sandbox.play(&call).unwrap();
        phones.pass(&firm.app, 4).await;
        firm.app.settle().await;
    };
    call_out(NOBODYS).await;
    assert_eq!(firm.holds().await, [""; 0]);
    assert_eq!(firm.asks("a", NOBODYS).await, "through");
    call_out(CUBA).await;
    assert_eq!(firm.holds().await, ["CU unusual_destination all held"]);
    assert_eq!(firm.asks("b", NOBODYS).await, "unusual_destination");
    let hold = firm.get("/api/admin/fraud-holds").await;
    let of_call = "select count(*) from fraud_holds h join calls c on c.id = h.call_id where c.external_party = '+5352345678'";
    assert_eq!(firm.app.count(of_call).await, 1, "{hold}");
    // Another one meanwhile makes no other hold.
    call_out(JAMAICA).await;
    assert_eq!(firm.holds().await.len(), 1);
    // As an admin does it on the page, without scripts.
    let (cookie, csrf) = firm.app.sign_in(&firm.admin).await;
    let page = firm.page(&cookie, "/alerts").await;
    assert!(page.text.contains("Calls to CU are held") && page.text.contains("Release"));
    let click = async |act: &str| {
        let id = firm.get("/api/admin/fraud-holds").await["data"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let ask = firm
            .app
            .post(&format!("/alerts/holds/{id}/{act}"))
            .browser()
            .cookie(&cookie);
        assert_eq!(ask.form(&[("csrf", &csrf)]).send().await.status, 303);
    };
    click("release").await;
    assert_eq!(firm.asks("c", NOBODYS).await, "through");
    assert_eq!(firm.asks("d", CUBA).await, "through");
    assert!(
        firm.page(&cookie, "/alerts")
            .await
            .text
            .contains("Block again")
    );
    click("block").await;
    assert_eq!(firm.asks("e", NOBODYS).await, "unusual_destination");
    firm.is_clean().await;
}

#[tokio::test]
async fn a_call_that_was_let_through_is_not_judged_again_when_it_happens() {
    let firm = Firm::new(TestApp::start().await).await;
    let line = "+12125550177";
    let phones = Phones::start(&firm.app).await;
    phones.workspace("acme", &[line]);
    phones
        .connect_straight(&firm.app, &firm.acme, "acme", Surface::V2026)
        .await;
    firm.guard(&json!({"callsPerMinuteMax": 1})).await;
    phones.pass(&firm.app, 1).await;
    assert_eq!(firm.asks("a", NOBODYS).await, "through");
    // Two calls within a minute, of which the second was asked for.
    let half_a_minute_ago = firm.app.now() - SignedDuration::from_secs(30);
    for (to, at) in [
        ("+12025550188", half_a_minute_ago),
        (NOBODYS, firm.app.now()),
    ] {
        let call = ScriptedCall::answered(line, to, at, 60);
        phones.sandbox.play(&call).unwrap();
    }
    phones.pass(&firm.app, 4).await;
    firm.app.settle().await;
    let calls = "select count(*) from calls where direction = 'outgoing'";
    assert_eq!(firm.app.count(calls).await, 2);
    assert_eq!(firm.holds().await, [""; 0]);
    // Nobody asked for these two.
    for seconds in [20, 0] {
        let at = firm.app.now() - SignedDuration::from_secs(seconds);
        let call = ScriptedCall::answered(line, "+12025550188", at, 60);
        phones.sandbox.play(&call).unwrap();
    }
    phones.pass(&firm.app, 4).await;
    firm.app.settle().await;
    assert_eq!(firm.holds().await, ["calls_per_minute all held"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_guard_is_named_and_what_is_left_out_is_usual() {
    let firm = Firm::new(TestApp::quiet().await).await;
    let path = "/api/admin/fraud-guard";
    assert_eq!(firm.get(path).await["isEnabled"], false);
    for (more, field) in [
        (json!({"historyDays": 0}), "historyDays"),
        (json!({"callsPerMinuteMax": 0}), "callsPerMinuteMax"),
        (json!({"callsPerHourMax": -1}), "callsPerHourMax"),
        (json!({"concurrentMax": 2_000_000}), "concurrentMax"),
        (json!({"hourlySpendMax": "0"}), "hourlySpendMax"),
        (
            json!({"allowedDestinations": ["US", "Cuba"]}),
            "allowedDestinations[1]",
        ),
    ] {
        let mut body = json!({"isEnabled": true});
        for (field, value) in more.as_object().unwrap() {
            body[field] = value.clone();
        }
        let refused = firm.put(path, &body).await.expect(422);
        assert_eq!(refused["errors"][0]["field"], field, "{body}");
    }
    let set = firm
        .guard(&json!({"allowedDestinations": ["mx", "MX", "+881"]}))
        .await;
    assert_eq!(set["allowedDestinations"], json!(["MX", "+881"]));
    assert_eq!(
        (
            &set["historyDays"],
            &set["callsPerMinuteMax"],
            &set["hourlySpendMax"]
        ),
        (&json!(90), &json!(30), &Value::Null)
    );
    assert_eq!(firm.get(path).await, set);
    let ask = firm
        .app
        .get("/api/admin/fraud-holds?state=x")
        .user(&firm.admin);
    ask.organization(&firm.acme).send().await.expect(422);
    let nothing = format!("/api/admin/fraud-holds/{}/release", uuid::Uuid::now_v7());
    firm.post(&nothing, &json!({})).await.expect(404);
}
