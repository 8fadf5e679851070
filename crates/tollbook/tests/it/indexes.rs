//! Lists and searches stay fast as tables grow: under row-level security each of their queries is served by an index,
//! for an admin and for a member. What counts is what the database did, not what it said it would do.

use std::collections::BTreeMap;

use sqlx::{Connection as _, PgConnection};

use crate::support::TestApp;

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

#[tokio::test]
async fn no_list_reads_a_whole_table() {
    let mut app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let (admin, member) = (app.admin(&acme).await, app.member(&acme).await);
    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    let customer: uuid::Uuid = {
        sqlx::query("select set_config('fill.organization', $1, false), set_config('fill.member', $2, false)")
            .bind(acme.id.to_string())
            .bind(member.id.to_string())
            .execute(&mut owner)
            .await
            .unwrap();
        sqlx::raw_sql(FILL).execute(&mut owner).await.unwrap();
        sqlx::query_scalar("select id from customers where name = 'Customer 77'")
            .fetch_one(&mut owner)
            .await
            .unwrap()
    };
    owner.close().await.unwrap();
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
    // A session tells what it did when it ends.
    app.stop().await;
    app.app.db.close().await;
    let after = scans(&app).await;
    let read: Vec<_> = after
        .iter()
        .filter(|&(table, scans)| before.get(table).is_some_and(|it| it < scans))
        .collect();
    assert!(read.is_empty(), "read as a whole: {read:?}");
}
