//! Workers share the rating queue: what one of them holds keeps no other from the rest.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use crate::support::{NewUsage, TestApp};

/// Lanes that one worker takes at a time.
const OF_ONE: usize = 32;

async fn lanes(app: &TestApp) -> Vec<i16> {
    let mut tx = app.platform().await;
    sqlx::query_scalar(
        "select lane from rating_queue where parked_at is null group by lane order by min(seq)",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_worker_finds_the_lanes_that_another_has_left() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let mut usages = Vec::new();
    for number in 0..150 {
        let customer = app.customer(&acme, &format!("Customer {number}")).await;
        let at = app.now() - SignedDuration::from_mins(number);
        usages.push(NewUsage::call(customer, 60, at));
    }
    app.record(&acme, &usages).await;
    let oldest = lanes(&app).await;
    assert!(oldest.len() > OF_ONE, "{} lanes", oldest.len());
    let held: BTreeSet<i16> = oldest.into_iter().take(OF_ONE).collect();

    // Another worker is at those that wait longest, and will be for a while.
    let mut other = app.platform().await;
    for lane in &held {
        sqlx::query("select pg_advisory_xact_lock(8243003, $1)")
            .bind(i32::from(*lane))
            .execute(&mut *other)
            .await
            .unwrap();
    }
    let node = app.beside().await;
    node.eventually("the other lanes are rated", async || {
        lanes(&node).await.into_iter().collect::<BTreeSet<_>>() == held
    })
    .await;

    other.rollback().await.unwrap();
    app.settle().await;
    assert_eq!(lanes(&app).await, Vec::<i16>::new());
}
