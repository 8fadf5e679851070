//! The relations under which clients of older systems read: each is there under its name, shows each role its own rows
//! and no others, and answers their queries as they are written.

use std::fmt::Write as _;

use sqlx::{AssertSqlSafe, Row as _};

use crate::isolation::{Fixture, NONE, actor, code, id, strings};

/// Every relation that they name, the tables among them.
const RELATIONS: [&str; 24] = [
    "analytics_events",
    "billing_plans",
    "billing_usage",
    "call_history",
    "invoice_line_items",
    "invoices",
    "mightycall_recordings",
    "mightycall_reports",
    "org_subscriptions",
    "payment_methods",
    "payment_transactions",
    "phone_numbers",
    "sms_logs",
    "tenant_phone_mappings",
    "tenant_usage_counters",
    "tenant_usage_logs",
    "tenants",
    "twilio_calls",
    "twilio_recordings",
    "usage_charges",
    "user_phone_assignments",
    "user_phone_numbers",
    "users",
    "voicemail_logs",
];

/// More rows for both organizations of the fixture: of the providers that relations are about, and voice and SMS usage.
const MORE: &str = "
update calls set provider = 'twilio';
update recordings set provider = 'twilio';
update provider_costs set provider = 'twilio';
insert into calls (organization_id, id, provider, conversation_sid, integration_id, direction, state, outcome, started_at, ended_at, viewer_ids, customer_id)
    select c.organization_id, overlay(c.id::text placing '9' from 34)::uuid, 'mightycall', 'MC' || c.conversation_sid, c.integration_id, 'incoming', 'ended', 'answered',
        c.started_at, c.started_at + interval '1 minute', c.viewer_ids, c.customer_id from calls c;
insert into recordings (organization_id, id, call_id, provider, sid, occurred_at, viewer_ids)
    select r.organization_id, overlay(r.id::text placing '9' from 34)::uuid, r.call_id, 'mightycall', 'M' || r.sid, r.occurred_at, r.viewer_ids from recordings r;
insert into provider_costs (organization_id, id, bearer, provider, subject, subject_id, occurred_at)
    select r.organization_id, gen_random_uuid(), 'organization', 'twilio', 'recording', r.id, r.occurred_at from recordings r where r.provider = 'twilio';
insert into provider_prices (organization_id, id, cost_id, bearer, revision, source, amount, change, currency, known_at)
    select c.organization_id, gen_random_uuid(), c.id, c.bearer, 1, 'asked', 0.0025, 0.0025, 'USD', now() from provider_costs c where c.subject = 'recording';
update provider_costs set amount = 0.0025, currency = 'USD', known_at = now(), revision = 1 where subject = 'recording';
insert into usage_events (organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash, mapping_id, metadata)
    select m.organization_id, gen_random_uuid(), t.meter, t.quantity, '2026-03-05Z', t.meter, substring(sha256(convert_to(t.meter, 'UTF8')) for 16), substring(sha256('x') for 16), m.id, '{\"a\": 1}'
    from (values ('CALL_DURATION_SECONDS', 61), ('SMS_SENT', 1)) t (meter, quantity)
    join (select distinct on (organization_id) * from number_mappings order by organization_id, id) m on true;
";

async fn filled() -> Fixture {
    let app = Fixture::filled().await;
    sqlx::raw_sql(MORE)
        .execute(&mut app.owner().await)
        .await
        .unwrap();
    app
}

/// Rows that a role of organization 1 sees, and how many of them are another's; `None` if it may not look.
async fn visible(app: &Fixture, role: &str, relation: &str) -> Option<(i64, i64)> {
    let own = id(1, 1);
    let foreign = match relation {
        "users" => format!("'{own}' <> all (organization_ids)"),
        // A plan of the platform is offered to all and is no organization's.
        _ => format!("organization_id <> '{own}'"),
    };
    let mut tx = app.db.begin(&actor(role, 1)).await.unwrap();
    let query = format!("select count(*), count(*) filter (where {foreign}) from {relation}");
    match sqlx::query_as(AssertSqlSafe(query))
        .fetch_one(&mut *tx)
        .await
    {
        Ok(counts) => Some(counts),
        Err(error) => {
            assert_eq!(code(&error), "42501", "{relation} as {role}: {error}");
            None
        }
    }
}

#[tokio::test]
async fn each_role_sees_its_own_rows_of_every_relation() {
    let app = filled().await;
    let mut owner = app.owner().await;
    let mut seen = String::new();
    for relation in RELATIONS {
        let all: i64 =
            sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {relation}")))
                .fetch_one(&mut owner)
                .await
                .unwrap();
        assert!(all > 0, "the fixture has no row in {relation}");
        write!(seen, "{relation}: {all} in all").unwrap();
        for role in ["platform", "admin", "member", "portal"] {
            if let Some((rows, foreign)) = visible(&app, role, relation).await {
                write!(seen, ", {role} {rows}").unwrap();
                assert!(
                    role == "platform" || foreign == 0,
                    "{relation}: {role} sees {foreign} of another organization"
                );
                assert!(role != "platform" || rows == all, "{relation}");
            }
        }
        seen.push('\n');
    }
    insta::assert_snapshot!(seen);
}

#[tokio::test]
async fn whoever_does_not_say_who_acts_sees_nothing() {
    let app = filled().await;
    for role in ["tollbook_none", "tollbook_ingest"] {
        for relation in RELATIONS {
            let mut owner = app.owner().await;
            let query = format!("set role {role}; select from {relation}");
            let refused = sqlx::raw_sql(AssertSqlSafe(query))
                .execute(&mut owner)
                .await
                .unwrap_err();
            assert_eq!(code(&refused), "42501", "{relation} as {role}");
        }
    }
}

#[tokio::test]
async fn a_view_only_shows_and_runs_as_whoever_asks() {
    let app = Fixture::filled().await;
    let mut owner = app.owner().await;
    let views = strings(
        &mut owner,
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind = 'v' and c.reloptions @> array['security_invoker=true'] order by 1",
    )
    .await;
    let all = strings(
        &mut owner,
        "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname = 'public' and c.relkind in ('v', 'm') order by 1",
    )
    .await;
    assert_eq!(views, all);
    let tables = [
        "analytics_events",
        "invoices",
        "payment_methods",
        "phone_numbers",
        "users",
    ];
    let named: Vec<&str> = RELATIONS
        .into_iter()
        .filter(|it| !tables.contains(it))
        .collect();
    assert_eq!(views, named);
    let writable = strings(
        &mut owner,
        "select c.relname || ' ' || r.rolname from pg_class c join pg_namespace n on n.oid = c.relnamespace
         join pg_roles r on r.rolname like 'tollbook\\_%'
         where n.nspname = 'public' and c.relkind = 'v' and has_table_privilege(r.oid, c.oid, 'insert, update, delete, truncate')",
    )
    .await;
    assert_eq!(writable, NONE);
    let mut columns = String::new();
    for view in views {
        let names: Vec<String> = sqlx::query_scalar(
            "select attname::text from pg_attribute where attrelid = ('public.' || $1)::regclass and attnum > 0 order by attnum",
        )
        .bind(&view)
        .fetch_all(&mut owner)
        .await
        .unwrap();
        for column in ["id", "organization_id"] {
            assert!(names.contains(&column.to_owned()), "{view} has no {column}");
        }
        writeln!(columns, "{view}: {}", names.join(" ")).unwrap();
    }
    insta::assert_snapshot!(columns);
}

/// What a role of organization 1 sees of the prices of its two calls, one of which the platform pays the provider for.
async fn prices(app: &Fixture, role: &str) -> Vec<Option<String>> {
    let mut tx = app.db.begin(&actor(role, 1)).await.unwrap();
    sqlx::query_scalar(
        "select trim_scale(price)::text from twilio_calls where organization_id = $1 order by start_time, id",
    )
    .bind(id(1, 1))
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_provider_s_price_is_for_its_bearer_only() {
    let app = filled().await;
    let [theirs, ours] = ["0.0085", "0.013"].map(|it| Some(it.to_owned()));
    assert_eq!(prices(&app, "platform").await, [theirs.clone(), ours]);
    assert_eq!(prices(&app, "admin").await, [theirs, None]);
    assert_eq!(prices(&app, "member").await, [None]);
    assert_eq!(prices(&app, "portal").await, [None]);
}

/// As it is written in the guide to the multi-user platform.
const ANALYTICS: &str = "SELECT 
  u.name as user_name,
  COUNT(upn.id) as phone_numbers,
  COUNT(tc.id) as total_calls,
  SUM(tc.duration) as total_minutes,
  SUM(tc.price) as call_costs,
  COUNT(tr.id) as recordings,
  SUM(tr.price) as recording_costs
FROM users u
LEFT JOIN user_phone_numbers upn ON u.id = upn.user_id
LEFT JOIN twilio_calls tc ON upn.id = tc.phone_number_id
LEFT JOIN twilio_recordings tr ON upn.id = tr.phone_number_id
WHERE tc.start_time >= '2024-01-01'
GROUP BY u.id;";

#[tokio::test]
async fn the_analytics_query_runs_as_written() {
    let app = filled().await;
    sqlx::raw_sql(
        "update calls c set phone_number_id = (select a.phone_number_id from assignments a where a.organization_id = c.organization_id order by a.id limit 1),
            billable_seconds = 90 where provider = 'twilio'",
    )
    .execute(&mut app.owner().await)
    .await
    .unwrap();
    for (role, expected) in [
        // Two calls with a recording each: the query multiplies them.
        ("platform", Some((4, 360, Some("0.043"), Some("0.01")))),
        ("admin", Some((4, 360, Some("0.017"), Some("0.01")))),
    ] {
        let mut tx = app.db.begin(&actor(role, 1)).await.unwrap();
        let rows = sqlx::raw_sql(ANALYTICS).fetch_all(&mut *tx).await.unwrap();
        let found = rows.first().map(|row| {
            let cost = |at: usize| {
                row.get::<Option<rust_decimal::Decimal>, _>(at)
                    .map(|it| it.normalize().to_string())
            };
            (
                row.get::<i64, _>(2),
                row.get::<rust_decimal::Decimal, _>(3),
                cost(4),
                cost(6),
            )
        });
        let expected = expected.map(|(calls, seconds, calls_cost, recordings_cost)| {
            let text = |it: Option<&str>| it.map(str::to_owned);
            (
                calls,
                rust_decimal::Decimal::from(seconds),
                text(calls_cost),
                text(recordings_cost),
            )
        });
        assert_eq!(found, expected, "{role}");
    }
}

#[tokio::test]
async fn tables_and_functions_are_found_in_the_catalogue() {
    let app = filled().await;
    let mut tx = app.db.begin(&actor("platform", 1)).await.unwrap();
    let tables = sqlx::raw_sql(
        "SELECT table_name FROM information_schema.tables 
WHERE table_schema = 'public' 
AND table_name IN ('tenant_phone_mappings', 'tenant_usage_counters', 'tenant_usage_logs');",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert_eq!(tables.len(), 3, "All 3 tables should be listed");
    let functions = sqlx::raw_sql(
        "SELECT routine_name FROM information_schema.routines 
WHERE routine_schema = 'public' 
AND routine_name IN ('get_or_create_usage_counter', 'log_voice_usage', 'log_sms_usage');",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap();
    assert_eq!(functions.len(), 3, "All 3 functions should be listed");
    for relation in RELATIONS {
        let listed: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM information_schema.tables WHERE table_schema='public' AND table_name = $1",
        )
        .bind(relation)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
        assert_eq!(listed, 1, "{relation}");
    }
}
