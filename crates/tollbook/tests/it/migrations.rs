//! Bringing a database to the schema of the binary, beside a node that is running.

use sqlx::{Connection as _, PgConnection};
use tollbook::migrate;

use crate::support::TestApp;

/// The policies as rows: made anew, they are others.
const POLICIES: &str = "select oid::text from pg_policy order by oid";

#[tokio::test]
async fn a_schema_that_is_there_is_left_alone_and_another_one_is_replaced() {
    let app = TestApp::quiet().await;
    let before = app.texts(POLICIES).await;
    assert!(!before.is_empty());
    // It would wait for this reader: no policy is made on a table that somebody reads.
    let mut reader = app.platform().await;
    sqlx::query("select id from calls")
        .fetch_all(&mut *reader)
        .await
        .unwrap();
    migrate(&app.database().connection).await.unwrap();
    reader.rollback().await.unwrap();
    assert_eq!(app.texts(POLICIES).await, before);

    let mut owner = PgConnection::connect(app.superuser_url()).await.unwrap();
    sqlx::raw_sql("comment on function acting_organization_id() is 'of another binary'; drop policy member on calls")
        .execute(&mut owner)
        .await
        .unwrap();
    migrate(&app.database().connection).await.unwrap();
    let after = app.texts(POLICIES).await;
    assert_eq!(after.len(), before.len());
    assert!(after.iter().all(|policy| !before.contains(policy)));
}
