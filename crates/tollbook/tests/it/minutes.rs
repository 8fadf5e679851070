//! Started minutes are counted per call, however its corrections come.

use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::support::{Organization, TestApp};

/// An event of a batch: its id, the seconds, and the event that it corrects.
type Spoken = (Uuid, i64, Option<Uuid>);

/// Stores a batch with the statement that stores every batch.
async fn store(app: &TestApp, acme: &Organization, mapping: Uuid, events: &[Spoken]) {
    let column = |value: &str| vec![value.to_owned(); events.len()];
    let nothing = vec![None::<Uuid>; events.len()];
    let ids: Vec<Uuid> = events.iter().map(|(id, _, _)| *id).collect();
    let digests: Vec<Vec<u8>> = ids.iter().map(|id| id.as_bytes().to_vec()).collect();
    let quantities: Vec<Decimal> = events.iter().map(|(_, it, _)| (*it).into()).collect();
    let corrects: Vec<Option<Uuid>> = events.iter().map(|(_, _, first)| *first).collect();
    let keys: Vec<String> = ids.iter().map(Uuid::to_string).collect();
    let mut tx = app.platform().await;
    sqlx::query(include_str!("../../src/metering/insert.sql"))
        .bind(vec![acme.id.uuid(); events.len()])
        .bind(&ids)
        .bind(column("CALL_DURATION_SECONDS"))
        .bind(quantities)
        .bind(vec![app.now().to_sqlx(); events.len()])
        .bind(keys)
        .bind(&digests)
        .bind(&digests)
        .bind(&nothing)
        .bind(vec![Some(mapping); events.len()])
        .bind(&nothing)
        .bind(&nothing)
        .bind(vec![None::<String>; events.len()])
        .bind(vec![None::<String>; events.len()])
        .bind(vec![serde_json::json!({}); events.len()])
        .bind(corrects)
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Seconds, started minutes and calls of the number.
async fn counted(app: &TestApp) -> (i64, i64, i64) {
    let mut tx = app.platform().await;
    sqlx::query_as("select voice_seconds, voice_minutes, voice_calls from number_counters")
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test]
async fn corrections_of_one_call_in_one_batch_count_one_after_another() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    app.number(&acme, "+12125550101").await;
    let mapping = {
        let mut tx = app.platform().await;
        let found = sqlx::query_scalar("select id from number_mappings");
        found.fetch_one(&mut *tx).await.unwrap()
    };
    let id = Uuid::now_v7;

    // The call and two corrections of it: 61 s, 59 s, 121 s.
    let first = id();
    let batch = [
        (first, 61, None),
        (id(), -2, Some(first)),
        (id(), 62, Some(first)),
    ];
    store(&app, &acme, mapping, &batch).await;
    assert_eq!(counted(&app).await, (121, 3, 1));

    // Another call beside two more corrections of the first: 151 s, 31 s.
    let second = id();
    let batch = [
        (id(), 30, Some(first)),
        (second, 60, None),
        (id(), -120, Some(first)),
    ];
    store(&app, &acme, mapping, &batch).await;
    assert_eq!(counted(&app).await, (31 + 60, 1 + 1, 2));

    // All of the first is taken back in two steps, and with it the call.
    let batch = [(id(), -1, Some(first)), (id(), -30, Some(first))];
    store(&app, &acme, mapping, &batch).await;
    assert_eq!(counted(&app).await, (60, 1, 1));

    app.settle().await;
    let report = app.app.verify(|_| {}).await.unwrap();
    let of_counters = |text: &String| text.contains("_counters");
    let differences = report.differences.iter().map(ToString::to_string);
    let differences: Vec<String> = differences.filter(of_counters).collect();
    assert_eq!(differences, Vec::<String>::new());
}
