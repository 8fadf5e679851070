//! Lists and searches stay fast as tables grow: under row-level security each of their queries is served by an index,
//! for an admin and for a member. What counts is what the database did, not what it said it would do.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection};
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::ScriptedCall;

use crate::support::{Organization, Phones, TestApp, User};

/// Tables that grow with the business, filled so far that reading all of one costs more than any index.
const FILL: &str = include_str!("indexes.sql");

async fn scans(app: &TestApp) -> BTreeMap<String, i64> {
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    sqlx::query_as::<_, (String, i64)>(
        "select relname::text, coalesce(seq_scan, 0) from pg_stat_user_tables where n_live_tup >= 2000",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap()
    .into_iter()
    .collect()
}

/// Fills the tables for an organization and a member of it, and changes them by `then`; returns one of the customers.
async fn fill(app: &TestApp, acme: &Organization, member: &User, then: &'static str) -> uuid::Uuid {
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    sqlx::query(
        "select set_config('fill.organization', $1, false), set_config('fill.member', $2, false)",
    )
    .bind(acme.id.to_string())
    .bind(member.id.to_string())
    .execute(&mut owner)
    .await
    .unwrap();
    sqlx::raw_sql(FILL).execute(&mut owner).await.unwrap();
    sqlx::raw_sql(then).execute(&mut owner).await.unwrap();
    let customer = sqlx::query_scalar("select id from customers where name = 'Customer 77'")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    // A session tells what it did when it ends.
    owner.close().await.unwrap();
    customer
}

/// Which of the tables were read as a whole since `before`. Stops the application: a session tells what it did when it
/// ends.
async fn read_since(app: &mut TestApp, before: BTreeMap<String, i64>) -> Vec<(String, i64)> {
    app.stop().await;
    app.app.db.close().await;
    let after = scans(app).await;
    after
        .into_iter()
        .filter(|(table, scans)| before.get(table).is_some_and(|it| it < scans))
        .collect()
}

#[tokio::test]
async fn no_list_reads_a_whole_table() {
    let mut app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    let customer = fill(&app, &acme, &member, "").await;
    let before = scans(&app).await;
    assert!(before.len() >= 10, "{before:?}");

    let paths = [
        "/api/customers",
        "/api/customers?which=subscribers",
        "/api/customers?which=prospects",
        "/api/customers?q=cust",
        "/api/customers?q=customer+77",
        "/api/customers?q=2025550",
        "/api/customers/ID",
        "/api/customers/ID/numbers",
        "/api/customers/ID/notes",
        "/api/contacts",
        "/api/contacts?customerId=ID",
        "/api/numbers",
        "/api/user/phone-assignments",
        "/api/calls",
        "/api/calls?customerId=ID",
        "/api/messages",
        "/api/voicemails",
    ];
    let pages = [
        "/customers",
        "/customers?q=customer+7",
        "/customers/ID",
        "/communications",
        "/communications?q=customer+7",
        "/search?q=customer",
    ];
    for who in [&admin, &member] {
        for path in paths {
            let path = path.replace("ID", &customer.to_string());
            let answer = app.get(&path).user(who).send().await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        }
        let (cookie, _) = app.sign_in(who).await;
        for path in pages {
            let path = path.replace("ID", &customer.to_string());
            let answer = app.get(&path).browser().cookie(&cookie).send().await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        }
    }
    let read = read_since(&mut app, before).await;
    assert!(read.is_empty(), "read as a whole: {read:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_reads_a_whole_table() {
    const LINE: &str = "+12125550101";
    let mut app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    app.sell_per_call(&acme).await;
    let member = app.member(&acme).await;
    let phones = Phones::start(&app).await;
    let seeded = phones.workspace("acme", &[LINE]);
    phones
        .connect_straight(&app, &acme, "acme", Surface::V2026)
        .await;
    app.link_user(&acme, member.id.uuid(), &seeded.user_sids[0])
        .await;
    // Those of the fill have no terms, so no periods can be added to them.
    let unsold = "set session_replication_role = replica; delete from subscriptions";
    fill(&app, &acme, &member, unsold).await;
    let before = scans(&app).await;
    for caller in ["+12021000077", "+13035550100"] {
        let answered = ScriptedCall {
            is_recorded: true,
            ..ScriptedCall::answered(caller, LINE, app.now(), 60)
        };
        phones.sandbox.play(&answered).unwrap();
    }
    phones.pass(&app, 4).await;
    app.settle().await;
    let charged = "select count(*) from charges where call_id is not null and amount > 0";
    assert_eq!(app.count(charged).await, 2);
    let read = read_since(&mut app, before).await;
    assert!(read.is_empty(), "read as a whole: {read:?}");
}
