//! What every request meets: errors, limits, idempotency, headers, and that writes end though the client is gone.

use std::num::NonZeroU32;

use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tollbook::Masked;

use crate::support::TestApp;

#[tokio::test]
async fn each_way_to_be_wrong_has_its_status_and_names_the_field() {
    let app = TestApp::start().await;
    let root = app.platform_admin().await;
    let orgs = || app.post("/api/orgs").user(&root);
    let malformed = orgs().body("application/json", "{").send().await;
    assert_eq!(malformed.expect(400)["code"], "malformed");
    let invalid = orgs()
        .json(&json!({"name": "A", "zone": "Mars/Base"}))
        .send()
        .await
        .expect(422);
    assert_eq!(invalid["errors"][0]["field"], "zone");
    assert_eq!(invalid["error"], invalid["detail"]);
    let missing = orgs().json(&json!({})).send().await.expect(422);
    assert_eq!(
        missing["errors"][0],
        json!({"field": "name", "message": "is required"})
    );
    let form = orgs().form(&[("name", "A")]).send().await;
    assert_eq!(form.status, 415);
    let large = orgs()
        .body("application/json", format!("\"{}\"", "x".repeat(1 << 20)))
        .send()
        .await;
    assert_eq!(large.expect(413)["code"], "too_large");
    let nowhere = app.get("/api/nowhere").send().await;
    assert_eq!(nowhere.expect(404)["code"], "not_found");
    let method = app
        .request(Method::DELETE, "/api/orgs")
        .user(&root)
        .send()
        .await;
    assert_eq!(method.expect(405)["code"], "method_not_allowed");
    let query = app
        .get("/api/orgs?limit=1000")
        .user(&root)
        .send()
        .await
        .expect(422);
    assert_eq!(query["errors"][0]["field"], "limit");
    assert_eq!(nowhere.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn people_get_a_page_and_are_asked_to_sign_in() {
    let app = TestApp::start().await;
    let page = app.get("/nowhere").browser().send().await;
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.text.contains(page.header("x-request-id")));
    let program = app.get("/api/nowhere").browser().send().await;
    assert_eq!(program.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_request_keeps_its_id_unless_it_could_break_a_log() {
    let app = TestApp::start().await;
    let kept = app
        .get("/healthz")
        .header("x-request-id", "from-client-1")
        .send()
        .await;
    assert_eq!(kept.header("x-request-id"), "from-client-1");
    let made = app
        .get("/healthz")
        .header("x-request-id", "two words")
        .send()
        .await;
    assert_eq!(made.header("x-request-id").len(), 36);
    let problem = app
        .get("/api/me")
        .header("x-request-id", "mine")
        .send()
        .await;
    assert_eq!(problem.json()["requestId"], "mine");
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_and_does_nothing_twice() {
    let app = TestApp::start().await;
    let root = app.platform_admin().await;
    let post = async |key: &str, name: &str| {
        app.post("/api/orgs")
            .user(&root)
            .header("idempotency-key", key)
            .json(&json!({"name": name}))
            .send()
            .await
    };
    let first = post("k1", "Acme").await;
    let second = post("k1", "Acme").await;
    assert_eq!(first.expect(201), second.expect(201));
    assert_eq!(second.header("idempotent-replayed"), "true");
    assert_eq!(second.header("content-type"), "application/json");
    let organizations = "select count(*) from organizations";
    assert_eq!(app.count(organizations).await, 1);
    let other = post("k1", "Other").await.expect(422);
    assert_eq!(other["errors"][0]["field"], "Idempotency-Key");
    // A refusal is an answer too, and stays one.
    let refused = post("k2", "").await;
    assert_eq!(refused.expect(422), post("k2", "").await.expect(422));
    // Another caller's key is another key.
    let other_root = app.platform_admin().await;
    let theirs = app
        .post("/api/orgs")
        .user(&other_root)
        .header("idempotency-key", "k1")
        .json(&json!({"name": "Acme"}))
        .send()
        .await;
    assert_eq!(theirs.status, 201);
    app.advance(jiff::SignedDuration::from_hours(25));
    assert_eq!(
        post("k1", "Other").await.status,
        201,
        "it is forgotten after a day"
    );
}

#[tokio::test]
async fn a_key_whose_request_still_runs_is_a_conflict() {
    let app = TestApp::start().await;
    let root = app.platform_admin().await;
    let ask = || {
        app.post("/api/orgs")
            .user(&root)
            .header("idempotency-key", "k")
            .json(&json!({"name": "Acme"}))
    };
    ask().send().await.expect(201);
    app.change("update idempotency_keys set status = null, body = null")
        .await;
    assert_eq!(
        ask().send().await.expect(409)["code"],
        "idempotency_in_progress"
    );
}

#[tokio::test]
async fn a_write_ends_though_its_client_is_gone() {
    let app = TestApp::start().await;
    let root = app.platform_admin().await;
    let body = r#"{"name":"Left alone"}"#;
    let request = format!(
        "POST /api/orgs HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        app.token(&root),
        body.len()
    );
    // The insert waits for this lock, and the client leaves meanwhile.
    let mut session = superuser(&app).await;
    sqlx::raw_sql("begin; lock organizations in share mode")
        .execute(&mut session)
        .await
        .unwrap();
    let mut socket = tokio::net::TcpStream::connect(app.base.trim_start_matches("http://"))
        .await
        .unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    app.eventually("the write has begun", async || is_waiting(&app).await)
        .await;
    drop(socket);
    sqlx::raw_sql("rollback")
        .execute(&mut session)
        .await
        .unwrap();
    app.eventually("the organization is there", async || {
        app.count("select count(*) from organizations where name = 'Left alone'")
            .await
            == 1
    })
    .await;
    app.eventually("no transaction is left open", async || {
        let open = "select count(*) from pg_stat_activity where state = 'idle in transaction' and datname = current_database()";
        let mut other = superuser(&app).await;
        sqlx::query_scalar::<_, i64>(open).fetch_one(&mut other).await.unwrap() == 0
    })
    .await;
}

#[tokio::test]
async fn a_stop_waits_for_the_requests_under_way() {
    let mut app = TestApp::start().await;
    let root = app.platform_admin().await;
    let mut session = superuser(&app).await;
    sqlx::raw_sql("begin; lock organizations in share mode")
        .execute(&mut session)
        .await
        .unwrap();
    let (client, url, token) = (
        reqwest::Client::new(),
        format!("{}/api/orgs", app.base),
        app.token(&root),
    );
    let under_way = tokio::spawn(async move {
        let request = client.post(url).bearer_auth(token);
        let answer = request.json(&json!({"name": "Last"})).send().await;
        answer.unwrap().status().as_u16()
    });
    app.eventually("the request is under way", async || is_waiting(&app).await)
        .await;
    let release = async {
        app.app.stop.cancelled().await;
        sqlx::raw_sql("rollback")
            .execute(&mut session)
            .await
            .unwrap();
    };
    let stop = app.app.stop.clone();
    let ((), status) = tokio::join!(release, async {
        stop.cancel();
        under_way.await.unwrap()
    });
    assert_eq!(status, 201);
    app.stop().await;
}

/// A session that may do anything.
async fn superuser(app: &TestApp) -> sqlx::PgConnection {
    <sqlx::PgConnection as sqlx::Connection>::connect(app.superuser_url())
        .await
        .unwrap()
}

/// Whether a statement of the application waits for a lock.
async fn is_waiting(app: &TestApp) -> bool {
    let waiting = "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database())";
    sqlx::query_scalar(waiting)
        .fetch_one(&mut superuser(app).await)
        .await
        .unwrap()
}

#[tokio::test]
async fn every_caller_has_a_quota_of_their_own() {
    let app = TestApp::with(|settings| {
        settings.rate_limit_user = NonZeroU32::MIN;
        settings.rate_limit_address = NonZeroU32::MIN;
    })
    .await;
    let (ann, bob) = (app.user().await, app.user().await);
    let first = app.get("/api/me").user(&ann).send().await;
    assert_eq!((first.status, first.header("ratelimit-limit")), (200, "10"));
    assert_eq!(first.header("ratelimit-remaining"), "9");
    let mut refused = None;
    for _ in 0..30 {
        let answer = app.get("/api/me").user(&ann).send().await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.expect(429)["code"], "rate_limited");
    assert_eq!(refused.header("ratelimit-remaining"), "0");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(app.get("/api/me").user(&bob).send().await.status, 200);
}

#[tokio::test]
async fn only_the_named_origins_may_call_from_a_browser() {
    let app = TestApp::with(|settings| {
        settings.cors_origins = vec!["https://app.example.com".to_owned()];
    })
    .await;
    let preflight = async |origin: &str| {
        app.request(Method::OPTIONS, "/api/me")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization,apikey")
            .send()
            .await
    };
    let named = preflight("https://app.example.com").await;
    assert_eq!(
        named.header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert_eq!(
        named.header("access-control-allow-headers"),
        "authorization,apikey"
    );
    assert_eq!(named.header("access-control-allow-credentials"), "");
    let other = preflight("https://evil.example").await;
    assert_eq!(other.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn pages_are_bound_to_their_own_origin() {
    let app = TestApp::with(|settings| {
        settings.server_url = Some("https://calls.example.com".to_owned());
    })
    .await;
    let page = app.get("/login").browser().send().await;
    assert!(
        page.header("content-security-policy")
            .contains("script-src 'self'")
    );
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'none'")
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert!(page.header("strict-transport-security").contains("max-age"));
    assert!(page.header("set-cookie").contains("Secure"));
}

#[tokio::test]
async fn health_readiness_and_figures() {
    let mut app = TestApp::with(|settings| {
        settings.metrics_token = Some(Masked::from("figures".to_owned()));
    })
    .await;
    assert_eq!(app.get("/healthz").send().await.status, 200);
    assert_eq!(app.get("/readyz").send().await.status, 200);
    assert_eq!(app.get("/metrics").send().await.status, 401);
    let figures = app.get("/metrics").bearer("figures").send().await;
    assert!(figures.text.contains("tollbook_http_requests_total"));
    let mut session = superuser(&app).await;
    sqlx::raw_sql(
        "delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)",
    )
    .execute(&mut session)
    .await
    .unwrap();
    let behind = app.get("/readyz").send().await;
    assert!(
        behind.expect(503)["detail"]
            .as_str()
            .unwrap()
            .contains("tollbook migrate")
    );
    drop(session);
    app.stop().await;
}

#[tokio::test]
async fn figures_are_for_this_machine_when_there_is_no_token() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/metrics").send().await.status, 200);
    let forwarded = app
        .get("/metrics")
        .header("x-forwarded-for", "203.0.113.9")
        .send()
        .await;
    assert_eq!(forwarded.status, 401);
}

#[tokio::test]
async fn a_database_that_is_gone_is_unavailable_and_not_an_internal_error() {
    let app = TestApp::start().await;
    let ann = app.user().await;
    let mut session = superuser(&app).await;
    // Whoever asks waits for a lock, until the limit on such waits.
    sqlx::raw_sql("begin; lock users in access exclusive mode")
        .execute(&mut session)
        .await
        .unwrap();
    let answer = app.get("/api/me").user(&ann).send().await;
    assert_eq!(answer.expect(503)["code"], "unavailable");
    assert_eq!(answer.header("retry-after"), "1");
}
