//! Lists of communications, the page of a call, CSV and recordings: complete, without duplicates, and each to those who
//! may see it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use scraper::{Html, Selector};
use serde_json::Value;
use tollbook_core::ids::{CallId, UserId};
use uuid::Uuid;

use crate::support::{NewCall, Organization, TestApp, User};

fn texts(html: &str, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).unwrap();
    let squeeze = |it: scraper::ElementRef<'_>| {
        let text: String = it.text().collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    Html::parse_document(html)
        .select(&selector)
        .map(squeeze)
        .collect()
}

/// Reads a list to its end, page by page.
async fn whole(app: &TestApp, user: &User, organization: &Organization, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut next = path.to_owned();
    loop {
        let page = app
            .get(&next)
            .user(user)
            .organization(organization)
            .send()
            .await
            .expect(200);
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["nextCursor"].as_str() else {
            return rows;
        };
        next = format!("{path}&cursor={cursor}");
    }
}

fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

fn at(app: &TestApp, minutes_ago: i64) -> Timestamp {
    app.now()
        .checked_sub(SignedDuration::from_mins(minutes_ago))
        .unwrap()
}

/// Forty calls in groups that began at the same instant; every third is also the member's.
async fn many(
    app: &TestApp,
    organization: &Organization,
    member: UserId,
) -> (Vec<CallId>, Vec<CallId>) {
    let integration = app.integration(organization).await;
    let (mut all, mut own) = (Vec::new(), Vec::new());
    for n in 0..40 {
        let mut call = NewCall::answered("+12125550100", at(app, n / 7), 60);
        if n % 3 == 0 {
            call.viewers = vec![member];
        }
        let id = app.call(organization, integration, &call).await;
        all.push((call.started_at, id));
        if n % 3 == 0 {
            own.push((call.started_at, id));
        }
    }
    let newest_first = |mut calls: Vec<(Timestamp, CallId)>| {
        calls.sort_unstable_by(|a, b| b.cmp(a));
        calls.into_iter().map(|(_, id)| id).collect()
    };
    (newest_first(all), newest_first(own))
}

#[tokio::test]
async fn a_list_read_page_by_page_is_complete_and_in_order() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member, stranger) = (
        app.admin(&acme).await,
        app.member(&acme).await,
        app.member(&acme).await,
    );
    let (all, own) = many(&app, &acme, member.id).await;
    let names = |ids: &[CallId]| -> Vec<String> { ids.iter().map(CallId::to_string).collect() };
    for limit in [1, 6, 7, 8, 40, 200] {
        let path = format!("/api/calls?limit={limit}");
        assert_eq!(
            ids(&whole(&app, &admin, &acme, &path).await),
            names(&all),
            "{limit}"
        );
        assert_eq!(
            ids(&whole(&app, &member, &acme, &path).await),
            names(&own),
            "{limit}"
        );
    }
    assert!(
        whole(&app, &stranger, &acme, "/api/calls?limit=50")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn filters_and_search_find_what_they_name() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    let integration = app.integration(&acme).await;
    let dana = app.post("/api/customers").user(&admin).organization(&acme);
    let dana = dana
        .json(&serde_json::json!({"name": "Dana Whitfield"}))
        .send()
        .await
        .expect(201);
    let dana: Uuid = dana["id"].as_str().unwrap().parse().unwrap();
    let line = app.number(&acme, "+12125550142").await;
    let viewers = vec![member.id];
    let make = async |call: NewCall| {
        let call = NewCall {
            viewers: viewers.clone(),
            ..call
        };
        app.call(&acme, integration, &call).await.to_string()
    };
    let known = make(NewCall {
        customer: Some(dana.into()),
        ..NewCall::answered("+493012345678", at(&app, 1), 60)
    })
    .await;
    let missed = NewCall {
        state: "ended",
        outcome: Some("missed"),
        ..NewCall::ringing("+12125550177", at(&app, 2))
    };
    let missed = make(missed).await;
    let outgoing = NewCall {
        direction: "outgoing",
        number: Some(line),
        ..NewCall::answered("+12125550188", at(&app, 3000), 5)
    };
    let outgoing = make(outgoing).await;
    for (query, expected) in [
        ("q=dana", vec![&known]),
        ("q=whit%20da", vec![&known]),
        ("q=nobody", vec![]),
        ("q=%2B4930", vec![&known]),
        ("q=(212)%20555-01", vec![&missed, &outgoing]),
        ("q=2125550177", vec![&missed]),
        ("outcome=missed", vec![&missed]),
        ("direction=outgoing", vec![&outgoing]),
        ("direction=incoming&outcome=completed", vec![&known]),
        ("to=2026-02-28", vec![&outgoing]),
        ("from=2026-03-02", vec![&known, &missed]),
    ] {
        for user in [&admin, &member] {
            let rows = whole(&app, user, &acme, &format!("/api/calls?{query}")).await;
            assert_eq!(ids(&rows).iter().collect::<Vec<_>>(), expected, "{query}");
        }
    }
    let by_number = whole(
        &app,
        &admin,
        &acme,
        &format!("/api/calls?phoneNumberId={line}"),
    )
    .await;
    assert_eq!(ids(&by_number), [outgoing]);
    let by_customer = whole(
        &app,
        &admin,
        &acme,
        &format!("/api/calls?customerId={dana}"),
    )
    .await;
    assert_eq!(ids(&by_customer), [known]);
    let refused = app
        .get("/api/calls?outcome=lost&from=x")
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(422);
    let fields: Vec<_> = refused["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["field"].clone())
        .collect();
    assert_eq!(fields, ["outcome", "from"]);
}

#[tokio::test]
async fn one_timeline_shows_calls_messages_and_voicemails_without_scripts() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let integration = app.integration(&acme).await;
    let call = app
        .call(
            &acme,
            integration,
            &NewCall::answered("+12125550100", at(&app, 30), 125),
        )
        .await;
    let mut tx = app.platform().await;
    sqlx::query(
        "with message as (
             insert into messages (organization_id, id, provider, sid, integration_id, direction, status, external_party, from_party, to_parties, body, occurred_at, observed)
             values ($1, gen_random_uuid(), 'openphone', 'AM1', $2, 'incoming', 'received', '+12125550101', '+12125550101', '{+12125550142}', 'The <printer> works', $4, '{}'))
         insert into voicemails (organization_id, id, call_id, provider, sid, duration_seconds, transcript, occurred_at)
         values ($1, gen_random_uuid(), $3, 'openphone', 'AV1', 48, 'Please call back', $5)",
    )
    .bind(acme.id.uuid())
    .bind(integration)
    .bind(call.uuid())
    .bind(jiff_sqlx::ToSqlx::to_sqlx(at(&app, 20)))
    .bind(jiff_sqlx::ToSqlx::to_sqlx(at(&app, 10)))
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let (cookie, _) = app.sign_in(&admin).await;
    let page = async |path: &str| {
        let answer = app.get(path).browser().cookie(&cookie).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    };
    let html = page("/communications").await;
    assert_eq!(
        texts(&html, "tbody .excerpt"),
        ["Please call back", "The <printer> works"]
    );
    assert_eq!(texts(&html, "tbody td:nth-child(6)"), ["0:48", "", "2:05"]);
    assert_eq!(
        texts(
            &page("/communications?tab=messages").await,
            "tbody .excerpt"
        ),
        ["The <printer> works"]
    );
    assert_eq!(
        texts(&page("/communications?tab=voicemails").await, "tbody tr").len(),
        1
    );
    // Links and forms do everything.
    assert!(html.contains(&format!("href=\"/calls/{call}\"")));
    assert!(
        html.contains("href=\"/communications?tab=calls\"")
            && html.contains("action=\"/communications\"")
    );
    assert_eq!(
        texts(&page("/communications?outcome=missed").await, ".empty p")
            .first()
            .unwrap(),
        "No communication matches this filter."
    );
    // A part of the page is what the whole has there.
    let part = app
        .get("/communications")
        .header("x-fragment", "list")
        .cookie(&cookie)
        .send()
        .await
        .text;
    assert!(!part.contains("<html") && html.contains(part.trim()));
}

#[tokio::test]
async fn an_export_is_the_whole_filter_and_no_cell_is_a_formula() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let integration = app.integration(&acme).await;
    let customer = app.customer(&acme, "=HYPERLINK(1)").await;
    for n in 0..1203 {
        let call = NewCall {
            customer: Some(customer),
            ..NewCall::answered("+12125550100", at(&app, n), 60)
        };
        app.call(&acme, integration, &call).await;
    }
    let (cookie, _) = app.sign_in(&admin).await;
    let answer = app
        .get("/communications.csv?tab=calls&from=2026-03-01")
        .cookie(&cookie)
        .send()
        .await;
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"communications-calls-2026-03-01-UTC.csv\""
    );
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    let column =
        |name: &str, headers: &csv::StringRecord| headers.iter().position(|it| it == name).unwrap();
    let headers = reader.headers().unwrap().clone();
    let (utc, with, number) = (
        column("Time (UTC)", &headers),
        column("With", &headers),
        column("Number", &headers),
    );
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 1203);
    assert!(
        rows.iter()
            .all(|row| &row[with] == "'=HYPERLINK(1)" && &row[number] == "+12125550100")
    );
    let times: BTreeSet<&str> = rows.iter().map(|row| &row[utc]).collect();
    assert_eq!(times.len(), 1203, "every row once");
    let api = app
        .get("/api/calls?from=2026-03-01")
        .header("accept", "text/csv")
        .user(&admin)
        .organization(&acme)
        .send()
        .await;
    assert_eq!(api.text, answer.text);
}

#[tokio::test]
async fn the_page_of_a_call_shows_each_viewer_what_they_may_see() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member, stranger) = (
        app.admin(&acme).await,
        app.member(&acme).await,
        app.member(&acme).await,
    );
    let integration = app.integration(&acme).await;
    let call = NewCall {
        viewers: vec![member.id],
        answered_by: Some(member.id),
        ..NewCall::answered("+12125550100", at(&app, 30), 125)
    };
    let call = app.call(&acme, integration, &call).await;
    let mut tx = app.platform().await;
    sqlx::query(
        "with inbox as (
             insert into inbox (id, received_at, integration_id, organization_id, provider, event_key, verdict, headers, body)
             values ($4, now(), $2, $1, 'openphone', 'EV1', 'standard', '{}', '{\"type\":\"call.completed\",\"secret\":1}') returning id, received_at),
         leg as (
             insert into call_legs (organization_id, id, call_id, integration_id, sid, phase, external_party, our_number, started_at, observed)
             values ($1, gen_random_uuid(), $3, $2, 'ACleg', 'ended', '+12125550100', '+12125550142', $5, '{}')),
         said as (
             insert into transcripts (organization_id, call_id, dialogue, viewer_ids)
             values ($1, $3, '[{\"speaker\":\"+12125550100\",\"startMs\":65000,\"endMs\":66000,\"text\":\"Hello there\"}]', array[$6::uuid]))
         insert into call_events (organization_id, id, call_id, occurred_at, kind, inbox_id, inbox_received_at)
         select $1, gen_random_uuid(), $3, $5, 'ringing', id, received_at from inbox",
    )
    .bind(acme.id.uuid())
    .bind(integration)
    .bind(call.uuid())
    .bind(Uuid::now_v7())
    .bind(jiff_sqlx::ToSqlx::to_sqlx(at(&app, 30)))
    .bind(member.id.uuid())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let path = format!("/calls/{call}");
    let page = async |user: &User| {
        let (cookie, _) = app.sign_in(user).await;
        app.get(&path).browser().cookie(&cookie).send().await
    };
    let html = page(&admin).await.text;
    assert_eq!(texts(&html, ".timeline li span:nth-child(2)"), ["Ringing"]);
    assert!(
        texts(&html, ".raw pre")[0].contains("\"secret\": 1"),
        "{html}"
    );
    assert!(html.contains("ACleg") && html.contains("Hello there") && html.contains("1:05"));
    let html = page(&member).await.text;
    assert!(
        html.contains("Hello there") && !html.contains("secret") && !html.contains("ACleg"),
        "{html}"
    );
    assert_eq!(texts(&html, ".timeline li").len(), 3);
    assert_eq!(page(&stranger).await.status, 404);
}

#[tokio::test]
async fn a_recording_is_played_to_those_who_may_hear_it_from_any_place() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member, stranger) = (
        app.admin(&acme).await,
        app.member(&acme).await,
        app.member(&acme).await,
    );
    let globex = app.organization("Globex").await;
    let foreign = app.admin(&globex).await;
    let integration = app.integration(&acme).await;
    let call = app
        .call(
            &acme,
            integration,
            &NewCall::answered("+12125550100", at(&app, 30), 125),
        )
        .await;
    let (ready, waiting) = (Uuid::now_v7(), Uuid::now_v7());
    let key = format!("recordings/{}/{ready}", acme.id);
    let mut tx = app.platform().await;
    sqlx::query(
        "insert into recordings (organization_id, id, call_id, provider, sid, content_type, object_key, occurred_at, viewer_ids)
         values ($1, $2, $4, 'openphone', 'RE1', 'audio/mpeg', $5, now(), array[$6::uuid]), ($1, $3, $4, 'openphone', 'RE2', 'text/html', null, now(), '{}')",
    )
    .bind(acme.id.uuid())
    .bind(ready)
    .bind(waiting)
    .bind(call.uuid())
    .bind(&key)
    .bind(member.id.uuid())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    app.put_file(&key, b"0123456789");
    let path = format!("/api/recordings/{ready}/media");
    for user in [&admin, &member] {
        let whole = app.get(&path).user(user).organization(&acme).send().await;
        assert_eq!((whole.status, whole.text.as_str()), (200, "0123456789"));
        assert_eq!(
            (whole.header("content-type"), whole.header("accept-ranges")),
            ("audio/mpeg", "bytes")
        );
        let part = app
            .get(&path)
            .user(user)
            .organization(&acme)
            .header("range", "bytes=2-4")
            .send()
            .await;
        assert_eq!((part.status, part.text.as_str()), (206, "234"));
        assert_eq!(part.header("content-range"), "bytes 2-4/10");
    }
    let past = app
        .get(&path)
        .user(&admin)
        .organization(&acme)
        .header("range", "bytes=10-")
        .send()
        .await;
    assert_eq!(
        (past.status, past.header("content-range")),
        (416, "bytes */10")
    );
    app.get(&path)
        .user(&stranger)
        .organization(&acme)
        .send()
        .await
        .expect(404);
    app.get(&path)
        .user(&foreign)
        .organization(&globex)
        .send()
        .await
        .expect(404);
    let not_yet = app
        .get(&format!("/api/recordings/{waiting}/media"))
        .user(&admin)
        .organization(&acme)
        .send()
        .await;
    assert_eq!(not_yet.expect(409)["code"], "recording_not_ready");
    let list = whole(&app, &member, &acme, "/api/recordings?limit=1").await;
    assert_eq!(ids(&list), [ready.to_string()]);
    assert_eq!(
        whole(&app, &admin, &acme, "/api/recordings?limit=1")
            .await
            .len(),
        2
    );
    // All of it, as far as who asks may hear it.
    for (user, count) in [(&admin, 2), (&member, 1), (&stranger, 0)] {
        let sheet = app
            .get("/api/recordings?limit=1")
            .user(user)
            .organization(&acme)
            .header("accept", "text/csv")
            .send()
            .await;
        assert_eq!(sheet.header("content-type"), "text/csv; charset=utf-8");
        let lines: Vec<&str> = sheet.text.lines().collect();
        assert_eq!(
            lines[0],
            "id,callId,provider,durationSeconds,contentType,isReady,occurredAt"
        );
        assert_eq!(lines.len(), count + 1, "{}", sheet.text);
        let has_ready = lines.iter().any(|it| it.starts_with(&ready.to_string()));
        assert_eq!(has_ready, count > 0, "{}", sheet.text);
    }
}

/// Under row-level security only some operators reach an index; a list must never read everything.
#[tokio::test]
async fn lists_are_read_by_index_as_admin_and_as_member() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let member = app.member(&acme).await;
    let integration = app.integration(&acme).await;
    let mut tx = app.platform().await;
    sqlx::query(
        "with made as (
             insert into calls (organization_id, id, provider, conversation_sid, integration_id, direction, state, outcome, external_party, started_at, ended_at, viewer_ids)
             select $1, gen_random_uuid(), 'openphone', n::text, $2, 'incoming', 'ended', 'missed', '+1212555' || lpad((n % 5000)::text, 4, '0'),
                 now() - make_interval(mins => n), now(), case when n % 3 = 0 then array[$3::uuid] else '{}' end from generate_series(1, 20000) n
             returning organization_id, id, started_at, viewer_ids)
         insert into call_viewers (organization_id, user_id, started_at, call_id) select organization_id, $3, started_at, id from made where viewer_ids <> '{}'",
    )
    .bind(acme.id.uuid())
    .bind(integration)
    .bind(member.id.uuid())
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let mut superuser = app.superuser().await;
    sqlx::query("analyze calls, call_viewers")
        .execute(&mut superuser)
        .await
        .unwrap();
    for (role, sql, index) in [
        (
            "tollbook_admin",
            "select c.id from calls c where c.organization_id = $1 and c.merged_into_id is null and (c.started_at, c.id) < (now(), $1) and c.started_at >= '2000-01-01' order by c.started_at desc, c.id desc limit 51",
            "calls_started_at_idx",
        ),
        (
            "tollbook_admin",
            "select c.id from calls c where c.organization_id = $1 and c.merged_into_id is null and (c.started_at, c.id) < (now(), $1) and (c.customer_id = any ('{}') or (c.external_party >= '+12125550042' and c.external_party < '+12125550042:') or (c.external_party >= '' and c.external_party < '')) order by c.started_at desc, c.id desc limit 51",
            "calls_external_party_idx",
        ),
        (
            "tollbook_member",
            "select v.call_id from call_viewers v join calls c on c.organization_id = v.organization_id and c.id = v.call_id where v.organization_id = $1 and v.user_id = acting_user_id() and (v.started_at, v.call_id) < (now(), $1) order by v.started_at desc, v.call_id desc limit 51",
            "call_viewers_pkey",
        ),
    ] {
        let plan = app.query_plan(role, &acme, &member, sql).await;
        assert!(
            plan.contains(index) && !plan.contains("Seq Scan on calls"),
            "{role}: {sql}\n{plan}"
        );
    }
}
