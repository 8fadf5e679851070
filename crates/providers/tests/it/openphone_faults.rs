//! The client while the provider fails in every way it can.

use std::time::Duration;

use tollbook_providers::openphone::Client;
use tollbook_providers::openphone::Surface::{V1, V2026};
use tollbook_providers::openphone::sandbox::{ErrorShape, Knobs};
use tollbook_providers::{Error, Http, NewMessage, Resend, Secret, Telephony, Timeouts};

use crate::support::{CALLER, KEY, World, options, start, workspace, world, world_with};

fn message(world: &World, text: &str) -> NewMessage {
    NewMessage {
        from: world.workspace.number_sids[0].clone(),
        to: CALLER.parse().unwrap(),
        text: text.to_owned(),
        user_sid: None,
    }
}

#[tokio::test]
async fn a_failing_provider_is_unavailable_and_then_recovers() {
    let world = world().await;
    for status in [500, 502, 503, 504] {
        world.sandbox.set_knobs(Knobs {
            fail_next: 1,
            fail_status: status,
            ..Knobs::default()
        });
        let error = world.client().lines().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the provider is unavailable: it answered {status}")
        );
        assert!(error.is_transient());
        assert_eq!(world.client().lines().await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_refusal_is_understood_in_all_three_shapes() {
    let world = world().await;
    let refused = async |surface| {
        world.sandbox.set_knobs(Knobs {
            fail_next: 1,
            fail_status: 402,
            ..world.sandbox.knobs()
        });
        let client = world.client().with_surface(surface);
        match client.lines().await.unwrap_err() {
            Error::Rejected { code, message } => (code, message),
            other => panic!("{other}"),
        }
    };
    let message = "the sandbox was told to fail".to_owned();
    assert_eq!(refused(V1).await, ("0001500".to_owned(), message.clone()));
    assert_eq!(
        refused(V2026).await,
        ("Unexpected Error".to_owned(), message.clone())
    );
    world.sandbox.set_knobs(Knobs {
        error_shape: ErrorShape::Nested,
        ..Knobs::default()
    });
    assert_eq!(refused(V1).await, ("0001500".to_owned(), message));
}

#[tokio::test]
async fn the_rate_limit_says_how_long_to_wait() {
    let world = world().await;
    world.sandbox.set_knobs(Knobs {
        rate_limit_next: 2,
        retry_after_seconds: 7,
        ..Knobs::default()
    });
    let wait = async || match world.client().lines().await.unwrap_err() {
        Error::RateLimited { retry_after } => retry_after,
        other => panic!("{other}"),
    };
    assert_eq!(wait().await, Some(Duration::from_secs(7)));
    world.sandbox.set_knobs(Knobs {
        rate_limit_next: 1,
        ..Knobs::default()
    });
    assert_eq!(wait().await, None);
    assert!(world.client().lines().await.is_ok());
}

#[tokio::test]
async fn the_provider_counts_requests_per_key() {
    let mut options = options();
    options.requests_per_second = std::num::NonZeroU32::MIN;
    let world = world_with(options, &workspace()).await;
    let client = world.client();
    let mut is_limited = false;
    // One a second: a second request within the same second must come soon.
    for _ in 0..50 {
        is_limited |= matches!(client.lines().await, Err(Error::RateLimited { .. }));
    }
    assert!(is_limited);
}

#[tokio::test]
async fn the_clients_own_budget_keeps_below_the_limit() {
    let mut options = options();
    options.requests_per_second = std::num::NonZeroU32::MIN.saturating_add(9);
    let world = world_with(options, &workspace()).await;
    let client = Client::new(&crate::support::http(), &world.url, Secret::new(KEY)).unwrap();
    // At once, these would be more than the provider allows.
    for _ in 0..16 {
        client.lines().await.unwrap();
    }
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_found_and_not_sent_again() {
    let world = world().await;
    for surface in [V1, V2026] {
        let client = world.client().with_surface(surface);
        let text = format!("Paid through {surface:?}");
        let message = message(&world, &text);
        world.sandbox.set_knobs(Knobs {
            lose_answer_next: 1,
            ..Knobs::default()
        });
        let error = client.send_message(&message, None).await.unwrap_err();
        assert!(error.is_transient() && error.may_have_acted(), "{error}");
        let earlier = Resend {
            first_attempt_at: start(),
            known_sids: Vec::new(),
        };
        let found = client.send_message(&message, Some(&earlier)).await.unwrap();
        let again = client.send_message(&message, Some(&earlier)).await.unwrap();
        assert_eq!(found.sid, again.sid);
        // The same text on purpose: the first one is known to be another.
        let on_purpose = Resend {
            known_sids: vec![found.sid.clone()],
            ..earlier
        };
        let second = client
            .send_message(&message, Some(&on_purpose))
            .await
            .unwrap();
        assert_ne!(second.sid, found.sid);
    }
}

#[tokio::test]
async fn a_message_that_was_never_accepted_is_sent_at_the_second_attempt() {
    let world = world().await;
    world.sandbox.set_knobs(Knobs {
        fail_next: 1,
        fail_status: 503,
        ..Knobs::default()
    });
    let client = world.client();
    let message = message(&world, "Hello");
    assert!(client.send_message(&message, None).await.is_err());
    let earlier = Resend {
        first_attempt_at: start(),
        known_sids: Vec::new(),
    };
    let sent = client.send_message(&message, Some(&earlier)).await.unwrap();
    assert_eq!(sent.text.as_deref(), Some("Hello"));
}

#[tokio::test]
async fn a_cut_answer_is_malformed_and_its_content_is_not_repeated() {
    let world = world().await;
    world.sandbox.set_knobs(Knobs {
        malformed_answer_next: 1,
        ..Knobs::default()
    });
    let error = world.client().users().await.unwrap_err();
    assert!(matches!(error, Error::Malformed(_)) && error.may_have_acted());
    assert!(!format!("{error:?} {error}").contains("example.test"));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let world = world().await;
    let http = Http::new(Timeouts {
        connect: Duration::from_secs(5),
        whole: Duration::from_millis(100),
    })
    .unwrap();
    let client = Client::new(&http, &world.url, Secret::new(KEY)).unwrap();
    world.sandbox.set_knobs(Knobs {
        delay_ms: 600_000,
        ..Knobs::default()
    });
    let error = client.lines().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the provider is unavailable: no answer in time"
    );
    assert!(error.may_have_acted());
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_done_and_no_secret_is_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&crate::support::http(), &url, Secret::new("hush-hush")).unwrap();
    let error = client.lines().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the provider is unavailable: no connection"
    );
    assert!(error.is_transient() && !error.may_have_acted());
    assert!(!format!("{error:?} {client:?}").contains("hush-hush"));
}

#[tokio::test]
async fn webhooks_made_halfway_are_taken_back() {
    let world = world().await;
    let client = world.client();
    let url = "http://127.0.0.1:9/hook";
    // The list and the first two of four webhooks pass.
    world.sandbox.set_knobs(Knobs {
        spare_next: 3,
        fail_next: 1,
        fail_status: 500,
        ..Knobs::default()
    });
    assert!(client.create_webhooks(V1, url, "x").await.is_err());
    assert!(client.list_webhooks(V1).await.unwrap().is_empty());
    // One whose answer is lost stays behind, and goes when we ask again.
    world.sandbox.set_knobs(Knobs {
        lose_answer_next: 1,
        spare_next: 1,
        ..Knobs::default()
    });
    assert!(client.create_webhooks(V2026, url, "x").await.is_err());
    assert_eq!(client.list_webhooks(V2026).await.unwrap().len(), 1);
    client.create_webhooks(V2026, url, "x").await.unwrap();
    assert_eq!(client.list_webhooks(V2026).await.unwrap().len(), 1);
}

#[tokio::test]
async fn knobs_are_turned_over_http() {
    let world = world().await;
    let path = format!("{}/_sandbox/knobs", world.url);
    let http = reqwest::Client::new();
    let wanted = Knobs {
        fail_next: 1,
        fail_status: 503,
        lose_kinds: vec!["call.answered".to_owned()],
        ..Knobs::default()
    };
    let set: Knobs = http
        .put(&path)
        .json(&wanted)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(set, wanted);
    assert_eq!(world.sandbox.knobs(), wanted);
    assert!(world.client().lines().await.is_err());
    let left: Knobs = http.get(&path).send().await.unwrap().json().await.unwrap();
    assert_eq!(left.fail_next, 0);
    let unknown = serde_json::json!({"fail_nxt": 1});
    let refused = http.put(&path).json(&unknown).send().await.unwrap();
    assert!(refused.status().is_client_error());
}
