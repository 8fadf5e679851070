//! What clients of Supabase call: the functions in SQL and as remote procedures, the edge function, and the page.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tollbook_core::actor::Actor;
use uuid::Uuid;

use crate::isolation::code;
use crate::support::{Answer, Organization, SERVICE_KEY, TestApp, sign};

/// A number of Twilio's that an organization holds; returns the mapping.
async fn mapping(app: &TestApp, organization: &Organization, e164: &str) -> Uuid {
    let number = app.number(organization, e164).await;
    let mut tx = app.platform().await;
    sqlx::query_scalar("select id from number_mappings where phone_number_id = $1")
        .bind(number.uuid())
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

/// As the owner of the database, without any settings of the application's: as in `psql`.
async fn owner(app: &TestApp) -> PgConnection {
    PgConnection::connect(app.superuser_url()).await.unwrap()
}

async fn id_of(session: &mut PgConnection, query: String) -> Result<Uuid, String> {
    sqlx::query_scalar(AssertSqlSafe(query))
        .fetch_one(session)
        .await
        .map_err(|error| code(&error))
}

/// The totals of a mapping's counters, over all months.
async fn counted(app: &TestApp, mapping: Uuid) -> [i64; 5] {
    let mut tx = app.platform().await;
    let row = sqlx::query(
        "select coalesce(sum(voice_minutes_used), 0)::bigint, coalesce(sum(voice_calls_count), 0)::bigint, coalesce(sum(sms_count_used), 0)::bigint,
             coalesce(sum(sms_sent_count), 0)::bigint, coalesce(sum(sms_received_count), 0)::bigint
         from tenant_usage_counters where phone_mapping_id = $1",
    )
    .bind(mapping)
    .fetch_one(&mut *tx)
    .await
    .unwrap();
    [0, 1, 2, 3, 4].map(|at| row.get(at))
}

async fn rpc(app: &TestApp, bearer: &str, function: &str, arguments: &Value) -> Answer {
    app.post(&format!("/rest/v1/rpc/{function}"))
        .bearer(bearer)
        .header("content-profile", "public")
        .json(arguments)
        .send()
        .await
}

#[tokio::test]
async fn the_functions_run_in_psql_as_they_are_documented() {
    let app = TestApp::start().await;
    let mapped = app
        .post("/functions/v1/ops-map-number-to-tenant")
        .bearer(SERVICE_KEY)
        .json(&json!({"tenant_id": "test-tenant-123", "twilio_number_sid": format!("PN{}", "x".repeat(32)),
            "phone_number": "+12505551234", "number_type": "both"}))
        .send()
        .await
        .expect(200);
    let mapping: Uuid = mapped["mapping"]["id"].as_str().unwrap().parse().unwrap();
    for role in ["tollbook", "tollbook_platform"] {
        let mut session = owner(&app).await;
        let role = AssertSqlSafe(format!("set role {role}"));
        sqlx::raw_sql(role).execute(&mut session).await.unwrap();
        // As they are written in the verification of the usage mapping.
        for query in [
            "SELECT log_voice_usage(
  'test-tenant-123',
  (SELECT id FROM tenant_phone_mappings WHERE phone_number = '+12505551234'),
  180, -- 3 minutes
  '{\"call_sid\": \"CAxxxxxx\", \"from\": \"+12505559999\", \"to\": \"+12505551234\"}'::jsonb
);",
            "SELECT log_sms_usage(
  'test-tenant-123',
  (SELECT id FROM tenant_phone_mappings WHERE phone_number = '+12505551234'),
  'outbound',
  '{\"message_sid\": \"SMxxxxxx\", \"to\": \"+12505559999\", \"body\": \"Test\"}'::jsonb
);",
        ] {
            sqlx::raw_sql(query).execute(&mut session).await.unwrap();
        }
        let counters = sqlx::raw_sql(
            "SELECT * FROM tenant_usage_counters 
WHERE tenant_id = 'test-tenant-123';",
        )
        .fetch_all(&mut session)
        .await
        .unwrap();
        let used: i64 = counters
            .iter()
            .map(|row| row.get::<i64, _>("voice_minutes_used"))
            .sum();
        assert_eq!(used, 3);
    }
    // The second role's call and message were the first's, and count once.
    assert_eq!(counted(&app, mapping).await, [3, 1, 1, 1, 0]);
    assert_eq!(
        app.count("select count(*) from tenant_usage_logs where metadata ->> 'call_sid' = 'CAxxxxxx' and unit = 'second' and logged_at is not null").await,
        1
    );
}

#[tokio::test]
async fn an_sid_counts_once_on_a_mapping_and_without_one_each_call_counts() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let first = mapping(&app, &acme, "+12505551234").await;
    let second = mapping(&app, &acme, "+12505551235").await;
    let mut session = owner(&app).await;
    let mut log = async |mapping: Uuid, seconds: i32, metadata: &str| {
        let query = format!(
            "select log_voice_usage('{}', '{mapping}', {seconds}, '{metadata}')",
            acme.id
        );
        id_of(&mut session, query).await.unwrap()
    };
    let one = log(first, 61, r#"{"call_sid": "CA1"}"#).await;
    assert_eq!(
        log(first, 61, r#"{"call_sid": "CA1", "status": "completed"}"#).await,
        one
    );
    assert_eq!(
        log(first, 600, r#"{"call_sid": "CA1"}"#).await,
        one,
        "the first counts"
    );
    let other = log(second, 61, r#"{"call_sid": "CA1"}"#).await;
    assert_ne!(other, one);
    assert_eq!(log(second, 61, r#"{"call_sid": "CA1"}"#).await, other);
    assert_eq!(counted(&app, first).await, [2, 1, 0, 0, 0]);
    assert_eq!(counted(&app, second).await, [2, 1, 0, 0, 0]);
    let without = [
        log(first, 0, "{}").await,
        log(first, 1, r#"{"call_sid": ""}"#).await,
    ];
    assert_ne!(without[0], without[1]);
    assert_eq!(counted(&app, first).await, [3, 3, 0, 0, 0]);
    let long = format!(r#"{{"call_sid": "{}"}}"#, "é".repeat(400));
    assert_eq!(log(first, 1, &long).await, log(first, 1, &long).await);
}

#[tokio::test]
async fn a_call_logged_from_everywhere_at_once_counts_once() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let mapping = mapping(&app, &acme, "+12505551234").await;
    let arguments = json!({"p_tenant_id": acme.id, "p_phone_mapping_id": mapping, "p_duration_seconds": 61,
        "p_call_metadata": {"call_sid": "CA1"}});
    let calls = (0..12).map(|_| rpc(&app, SERVICE_KEY, "log_voice_usage", &arguments));
    let mut ids: Vec<Value> = futures_util::future::join_all(calls)
        .await
        .iter()
        .map(|answer| answer.expect(200))
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(counted(&app, mapping).await, [2, 1, 0, 0, 0]);
}

/// A sequence that looks random and is the same each time.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |it| {
        Some(
            it.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    })
    .map(|it| it >> 33)
}

/// What was stored of a mapping: usage, counters and places in the rating queue, without ids and times of arrival.
async fn stored(app: &TestApp, organization: &Organization) -> Vec<String> {
    let mut tx = app.platform().await;
    let mut rows: Vec<String> = Vec::new();
    for query in [
        "select concat_ws('|', e.meter, e.quantity, e.occurred_at, e.idempotency_key, encode(e.key_digest, 'hex'), e.metadata, e.user_id, e.customer_id, e.corrects_id)
            from usage_events e where e.organization_id = $1 order by e.idempotency_key",
        "select concat_ws('|', c.meter, c.period_start, c.period_end, c.quantity, c.events) from usage_counters c where c.organization_id = $1 order by c.meter, c.period_start",
        "select concat_ws('|', c.period_start, c.period_end, c.voice_seconds, c.voice_minutes, c.voice_calls, c.sms_sent, c.sms_received)
            from number_counters c where c.organization_id = $1 order by c.period_start",
        "select concat_ws('|', e.idempotency_key, a.payer) from rating_queue q join usage_events e on e.organization_id = q.organization_id and e.id = q.usage_event_id
            join accounts a on a.organization_id = q.organization_id and a.id = q.account_id where q.organization_id = $1 order by 1",
    ] {
        let found: Vec<String> = sqlx::query_scalar(query)
            .bind(organization.id.uuid())
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        assert!(!found.is_empty(), "{query}");
        rows.extend(found);
    }
    rows
}

#[tokio::test]
async fn the_functions_store_what_the_application_stores() {
    // Without workers, so that what is queued stays.
    let app = TestApp::quiet().await;
    let [by_function, by_api] = [app.organization("One").await, app.organization("Two").await];
    let mut mappings = Vec::new();
    for (organization, e164) in [(&by_function, "+12505551234"), (&by_api, "+12505551235")] {
        let mut tx = app.platform().await;
        sqlx::query(
            "insert into accounts (organization_id, id, payer) values ($1, $2, 'organization')",
        )
        .bind(organization.id.uuid())
        .bind(Uuid::now_v7())
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query("update organizations set zone = 'Pacific/Auckland' where id = $1")
            .bind(organization.id.uuid())
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        mappings.push(mapping(&app, organization, e164).await);
    }
    let mut random = numbers(7);
    for place in 0..60 {
        let [kind, amount, sid] = [(); 3].map(|()| random.next().unwrap());
        let sid = format!("S{}", sid % 40);
        let (function, arguments, meter, quantity, key) = match kind % 3 {
            0 => {
                let seconds = amount % 400;
                let metadata = json!({"call_sid": sid, "place": 1.5});
                (
                    "log_voice_usage",
                    json!({"p_duration_seconds": seconds, "p_call_metadata": metadata}),
                    "CALL_DURATION_SECONDS",
                    seconds,
                    format!("twilio:call:{sid}:seconds"),
                )
            }
            sent => {
                let (direction, meter, what) = match sent {
                    1 => ("outbound", "SMS_SENT", "sent"),
                    _ => ("inbound", "SMS_RECEIVED", "received"),
                };
                let metadata = json!({"message_sid": sid, "body": "é ✓"});
                (
                    "log_sms_usage",
                    json!({"p_direction": direction, "p_sms_metadata": metadata}),
                    meter,
                    1,
                    format!("twilio:message:{sid}:{what}"),
                )
            }
        };
        let metadata = arguments["p_call_metadata"]
            .as_object()
            .or(arguments["p_sms_metadata"].as_object())
            .unwrap()
            .clone();
        let mut all = arguments.clone();
        all["p_tenant_id"] = json!(by_function.id);
        all["p_phone_mapping_id"] = json!(mappings[0]);
        rpc(&app, SERVICE_KEY, function, &all).await.expect(200);
        let answer = app
            .post("/api/billing/usage")
            .bearer(SERVICE_KEY)
            .json(&json!({"orgId": by_api.id, "idempotencyKey": key, "usageType": meter, "quantity": quantity,
                "mappingId": mappings[1], "metadata": metadata}))
            .send()
            .await;
        // A call that is told twice with different seconds is a conflict here, and the first counts there too.
        assert!(
            [200, 201, 409].contains(&answer.status),
            "{place}: {}",
            answer.text
        );
    }
    assert_eq!(
        stored(&app, &by_function).await,
        stored(&app, &by_api).await
    );
}

#[tokio::test]
async fn a_counter_is_made_once_for_the_month_in_the_tenants_zone() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let mapping = mapping(&app, &acme, "+12505551234").await;
    let mut tx = app.platform().await;
    sqlx::raw_sql("update organizations set zone = 'America/Vancouver', external_key = 'acme'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    // Still February in Vancouver.
    app.advance(jiff::SignedDuration::from_hours(-40));
    let arguments = json!({"p_tenant_id": "acme", "p_phone_mapping_id": mapping});
    let all = (0..6).map(|_| rpc(&app, SERVICE_KEY, "get_or_create_usage_counter", &arguments));
    let answers = futures_util::future::join_all(all).await;
    let counter = answers[0].expect(200);
    assert!(answers.iter().all(|it| it.expect(200) == counter));
    assert_eq!(counter["billing_period_start"], "2026-02-01");
    assert_eq!(counter["billing_period_end"], "2026-02-28");
    assert_eq!(counter["tenant_id"], "acme");
    for name in [
        "voice_minutes_used",
        "voice_calls_count",
        "sms_count_used",
        "sms_sent_count",
        "sms_received_count",
    ] {
        assert_eq!(counter[name], 0, "{name}");
    }
    assert_eq!(app.count("select count(*) from number_counters").await, 1);
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_the_function_with_its_code() {
    let app = TestApp::start().await;
    let (acme, globex) = (
        app.organization("Acme").await,
        app.organization("Globex").await,
    );
    let own = mapping(&app, &acme, "+12505551234").await;
    let foreign = mapping(&app, &globex, "+12505551235").await;
    let tenant = acme.id;
    let mut session = owner(&app).await;
    for (call, expected) in [
        (format!("log_voice_usage('nobody', '{own}', 1)"), "22023"),
        (
            format!("log_voice_usage('{tenant}', '{foreign}', 1)"),
            "42501",
        ),
        (
            format!("log_voice_usage('{tenant}', '{}', 1)", Uuid::now_v7()),
            "42501",
        ),
        (format!("log_voice_usage('{tenant}', null, 1)"), "22023"),
        (format!("log_voice_usage('{tenant}', '{own}', -1)"), "22023"),
        (
            format!("log_voice_usage('{tenant}', '{own}', null)"),
            "22023",
        ),
        (
            format!("log_voice_usage('{tenant}', '{own}', 1, '[]')"),
            "22023",
        ),
        (
            format!("log_sms_usage('{tenant}', '{own}', 'sideways')"),
            "22023",
        ),
        (format!("log_sms_usage('{tenant}', '{own}', null)"), "22023"),
        (
            format!("log_sms_usage('{tenant}', '{foreign}', 'inbound')"),
            "42501",
        ),
    ] {
        let refused = id_of(&mut session, format!("select {call}")).await;
        assert_eq!(refused, Err(expected.to_owned()), "{call}");
    }
    assert_eq!(app.count("select count(*) from usage_events").await, 0);
    let mut refused = Vec::new();
    for role in ["none", "member", "portal", "ingest"] {
        for function in [
            "log_voice_usage(text, uuid, integer, jsonb)",
            "log_sms_usage(text, uuid, text, jsonb)",
            "get_or_create_usage_counter(text, uuid)",
            "log_usage(uuid, uuid, text, numeric, text, jsonb)",
            "store_usage(uuid[], uuid[], text[], numeric[], timestamptz[], text[], bytea[], bytea[], uuid[], uuid[], uuid[], uuid[], text[], text[], jsonb[], uuid[])",
        ] {
            let may: bool = sqlx::query_scalar(
                "select has_function_privilege('tollbook_' || $1, $2, 'execute')",
            )
            .bind(role)
            .bind(function)
            .fetch_one(&mut session)
            .await
            .unwrap();
            assert!(!may, "{role} calls {function}");
            refused.push(function);
        }
    }
    let definers: i64 = sqlx::query_scalar(
        "select count(*) from pg_proc where prosecdef and proname in ('log_voice_usage', 'log_sms_usage', 'get_or_create_usage_counter', 'log_usage', 'store_usage')",
    )
    .fetch_one(&mut session)
    .await
    .unwrap();
    assert_eq!((definers, refused.len()), (0, 20));
}

#[tokio::test]
async fn an_admin_and_a_key_log_for_their_own_tenant_only() {
    let app = TestApp::start().await;
    let (acme, globex) = (
        app.organization("Acme").await,
        app.organization("Globex").await,
    );
    let (own, foreign) = (
        mapping(&app, &acme, "+12505551234").await,
        mapping(&app, &globex, "+12505551235").await,
    );
    let admin = app.admin(&acme).await;
    let key = app.api_key(&admin, &acme, &["usage"]).await;
    let member = app.token(&app.member(&acme).await);
    let of = |tenant: &Organization, mapping: Uuid| json!({"p_tenant_id": tenant.id, "p_phone_mapping_id": mapping, "p_direction": "inbound"});
    for bearer in [&app.token(&admin), &key] {
        rpc(&app, bearer, "log_sms_usage", &of(&acme, own))
            .await
            .expect(200);
        for (tenant, mapping) in [(&globex, foreign), (&acme, foreign), (&globex, own)] {
            let refused = rpc(&app, bearer, "log_sms_usage", &of(tenant, mapping)).await;
            assert_eq!(refused.expect(403)["code"], "42501");
        }
        let unknown =
            json!({"p_tenant_id": "nobody", "p_phone_mapping_id": own, "p_direction": "inbound"});
        let refused = rpc(&app, bearer, "log_sms_usage", &unknown).await;
        assert_eq!(
            refused.expect(403)["message"],
            "tenant \"nobody\" is not yours"
        );
    }
    assert_eq!(
        rpc(&app, &member, "log_sms_usage", &of(&acme, own))
            .await
            .expect(403)["code"],
        "42501"
    );
    // Of two organizations the body's counts.
    app.join(&admin, &globex, "org_admin").await;
    rpc(
        &app,
        &app.token(&admin),
        "log_sms_usage",
        &of(&globex, foreign),
    )
    .await
    .expect(200);
    assert_eq!(counted(&app, own).await, [0, 0, 2, 0, 2]);
    assert_eq!(counted(&app, foreign).await, [0, 0, 1, 0, 1]);
}

#[tokio::test]
async fn bad_calls_are_answered_as_postgrest_answers_them() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let mapping = mapping(&app, &acme, "+12505551234").await;
    let good =
        json!({"p_tenant_id": acme.id, "p_phone_mapping_id": mapping, "p_duration_seconds": 1});
    let with = |name: &str, value: Value| {
        let mut arguments = good.clone();
        arguments[name] = value;
        arguments
    };
    for (arguments, status, code) in [
        (json!({}), 404, "PGRST202"),
        (json!({"p_tenant_id": acme.id}), 404, "PGRST202"),
        (with("p_unknown", json!(1)), 404, "PGRST202"),
        (with("p_tenant_id", json!("nobody")), 400, "22023"),
        (with("p_tenant_id", Value::Null), 400, "22023"),
        (with("p_phone_mapping_id", json!("x")), 400, "22P02"),
        (
            with("p_phone_mapping_id", json!(Uuid::now_v7())),
            403,
            "42501",
        ),
        (with("p_duration_seconds", json!(-1)), 400, "22023"),
        (with("p_duration_seconds", json!(1.5)), 400, "22P02"),
        (with("p_duration_seconds", json!("many")), 400, "22P02"),
        (
            with("p_duration_seconds", json!(99_999_999_999_u64)),
            400,
            "22003",
        ),
        (with("p_call_metadata", json!([1])), 400, "22023"),
        (with("p_call_metadata", json!("\u{0}")), 400, "22P05"),
    ] {
        let answer = rpc(&app, SERVICE_KEY, "log_voice_usage", &arguments).await;
        let error = answer.expect(status);
        assert_eq!(error["code"], code, "{arguments}: {error}");
        let keys: Vec<_> = error
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(keys, ["code", "details", "hint", "message"]);
    }
    let path = "/rest/v1/rpc/log_voice_usage";
    let ask = || app.post(path).bearer(SERVICE_KEY);
    for (answer, status, code) in [
        (
            ask().body("application/json", "").send().await,
            400,
            "PGRST102",
        ),
        (
            ask().body("application/json", "[1]").send().await,
            400,
            "PGRST102",
        ),
        (ask().body("text/plain", "x").send().await, 415, "PGRST102"),
        (
            ask()
                .header("content-profile", "private")
                .json(&good)
                .send()
                .await,
            406,
            "PGRST106",
        ),
        (
            app.post(&format!("{path}?select=id"))
                .bearer(SERVICE_KEY)
                .json(&good)
                .send()
                .await,
            400,
            "PGRST100",
        ),
        (
            app.get(path).bearer(SERVICE_KEY).send().await,
            405,
            "PGRST101",
        ),
        (
            app.post("/rest/v1/rpc/nothing")
                .bearer(SERVICE_KEY)
                .json(&good)
                .send()
                .await,
            404,
            "PGRST202",
        ),
        (
            app.get("/rest/v1/secrets").bearer(SERVICE_KEY).send().await,
            404,
            "PGRST205",
        ),
    ] {
        assert_eq!(answer.expect(status)["code"], code, "{}", answer.text);
    }
    assert_eq!(app.count("select count(*) from usage_events").await, 0);
    rpc(
        &app,
        SERVICE_KEY,
        "log_voice_usage",
        &with("p_call_metadata", Value::Null),
    )
    .await
    .expect(200);
}

#[tokio::test]
async fn supabases_keys_are_who_they_are() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let mapping = mapping(&app, &acme, "+12505551234").await;
    let arguments =
        json!({"p_tenant_id": acme.id, "p_phone_mapping_id": mapping, "p_direction": "inbound"});
    let at = app.now().as_second();
    let project = |role: &str, exp: i64| {
        sign(&json!({"iss": "supabase", "ref": "x", "role": role, "iat": at - 60, "exp": exp}))
    };
    let path = "/rest/v1/rpc/log_sms_usage";
    let user = app.admin(&acme).await;
    for (api_key, bearer, status, code) in [
        (SERVICE_KEY.to_owned(), SERVICE_KEY.to_owned(), 200, ""),
        (
            project("service_role", at + 60),
            project("service_role", at + 60),
            200,
            "",
        ),
        (project("anon", at + 60), app.token(&user), 200, ""),
        ("sb_publishable_abc_1".to_owned(), app.token(&user), 200, ""),
        (
            project("anon", at + 60),
            project("anon", at + 60),
            401,
            "PGRST302",
        ),
        (
            "sb_publishable_abc_1".to_owned(),
            "sb_publishable_abc_1".to_owned(),
            401,
            "PGRST302",
        ),
        (
            "whatever".to_owned(),
            "whatever".to_owned(),
            401,
            "PGRST302",
        ),
        // A user's token in the place of the key is no user.
        (app.token(&user), app.token(&user), 401, "PGRST302"),
        (
            "sb_publishable_abc_1".to_owned(),
            "garbage".to_owned(),
            401,
            "PGRST301",
        ),
        (
            project("service_role", at - 60),
            project("service_role", at - 60),
            401,
            "PGRST303",
        ),
    ] {
        let answer = app
            .post(path)
            .header("apikey", &api_key)
            .bearer(&bearer)
            .json(&arguments)
            .send()
            .await;
        assert_eq!(answer.status, status, "{api_key} {bearer}: {}", answer.text);
        if status == 401 {
            assert_eq!(answer.json()["code"], code, "{}", answer.text);
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
        }
    }
    let nobody = app.post(path).json(&arguments).send().await;
    assert_eq!(nobody.expect(401)["code"], "PGRST302");
    let nobody = app
        .post("/functions/v1/ops-map-number-to-tenant")
        .json(&json!({}))
        .send()
        .await;
    assert_eq!(nobody.expect(401)["success"], false);
}

async fn map(app: &TestApp, bearer: &str, body: &Value) -> Answer {
    app.post("/functions/v1/ops-map-number-to-tenant")
        .bearer(bearer)
        .json(body)
        .send()
        .await
}

fn request(tenant: &str, sid: &str, number: &str) -> Value {
    json!({"tenant_id": tenant, "twilio_number_sid": format!("PN{}", sid.repeat(32)), "phone_number": number})
}

#[tokio::test]
async fn a_number_is_mapped_and_counting_begins() {
    let app = TestApp::start().await;
    let mut body = request("test-tenant-123", "x", "+12505551234");
    body["note"] = json!("kept");
    let first = map(&app, SERVICE_KEY, &body).await.expect(200);
    assert_eq!(first["success"], true);
    assert_eq!(
        first["message"],
        "Mapped number to tenant and initialized usage counters"
    );
    assert_eq!(
        first["evidence"],
        "✅ Mapped +12505551234 to tenant and initialized usage counters"
    );
    let mapping = &first["mapping"];
    assert_eq!(
        (
            &mapping["tenant_id"],
            &mapping["phone_number"],
            &mapping["number_type"],
            &mapping["deprovisioned_at"]
        ),
        (
            &json!("test-tenant-123"),
            &json!("+12505551234"),
            &json!("both"),
            &Value::Null
        )
    );
    body["number_type"] = json!("voice");
    let again = map(&app, SERVICE_KEY, &body).await.expect(200);
    assert_eq!(
        again["evidence"],
        "✅ Mapped +12505551234 to tenant and initialized usage counters (updated)"
    );
    assert_eq!(
        (&again["mapping"]["id"], &again["mapping"]["number_type"]),
        (&mapping["id"], &json!("voice"))
    );

    assert_eq!(app.count("select count(*) from tenant_phone_mappings where tenant_id = 'test-tenant-123' and number_type = 'voice'").await, 1);
    assert_eq!(app.count("select count(*) from tenant_usage_counters where tenant_id = 'test-tenant-123' and voice_minutes_used = 0 and billing_period_start = '2026-03-01'").await, 1);
    assert_eq!(app.count("select count(*) from analytics_events where name = 'number.mapped' and properties #>> '{request,note}' = 'kept'").await, 2);
    assert_eq!(app.count("select count(*) from analytics_events where properties ->> 'evidence' like '%(updated)'").await, 1);
    assert_eq!(
        app.count(
            "select count(*) from number_mappings where metadata #>> '{request,note}' = 'kept'"
        )
        .await,
        1
    );
    assert_eq!(app.count("select count(*) from audit_log where action in ('organization.created', 'number.mapped')").await, 2);
    assert_eq!(
        app.count("select count(*) from sellers where organization_id is not null")
            .await,
        1,
        "it can sell"
    );
    // A month later there is a row of zeros for that month.
    app.advance(jiff::SignedDuration::from_hours(31 * 24));
    map(&app, SERVICE_KEY, &body).await.expect(200);
    assert_eq!(
        app.count(
            "select count(*) from tenant_usage_counters where billing_period_start = '2026-04-01'"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn a_number_goes_to_another_tenant_by_the_platform_only() {
    let app = TestApp::start().await;
    let (acme, globex) = (
        app.organization("Acme").await,
        app.organization("Globex").await,
    );
    let [acme_id, globex_id] = [acme.id.to_string(), globex.id.to_string()];
    let admin = app.admin(&acme).await;
    let key = app.api_key(&admin, &acme, &["admin"]).await;
    let limited = app.api_key(&admin, &acme, &["usage"]).await;
    map(
        &app,
        &app.token(&admin),
        &request(&acme_id, "1", "+12505551231"),
    )
    .await
    .expect(200);
    map(&app, &key, &request(&acme_id, "2", "+12505551232"))
        .await
        .expect(200);
    map(&app, SERVICE_KEY, &request(&globex_id, "3", "+12505551233"))
        .await
        .expect(200);
    for (bearer, body, status, error) in [
        (
            &key,
            request(&acme_id, "3", "+12505551233"),
            400,
            "number `+12505551233` is already mapped to another organization",
        ),
        (&key, request(&globex_id, "4", "+12505551234"), 403, ""),
        (
            &key,
            request("unheard-of", "4", "+12505551234"),
            403,
            "tenant `unheard-of` is not yours",
        ),
        (
            &key,
            request(&acme_id, "3", "+12505551235"),
            400,
            "twilio_number_sid belongs to another number",
        ),
        (
            &limited,
            request(&acme_id, "4", "+12505551234"),
            403,
            "this key lacks the scope `admin`",
        ),
    ] {
        let refused = map(&app, bearer, &body).await.expect(status);
        assert_eq!(refused["success"], false);
        assert!(
            refused["error"].as_str().unwrap().contains(error),
            "{refused}"
        );
    }
    assert_eq!(app.count("select count(*) from organizations").await, 2);
    assert_eq!(
        app.count("select count(*) from phone_numbers").await,
        3,
        "what was refused left nothing"
    );
    let platform = app.platform_admin().await;
    let taken = map(
        &app,
        &app.token(&platform),
        &request(&acme_id, "3", "+12505551233"),
    )
    .await
    .expect(200);
    assert_eq!(taken["mapping"]["organization_id"], acme_id);
    assert_eq!(
        app.count("select count(*) from audit_log where action = 'number.taken'")
            .await,
        1
    );
    // The tenant who had it still sees that they had it.
    let mut tx = app
        .app
        .db
        .begin(&Actor::organization_system(globex.id))
        .await
        .unwrap();
    let kept: Vec<(String, bool)> = sqlx::query_as(
        "select phone_number, deprovisioned_at is not null from tenant_phone_mappings",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert_eq!(kept, [("+12505551233".to_owned(), true)]);
}

#[tokio::test]
async fn bad_requests_to_map_are_400_and_say_why() {
    let app = TestApp::start().await;
    let good = request("acme", "1", "+12505551234");
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, error) in [
        (
            json!({}),
            "tenant_id is required; twilio_number_sid is required; phone_number is required",
        ),
        (with("tenant_id", json!("")), "tenant_id is required"),
        (with("tenant_id", json!(7)), "tenant_id must be text"),
        (
            with("twilio_number_sid", json!("PN123")),
            "twilio_number_sid must be PN and 32 letters or digits",
        ),
        (
            with("phone_number", json!("250-555-1234")),
            "phone_number must be in E.164 form, such as +12505551234",
        ),
        (
            with("number_type", json!("fax")),
            "number_type must be voice, sms or both",
        ),
        (json!([]), "the body must be a JSON object"),
    ] {
        let refused = map(&app, SERVICE_KEY, &body).await.expect(400);
        assert_eq!(refused, json!({"success": false, "error": error}));
    }
    assert_eq!(app.count("select count(*) from organizations").await, 0);
    let malformed = app
        .post("/functions/v1/ops-map-number-to-tenant")
        .bearer(SERVICE_KEY)
        .body("application/json", "{")
        .send()
        .await;
    assert_eq!(malformed.expect(400)["success"], false);
    let unknown = app
        .post("/functions/v1/nothing")
        .bearer(SERVICE_KEY)
        .json(&json!({}))
        .send()
        .await;
    assert_eq!(unknown.expect(404)["success"], false);
}

#[tokio::test]
async fn a_new_tenant_named_by_many_at_once_is_made_once() {
    let app = TestApp::start().await;
    let bodies: Vec<Value> = (0..8)
        .map(|n| request("acme", &n.to_string(), &format!("+1250555123{n}")))
        .collect();
    let all = bodies.iter().map(|body| map(&app, SERVICE_KEY, body));
    for answer in futures_util::future::join_all(all).await {
        answer.expect(200);
    }
    let same = (0..8).map(|_| map(&app, SERVICE_KEY, &bodies[0]));
    for answer in futures_util::future::join_all(same).await {
        answer.expect(200);
    }
    assert_eq!(app.count("select count(*) from organizations").await, 1);
    assert_eq!(app.count("select count(*) from number_mappings").await, 8);
}

#[tokio::test]
async fn browsers_of_configured_origins_may_call() {
    let app = TestApp::with(|settings| {
        settings.cors_origins = vec!["https://app.example.com".to_owned()];
    })
    .await;
    let wanted = "authorization, x-client-info, apikey, content-type, content-profile";
    for path in [
        "/rest/v1/rpc/log_voice_usage",
        "/functions/v1/ops-map-number-to-tenant",
    ] {
        let ask = async |origin: &str| {
            app.request(reqwest::Method::OPTIONS, path)
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", wanted)
                .send()
                .await
        };
        let allowed = ask("https://app.example.com").await;
        assert_eq!(allowed.status, 200);
        assert_eq!(
            allowed.header("access-control-allow-origin"),
            "https://app.example.com"
        );
        let headers = allowed
            .header("access-control-allow-headers")
            .to_lowercase();
        for name in wanted.split(", ") {
            assert!(headers.contains(name), "{name} in {headers}");
        }
        assert!(
            allowed
                .header("access-control-allow-methods")
                .contains("POST")
        );
        assert_eq!(
            ask("https://evil.example.com")
                .await
                .header("access-control-allow-origin"),
            ""
        );
    }
}

#[tokio::test]
async fn the_page_maps_a_number_and_shows_the_evidence() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let path = "/ops/numbers/onboard";
    let (platform, csrf) = app.sign_in(&app.platform_admin().await).await;
    let sid = format!("PN{}", "x".repeat(32));
    let send =
        async |cookie: &str, csrf: &str, tenant: &str, sid: &str, number: &str, kind: &str| {
            let fields = [
                ("csrf", csrf),
                ("tenant_id", tenant),
                ("twilio_number_sid", sid),
                ("phone_number", number),
                ("number_type", kind),
            ];
            app.post(path)
                .cookie(cookie)
                .browser()
                .form(&fields)
                .send()
                .await
        };
    let form = app.get(path).cookie(&platform).browser().send().await;
    assert_eq!(form.status, 200);
    for text in [
        "Map Number for Billing",
        "Tenant ID",
        "Twilio Number SID",
        "Phone Number (E.164)",
        "Number Type",
    ] {
        assert!(form.text.contains(text), "{text}");
    }
    let done = send(
        &platform,
        &csrf,
        "test-tenant-123",
        &sid,
        "+12505557777",
        "both",
    )
    .await;
    assert_eq!(done.status, 303, "{}", done.text);
    let shown = app
        .get(done.header("location"))
        .cookie(&platform)
        .browser()
        .send()
        .await;
    assert!(
        shown
            .text
            .contains("✅ Mapped +12505557777 to tenant and initialized usage counters")
    );
    assert!(shown.text.contains("Number mapped successfully") && !shown.text.contains("(updated)"));
    let again = send(
        &platform,
        &csrf,
        "test-tenant-123",
        &sid,
        "+12505557777",
        "both",
    )
    .await;
    let shown = app
        .get(again.header("location"))
        .cookie(&platform)
        .browser()
        .send()
        .await;
    assert!(
        shown
            .text
            .contains("✅ Mapped +12505557777 to tenant and initialized usage counters (updated)")
    );

    // A refused form loses nothing.
    let refused = send(&platform, &csrf, "<b>tenant</b>", "PN1", "12", "sms").await;
    assert_eq!(refused.status, 422);
    for text in [
        "&#60;b&#62;tenant&#60;/b&#62;",
        "value=\"PN1\"",
        "value=\"12\"",
        "<option value=\"sms\" selected>",
        "must be PN and 32 letters or digits",
        "must be in E.164 form",
    ] {
        assert!(refused.text.contains(text), "{text} in {}", refused.text);
    }
    // Another organization's admin sees neither the number nor that it is there.
    let (admin, csrf) = app.sign_in(&app.admin(&acme).await).await;
    let id = acme.id.to_string();
    let foreign = send(
        &admin,
        &csrf,
        "test-tenant-123",
        &sid,
        "+12505557779",
        "both",
    )
    .await;
    assert_eq!(foreign.status, 403);
    assert!(
        foreign.text.contains("is not yours") && foreign.text.contains("value=\"test-tenant-123\"")
    );
    let held = send(&admin, &csrf, &id, &sid, "+12505557777", "both").await;
    assert_eq!(held.status, 409);
    assert!(
        held.text
            .contains("is already mapped to another organization")
    );
    let peek = app
        .get(done.header("location"))
        .cookie(&admin)
        .browser()
        .send()
        .await;
    assert!(peek.status == 200 && !peek.text.contains("12505557777"));
    let (member, _) = app.sign_in(&app.member(&acme).await).await;
    assert_eq!(
        app.get(path).cookie(&member).browser().send().await.status,
        403
    );
    assert!(
        !app.get("/customers")
            .cookie(&member)
            .browser()
            .send()
            .await
            .text
            .contains(path)
    );
    assert!(
        app.get("/customers")
            .cookie(&admin)
            .browser()
            .send()
            .await
            .text
            .contains(path)
    );
}
