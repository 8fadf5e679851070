//! Event streams: nothing is lost, nothing is told to the wrong person, and what ends is ended.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use tollbook::Tx;
use uuid::Uuid;

use crate::support::{Event, EventStream, NewCall, Organization, TestApp, User};

async fn open(
    app: &TestApp,
    user: &User,
    organization: &Organization,
    last_id: &str,
) -> EventStream {
    let ask = app.get("/api/events").user(user).organization(organization);
    let ask = if last_id.is_empty() {
        ask
    } else {
        ask.header("last-event-id", last_id)
    };
    ask.stream().await
}

fn event_id(data: &serde_json::Value) -> i64 {
    data["id"].as_i64().unwrap()
}

/// Two writers whose transactions are open at the same time, so that they commit in another order than they began.
struct Writers {
    random: StdRng,
    organization: Organization,
    open: [Option<(Tx, Vec<i64>)>; 2],
    committed: BTreeSet<i64>,
    out_of_order: usize,
}

impl Writers {
    /// Begins, writes or commits; at random, but the same at every run.
    async fn step(&mut self, app: &TestApp) {
        let writer = self.random.random_range(0..2);
        let (mut tx, mut ids) = match self.open[writer].take() {
            Some(open) => open,
            None => (app.platform().await, Vec::new()),
        };
        if !ids.is_empty() && self.random.random_range(0..3) == 0 {
            self.commit(app, tx, ids).await;
            return;
        }
        let id = sqlx::query_scalar(
            "insert into live_events (organization_id, kind, subject_id) values ($1, 'sync.progress', gen_random_uuid()) returning id",
        )
        .bind(self.organization.id.uuid())
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        ids.push(id);
        self.open[writer] = Some((tx, ids));
    }

    async fn commit(&mut self, app: &TestApp, tx: Tx, ids: Vec<i64>) {
        tx.commit().await.unwrap();
        app.app.wake.live.notify_one();
        let latest = self.committed.last().copied().unwrap_or(0);
        self.out_of_order += usize::from(ids.iter().any(|id| *id < latest));
        self.committed.extend(ids);
    }

    async fn finish(&mut self, app: &TestApp) {
        for writer in 0..2 {
            if let Some((tx, ids)) = self.open[writer].take() {
                self.commit(app, tx, ids).await;
            }
        }
    }
}

/// A viewer who is cut off again and again, at any place, and goes on at either node.
struct Viewer {
    random: StdRng,
    last_id: String,
    received: BTreeSet<i64>,
}

impl Viewer {
    async fn connect_and_be_cut_off(
        &mut self,
        nodes: &[&TestApp; 2],
        who: &User,
        organization: &Organization,
    ) {
        let node = nodes[self.random.random_range(0..2)];
        let mut stream = open(node, who, organization, &self.last_id).await;
        for _ in 0..self.random.random_range(1..20) {
            let Some(event) = stream.block().await else {
                break;
            };
            if !event.name.is_empty() {
                assert_eq!(event.name, "sync.progress", "{}", event.data);
                self.received.insert(event_id(&event.json()));
            }
        }
        self.last_id = stream.last_id;
    }

    /// Reads on until everything was heard, or nothing more comes.
    async fn catch_up(
        &mut self,
        node: &TestApp,
        who: &User,
        organization: &Organization,
        all: &BTreeSet<i64>,
    ) {
        let mut stream = open(node, who, organization, &self.last_id).await;
        while !all.is_subset(&self.received) {
            let Some(event) = stream.next().await else {
                return;
            };
            self.received.insert(event_id(&event.json()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_a_thousand_disconnects_at_two_nodes() {
    const VIEWERS: usize = 4;
    const DISCONNECTS_EACH: usize = 250;
    let app = Arc::new(TestApp::with(|settings| settings.rate_limit_user = NonZeroU32::MAX).await);
    let beside = Arc::new(app.beside().await);
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let start = open(&app, &admin, &acme, "").await.first_id().await;
    let running = Arc::new(AtomicUsize::new(VIEWERS));
    let mut viewers = tokio::task::JoinSet::new();
    for seed in 0..VIEWERS {
        let (app, beside, acme, admin) = (
            Arc::clone(&app),
            Arc::clone(&beside),
            acme.clone(),
            admin.clone(),
        );
        let (running, last_id) = (Arc::clone(&running), start.clone());
        viewers.spawn(async move {
            let random = StdRng::seed_from_u64(u64::try_from(seed).unwrap());
            let mut viewer = Viewer {
                random,
                last_id,
                received: BTreeSet::new(),
            };
            for _ in 0..DISCONNECTS_EACH {
                viewer
                    .connect_and_be_cut_off(&[&app, &beside], &admin, &acme)
                    .await;
            }
            running.fetch_sub(1, Ordering::SeqCst);
            viewer
        });
    }
    let mut writers = Writers {
        random: StdRng::seed_from_u64(99),
        organization: acme.clone(),
        open: [None, None],
        committed: BTreeSet::new(),
        out_of_order: 0,
    };
    while running.load(Ordering::SeqCst) > 0 {
        writers.step(&app).await;
    }
    writers.finish(&app).await;
    assert!(
        writers.out_of_order > 50,
        "{} commits were out of order",
        writers.out_of_order
    );
    while let Some(viewer) = viewers.join_next().await {
        let mut viewer = viewer.unwrap();
        viewer
            .catch_up(&beside, &admin, &acme, &writers.committed)
            .await;
        let missing: Vec<_> = writers
            .committed
            .iter()
            .filter(|id| !viewer.received.contains(*id))
            .collect();
        assert!(missing.is_empty(), "{missing:?} were lost");
        assert!(
            viewer.received.is_subset(&writers.committed),
            "what was not committed was told"
        );
    }
}

#[tokio::test]
async fn a_stream_goes_on_at_another_node() {
    let app = TestApp::start().await;
    let beside = app.beside().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let mut stream = open(&app, &admin, &acme, "").await;
    let first = app.tell(&acme, "sync.progress", Uuid::now_v7()).await;
    assert_eq!(
        event_id(&stream.expect("sync.progress").await.json()),
        first
    );
    let last_id = stream.last_id.clone();
    drop(stream);
    let missed = app.tell(&acme, "usage.threshold", Uuid::now_v7()).await;
    let mut stream = open(&beside, &admin, &acme, &last_id).await;
    let heard = after(&mut stream, first).await;
    assert_eq!(
        (heard.name.as_str(), event_id(&heard.json())),
        ("usage.threshold", missed)
    );
    // What is written at one node is heard at the other.
    let next = app.tell(&acme, "sync.progress", Uuid::now_v7()).await;
    assert_eq!(event_id(&after(&mut stream, missed).await.json()), next);
}

/// The next fresh event past one that was heard before: a stream may repeat itself.
async fn after(stream: &mut EventStream, id: i64) -> Event {
    loop {
        let event = stream.fresh().await.expect("the stream goes on");
        if event_id(&event.json()) > id {
            return event;
        }
    }
}

#[tokio::test]
async fn the_headers_keep_proxies_from_holding_it_back() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let stream = open(&app, &admin, &acme, "").await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert_eq!(stream.header("x-accel-buffering"), "no");
    assert_eq!(stream.header("cache-control"), "no-store");
    assert_eq!(stream.header("content-encoding"), "");
}

#[tokio::test]
async fn a_stream_that_was_left_too_long_ago_is_told_to_read_everything_again() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let fresh = open(&app, &admin, &acme, "").await.first_id().await;
    let (xid, seconds) = fresh.split_once('.').unwrap();
    let seconds: i64 = seconds.parse().unwrap();
    let ahead: i64 = xid.parse::<i64>().unwrap() + 1_000_000;
    let mut told = BTreeSet::new();
    for stale in [
        format!("{xid}.{}", seconds - 3_601),
        format!("{ahead}.{seconds}"),
    ] {
        let mut stream = open(&app, &admin, &acme, &stale).await;
        stream.expect("resync").await;
        // From there on it goes on as ever, and may repeat what was told before the stream began: while an older
        // transaction is open, of any database of the cluster, the present begins there.
        let id = app.tell(&acme, "sync.progress", Uuid::now_v7()).await;
        let heard = loop {
            let heard = event_id(&stream.expect("sync.progress").await.json());
            if !told.contains(&heard) {
                break heard;
            }
        };
        assert_eq!(heard, id);
        told.insert(id);
    }
    let refused = app
        .get("/api/events")
        .user(&admin)
        .organization(&acme)
        .header("last-event-id", "nonsense");
    let refused = refused.send().await.expect(422);
    assert_eq!(refused["errors"][0]["field"], "Last-Event-ID");
}

#[tokio::test]
async fn a_stream_carries_what_its_viewer_may_see_and_nothing_else() {
    let app = TestApp::start().await;
    let (acme, globex) = (
        app.organization("Acme").await,
        app.organization("Globex").await,
    );
    let (admin, foreign) = (app.admin(&acme).await, app.admin(&globex).await);
    let (ann, bob, cleo) = (
        app.member(&acme).await,
        app.member(&acme).await,
        app.member(&acme).await,
    );
    let number = app.number(&acme, "+12125550142").await;
    app.assign(&acme, number, &bob).await;
    let integration = app.integration(&acme).await;
    let answered = NewCall {
        viewers: vec![ann.id],
        number: Some(number),
        ..NewCall::answered("+12125550100", app.now(), 60)
    };
    let call = app.call(&acme, integration, &answered).await.uuid();
    let own = NewCall {
        viewers: vec![cleo.id],
        ..NewCall::ringing("+12125550199", app.now())
    };
    let own = app.call(&acme, integration, &own).await.uuid();
    let elsewhere = app.integration(&globex).await;
    let theirs = app
        .call(
            &globex,
            elsewhere,
            &NewCall::ringing("+12125550177", app.now()),
        )
        .await
        .uuid();
    let mut streams = Vec::new();
    for (user, organization) in [
        (&admin, &acme),
        (&ann, &acme),
        (&bob, &acme),
        (&cleo, &acme),
        (&foreign, &globex),
    ] {
        streams.push(open(&app, user, organization, "").await);
    }
    app.tell(&acme, "call.completed", call).await;
    app.tell(&globex, "call.ringing", theirs).await;
    app.tell(&acme, "call.ringing", own).await;
    let mut heard = Vec::new();
    for stream in &mut streams {
        let event = stream.fresh().await.unwrap();
        let data = event.json();
        let with = data["data"]["with"].as_str().unwrap_or_default().to_owned();
        heard.push((event.name, with));
    }
    let pair = |name: &str, with: &str| (name.to_owned(), with.to_owned());
    assert_eq!(
        heard,
        [
            pair("call.completed", "+12125550100"),
            pair("call.completed", "+12125550100"),
            // It rang on a number of theirs, and is somebody else's now.
            pair("call.gone", ""),
            // Not a word of the call before.
            pair("call.ringing", "+12125550199"),
            pair("call.ringing", "+12125550177"),
        ]
    );
    // The admin sees both calls of the organization, and not the foreign one.
    assert_eq!(
        streams[0].expect("call.ringing").await.json()["subjectId"],
        own.to_string()
    );
}

#[tokio::test]
async fn a_ringing_call_comes_with_the_caller_and_an_ended_one_without() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let customer = app.customer(&acme, "Dana Whitfield").await;
    let integration = app.integration(&acme).await;
    let ringing = NewCall {
        customer: Some(customer),
        ..NewCall::ringing("+12125550100", app.now())
    };
    let ringing = app.call(&acme, integration, &ringing).await;
    let mut stream = open(&app, &admin, &acme, "").await;
    app.tell(&acme, "call.ringing", ringing.uuid()).await;
    let data = stream.expect("call.ringing").await.json()["data"].take();
    assert_eq!(data["id"], ringing.to_string());
    assert_eq!(data["state"], "ringing");
    assert_eq!(data["caller"]["customer"]["name"], "Dana Whitfield");
    assert_eq!(
        data["caller"]["notice"],
        "Non-subscriber calling - will be billed"
    );
    let ended = NewCall {
        customer: Some(customer),
        ..NewCall::answered("+12125550100", app.now(), 61)
    };
    let ended = app.call(&acme, integration, &ended).await;
    app.tell(&acme, "call.completed", ended.uuid()).await;
    let data = stream.expect("call.completed").await.json()["data"].take();
    assert_eq!(
        (&data["outcome"], &data["billableSeconds"]),
        (&"answered".into(), &61.into())
    );
    assert!(data["caller"].is_null());
}

/// The address of the stream that the live page names.
async fn stream_of_page(app: &TestApp, cookie: &str) -> String {
    let page = app.get("/").browser().cookie(cookie).send().await;
    assert_eq!(page.status, 200, "{}", page.text);
    let stream = page.text.split("data-stream=\"").nth(1);
    stream.unwrap().split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_member_is_told_what_they_could_read() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, ann, bob, cleo) = (
        app.admin(&acme).await,
        app.member(&acme).await,
        app.member(&acme).await,
        app.member(&acme).await,
    );
    let number = app.number(&acme, "+12125550142").await;
    app.assign(&acme, number, &bob).await;
    let mut tx = app.platform().await;
    sqlx::query("update phone_numbers set label = 'Night line' where id = $1")
        .bind(number.uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let dana = app.customer(&acme, "Dana Whitfield").await;
    let integration = app.integration(&acme).await;
    // The newest seven are Bob's alone, three older ones Ann's too.
    for hours in 1..=10 {
        let viewers = if hours > 7 {
            vec![ann.id, bob.id]
        } else {
            vec![bob.id]
        };
        let earlier = app.now() - jiff::SignedDuration::from_hours(hours);
        let earlier = NewCall {
            customer: Some(dana),
            viewers,
            ..NewCall::answered("+12125550100", earlier, 60 * hours)
        };
        app.call(&acme, integration, &earlier).await;
    }
    let mut watchers = Vec::new();
    for user in [&admin, &ann, &bob, &cleo] {
        let (cookie, csrf) = app.sign_in(user).await;
        let pages = stream_of_page(&app, &cookie).await;
        let pages = app.get(&pages).cookie(&cookie).stream().await;
        let documents = open(&app, user, &acme, "").await;
        watchers.push((user, cookie, csrf, pages, documents));
    }
    let call = NewCall {
        customer: Some(dana),
        number: Some(number),
        viewers: vec![ann.id, bob.id, cleo.id],
        ..NewCall::ringing("+12125550100", app.now())
    };
    let call = app.call(&acme, integration, &call).await;
    app.tell(&acme, "call.ringing", call.uuid()).await;
    let mut seen = Vec::new();
    for (user, cookie, csrf, mut pages, mut documents) in watchers {
        let told = documents.expect("call.ringing").await.json()["data"].take();
        let read = app.get(&format!("/api/calls/{call}"));
        let read = read.user(user).organization(&acme).send().await.expect(200);
        assert_eq!(told["caller"], read["caller"]);
        let recent = told["caller"]["recentCalls"].as_array().unwrap();
        let update = pages.put_with(&format!("id=\"call-{call}\"")).await;
        let page = app.get("/").browser().cookie(&cookie).send().await.text;
        let page = page.replace(&csrf, "");
        let element = update[update.find("<li").unwrap()..].trim_end();
        assert!(page.contains(element), "{element}\n is not in\n{page}");
        seen.push((recent.len(), element.contains("Night line")));
    }
    // A card has five calls, the one that rings among them. The line is Bob's.
    assert_eq!(seen, [(5, true), (4, false), (5, true), (1, false)]);
}

#[tokio::test]
async fn an_update_is_the_element_of_the_page() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let (cookie, csrf) = app.sign_in(&admin).await;
    let customer = app.customer(&acme, "Dana Whitfield").await;
    let integration = app.integration(&acme).await;
    let stream = stream_of_page(&app, &cookie).await;
    let call = NewCall {
        customer: Some(customer),
        ..NewCall::ringing("+12125550100", app.now())
    };
    let call = app.call(&acme, integration, &call).await;
    app.tell(&acme, "call.ringing", call.uuid()).await;
    // What happened between the page and its stream is not lost: the page names the place where the stream goes on.
    let mut stream = app.get(&stream).cookie(&cookie).stream().await;
    let id = format!("id=\"call-{call}\"");
    let update = stream.put_with(&id).await;
    assert!(
        update.contains("Dana Whitfield") && update.contains("data-list=\"ringing\""),
        "{update}"
    );
    let page = app.get("/").browser().cookie(&cookie).send().await.text;
    // The page's forms carry the session's token, which an update does not know.
    let page = page.replace(&csrf, "");
    let element = update[update.find("<li").unwrap()..].trim_end();
    assert!(page.contains(element), "{element}\n is not in\n{page}");
    // The figures follow.
    let figures = stream.put_with("id=\"tiles\"").await;
    assert!(figures.contains("<dd>1</dd>"), "{figures}");
}

#[tokio::test]
async fn a_call_that_is_no_longer_a_members_disappears_from_their_page() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let member = app.member(&acme).await;
    let number = app.number(&acme, "+12125550142").await;
    app.assign(&acme, number, &member).await;
    let integration = app.integration(&acme).await;
    let (cookie, _) = app.sign_in(&member).await;
    let mut stream = app
        .get(&format!("/orgs/{}/events", acme.id))
        .cookie(&cookie)
        .stream()
        .await;
    let call = NewCall {
        number: Some(number),
        ..NewCall::answered("+12125550100", app.now(), 60)
    };
    let call = app.call(&acme, integration, &call).await;
    app.tell(&acme, "call.completed", call.uuid()).await;
    loop {
        let event = stream.next().await.unwrap();
        assert!(!event.data.contains("555-0100"), "{}", event.data);
        if event.name == "gone" {
            assert_eq!(event.data, format!("call-{call}"));
            break;
        }
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_right_to_it() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    // A session that is signed out.
    let (cookie, csrf) = app.sign_in(&member).await;
    let mut of_session = app.get("/api/events").cookie(&cookie).stream().await;
    let other = open(&app, &admin, &acme, "").await;
    let answer = app
        .post("/logout")
        .cookie(&cookie)
        .form(&[("csrf", &csrf)])
        .send()
        .await;
    assert_eq!(answer.status, 303);
    assert_eq!(of_session.next().await, None);
    app.get("/api/events")
        .cookie(&cookie)
        .send_for_status()
        .await
        .expect(401);
    // A key that is revoked.
    let key = app.api_key(&admin, &acme, &["read"]).await;
    let mut of_key = app.get("/api/events").bearer(&key).stream().await;
    let keys = app
        .get("/api/api-keys")
        .user(&admin)
        .organization(&acme)
        .send()
        .await
        .expect(200);
    let id = keys["data"][0]["id"].as_str().unwrap().to_owned();
    let revoke = app
        .request(Method::DELETE, &format!("/api/api-keys/{id}"))
        .user(&admin)
        .organization(&acme);
    assert_eq!(revoke.send().await.status, 204);
    assert_eq!(of_key.next().await, None);
    // A role that changes.
    let mut of_member = open(&app, &member, &acme, "").await;
    let change = app
        .request(
            Method::PATCH,
            &format!("/api/orgs/{}/users/{}", acme.id, member.id),
        )
        .user(&admin)
        .json(&serde_json::json!({"role": "org_admin"}));
    change.send().await.expect(200);
    assert_eq!(of_member.next().await, None);
    drop(other);
}

#[tokio::test]
async fn streams_end_when_the_node_stops() {
    let mut app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let mut stream = open(&app, &admin, &acme, "").await;
    stream.block().await.unwrap();
    app.stop().await;
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn old_events_are_forgotten_and_young_ones_kept() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let mut tx = app.platform().await;
    sqlx::query(
        "insert into live_events (organization_id, kind, subject_id, created_at)
         select $1, 'sync.progress', gen_random_uuid(), clock_timestamp() - make_interval(mins => age) from unnest(array[0, 59, 61, 69, 71, 300]) as t (age)",
    )
    .bind(acme.id.uuid())
    .execute(&mut *tx)
    .await
    .unwrap();
    sqlx::query("update schedules set next_run_at = clock_timestamp() where name = 'retain'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    app.app.wake.jobs.notify_one();
    // A stream can be resumed for an hour; events are kept a little longer.
    app.eventually("the old ones are gone", async || {
        app.count("select count(*) from live_events").await == 4
    })
    .await;
}
