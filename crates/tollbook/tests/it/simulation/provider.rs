//! The phone provider as it is asked: it tells of a call whose end was never told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::Webhook;

type Records = Arc<Mutex<HashMap<String, Value>>>;

pub(super) struct Provider {
    pub(super) url: String,
    records: Records,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let records = Records::default();
        let router = Router::new()
            .fallback(record)
            .with_state(Arc::clone(&records));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, records }
    }

    /// Has the record that a webhook would have told.
    pub(super) fn knows(&self, sid: &str, webhook: &Webhook) {
        let body: Value = serde_json::from_str(&webhook.body).unwrap();
        let record = body["data"]["object"].clone();
        self.records.lock().unwrap().insert(sid.to_owned(), record);
    }
}

/// A call by its id, or what belongs to it, of which there is nothing.
async fn record(State(records): State<Records>, uri: Uri) -> (StatusCode, Json<Value>) {
    let path: Vec<&str> = uri.path().split('/').collect();
    let records = records.lock().unwrap();
    let known = path.iter().find_map(|part| records.get(*part));
    let is_call =
        path.contains(&"calls") && path.last().is_some_and(|it| records.contains_key(*it));
    match known {
        Some(record) if is_call => (StatusCode::OK, Json(json!({"data": record}))),
        Some(_) => (StatusCode::OK, Json(json!({"data": []}))),
        None => (StatusCode::NOT_FOUND, Json(json!({"message": "Not found"}))),
    }
}
