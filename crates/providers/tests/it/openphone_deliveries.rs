//! The sandbox's webhooks as a receiver sees them: formats, signatures, order, retries and faults.

use std::collections::BTreeSet;

use tollbook_core::calls::{Direction, Fact, MessageStatus, Outcome, Phase, ProviderEvent};
use tollbook_core::phone::Party;
use tollbook_providers::openphone::Surface::{V1, V2026};
use tollbook_providers::openphone::sandbox::{
    Ending, Fate, Knobs, Line, Sandbox, ScriptedCall, ScriptedMessage,
};
use tollbook_providers::openphone::{self, Scheme, SignatureError};

use crate::support::{CALLER, SALES, World, later, options, workspace, world, world_with};

fn scripted(ending: Ending) -> ScriptedCall {
    ScriptedCall {
        ending,
        ..ScriptedCall::answered(CALLER, SALES, later(10), 60)
    }
}

fn with_all(world: &World) -> ScriptedCall {
    ScriptedCall {
        is_recorded: true,
        transcript: vec![Line {
            is_external: true,
            text: "Hello".to_owned(),
        }],
        summary: vec!["Short.".to_owned()],
        user_sid: Some(world.workspace.user_sids[1].clone()),
        ..scripted(Ending::Answered)
    }
}

/// What the facts of one call amount to: the furthest phase, the outcomes told, and when it was answered and over.
fn sum(
    events: &[ProviderEvent],
) -> (
    Option<Phase>,
    BTreeSet<Outcome>,
    [Option<jiff::Timestamp>; 3],
) {
    let (mut phase, mut outcomes, mut times) = (None, BTreeSet::new(), [None; 3]);
    for event in events {
        if let Fact::Call(fact) = &event.fact {
            phase = phase.max(fact.phase);
            outcomes.extend(fact.outcome);
            let told = [fact.started_at, fact.answered_at, fact.ended_at];
            for (time, told) in times.iter_mut().zip(told) {
                *time = time.or(told);
            }
        }
    }
    (phase, outcomes, times)
}

#[tokio::test]
async fn every_format_tells_the_same_call() {
    let world = world().await;
    let standard = world.receiver(V2026).await;
    let v4 = world.receiver(V1).await;
    let app = world.app_receiver().await;
    let sid = world.sandbox.play(&with_all(&world)).unwrap().remove(0);
    let drained = world.sandbox.drain(later(600)).await;
    assert_eq!((drained.delivered, drained.refused), (6 + 5 + 3, 0));
    assert_eq!(
        standard.kinds(),
        [
            "call.ringing",
            "call.answered",
            "call.completed",
            "call.recording.completed",
            "call.transcript.completed",
            "call.summary.completed",
        ]
    );
    let times = [Some(later(10)), Some(later(15)), Some(later(75))];
    let expected = (
        Some(Phase::Ended),
        BTreeSet::from([Outcome::Answered]),
        times,
    );
    for (receiver, scheme) in [
        (&standard, Scheme::Standard),
        (&v4, Scheme::Legacy),
        (&app, Scheme::Legacy),
    ] {
        let events = receiver.events(later(600));
        assert_eq!(sum(&events), expected);
        assert!(
            events
                .iter()
                .all(|event| event.call_sid() == Some(sid.as_str()))
        );
        let verified = receiver
            .verify(&receiver.received()[0], later(600))
            .unwrap();
        assert_eq!(verified.scheme, scheme);
        let has_recording = |event: &ProviderEvent| matches!(&event.fact, Fact::Recording(fact) if fact.media.is_some());
        assert_eq!(
            events.iter().filter(|event| has_recording(event)).count(),
            1
        );
        let keys: BTreeSet<_> = events.iter().map(|event| &event.key).collect();
        assert_eq!(keys.len(), events.len(), "each event has its own key");
    }
    let numbers: BTreeSet<_> = standard
        .events(later(600))
        .iter()
        .filter_map(|event| event.number_sid().map(str::to_owned))
        .collect();
    assert_eq!(
        numbers,
        BTreeSet::from([world.workspace.number_sids[0].clone()])
    );
}

#[tokio::test]
async fn every_ending_is_told_as_it_was() {
    let voicemail = Ending::Voicemail {
        seconds: 12,
        transcript: None,
    };
    let forwarded = Ending::Forwarded {
        to: "+12025550177".to_owned(),
    };
    let cases: [(Ending, &[&str], Option<Outcome>); 6] = [
        (
            Ending::Missed,
            &["call.ringing", "call.missed", "call.completed"],
            Some(Outcome::Missed),
        ),
        (
            Ending::Abandoned,
            &["call.ringing", "call.completed"],
            Some(Outcome::Abandoned),
        ),
        (
            Ending::Failed,
            &["call.ringing", "call.completed"],
            Some(Outcome::Failed),
        ),
        (
            voicemail,
            &[
                "call.ringing",
                "call.missed",
                "call.completed",
                "call.voicemail.completed",
            ],
            Some(Outcome::Voicemail),
        ),
        (
            forwarded,
            &["call.ringing", "call.forwarded", "call.completed"],
            Some(Outcome::Forwarded),
        ),
        (
            Ending::Answered,
            &["call.ringing", "call.answered", "call.completed"],
            Some(Outcome::Answered),
        ),
    ];
    for (ending, kinds, outcome) in cases {
        let world = world().await;
        let receiver = world.receiver(V2026).await;
        world.sandbox.play(&scripted(ending.clone())).unwrap();
        world.sandbox.drain(later(600)).await;
        assert_eq!(receiver.kinds(), kinds, "{ending:?}");
        let (phase, outcomes, _) = sum(&receiver.events(later(600)));
        assert_eq!(
            (phase, outcomes),
            (Some(Phase::Ended), outcome.into_iter().collect()),
            "{ending:?}"
        );
    }
}

#[tokio::test]
async fn a_transferred_call_is_one_record_with_two_people() {
    let world = world().await;
    let receiver = world.receiver(V2026).await;
    let ending = Ending::Transferred {
        to_user_sid: world.workspace.user_sids[1].clone(),
        after_seconds: 20,
    };
    let sid = world.sandbox.play(&scripted(ending)).unwrap();
    assert_eq!(sid.len(), 1);
    world.sandbox.drain(later(600)).await;
    let events = receiver.events(later(600));
    let people: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Call(fact) if fact.phase == Some(Phase::InProgress) => fact.user_sid.clone(),
            _ => None,
        })
        .collect();
    assert_eq!(people, world.workspace.user_sids);
    assert_eq!(
        sum(&events).2,
        [Some(later(10)), Some(later(15)), Some(later(75))]
    );
}

#[tokio::test]
async fn messages_come_in_and_go_out() {
    let world = world().await;
    let standard = world.receiver(V2026).await;
    let legacy = world.receiver(V1).await;
    let app = world.app_receiver().await;
    let message = |from: &str, to: &str, fate| ScriptedMessage {
        from: from.to_owned(),
        to: to.to_owned(),
        text: "Héllo".to_owned(),
        at: later(5),
        fate,
    };
    for scripted in [
        message(CALLER, SALES, Fate::Delivered),
        message(SALES, CALLER, Fate::Delivered),
        message(SALES, CALLER, Fate::Undelivered),
        message(SALES, CALLER, Fate::Failed),
    ] {
        world.sandbox.play_message(&scripted).unwrap();
    }
    world.sandbox.drain(later(60)).await;
    let told = |events: Vec<ProviderEvent>| -> Vec<_> {
        let read = |event: ProviderEvent| match event.fact {
            Fact::Message(fact) => {
                assert_eq!(fact.text.as_deref(), Some("Héllo"));
                let ours = match fact.direction {
                    Direction::Incoming => fact.to[0].clone(),
                    Direction::Outgoing => fact.from.clone().unwrap(),
                };
                assert_eq!(ours, Party::read(SALES));
                assert_eq!(fact.our_number.as_ref(), ours.number());
                (fact.status.unwrap(), fact.error_code)
            }
            other => panic!("{other:?}"),
        };
        events.into_iter().map(read).collect()
    };
    let code = |text: &str| Some(text.to_owned());
    assert_eq!(
        told(standard.events(later(60))),
        [
            (MessageStatus::Received, None),
            (MessageStatus::Delivered, None),
            (MessageStatus::Undelivered, code("30003")),
            (MessageStatus::Failed, code("30008")),
        ]
    );
    // The old formats have no word for a failure.
    for receiver in [&legacy, &app] {
        let told = told(receiver.events(later(60)));
        assert_eq!(
            told,
            [
                (MessageStatus::Received, None),
                (MessageStatus::Delivered, None)
            ]
        );
    }
}

#[tokio::test]
async fn a_refused_webhook_is_tried_again_under_the_same_id() {
    let world = world().await;
    let receiver = world.receiver(V2026).await;
    world.sandbox.play(&scripted(Ending::Abandoned)).unwrap();
    receiver.answer_with(&[500, 204, 503]);
    let drained = world.sandbox.drain(later(60)).await;
    assert_eq!(
        (drained.delivered, drained.refused, drained.given_up),
        (2, 2, 0)
    );
    let posts = receiver.received();
    let keys: Vec<String> = posts
        .iter()
        .map(|one| openphone::dedupe_key(&receiver.verify(one, later(60)).unwrap(), &one.body))
        .collect();
    assert_eq!(keys.len(), 4);
    // The second webhook is accepted between the attempts of the first.
    assert_eq!((&keys[0], &keys[0]), (&keys[2], &keys[3]));
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_webhook_is_given_up_after_eight_attempts() {
    let world = world().await;
    let receiver = world.receiver(V2026).await;
    receiver.answer_with(&[500; 20]);
    world.sandbox.start_call(CALLER, SALES, later(1)).unwrap();
    let drained = world.sandbox.drain(later(2)).await;
    assert_eq!(
        (drained.delivered, drained.refused, drained.given_up),
        (0, 8, 1)
    );
    assert_eq!(world.sandbox.pending(), 0);
}

#[tokio::test]
async fn attempts_wait_as_the_provider_lets_them_wait() {
    let world = world().await;
    let receiver = world.receiver(V2026).await;
    receiver.answer_with(&[500, 500, 500]);
    world.sandbox.start_call(CALLER, SALES, later(1)).unwrap();
    assert_eq!(world.sandbox.next_at(), Some(later(1)));
    let mut attempts = Vec::new();
    while let Some(due) = world.sandbox.next_at() {
        world.sandbox.deliver_due(due).await;
        attempts.push(due);
    }
    assert_eq!(attempts, [later(1), later(6), later(306), later(2_106)]);
    // Just before the time, nothing is sent.
    world
        .sandbox
        .start_call(CALLER, SALES, later(3_000))
        .unwrap();
    assert_eq!(world.sandbox.deliver_due(later(2_999)).await.delivered, 0);
    assert_eq!(world.sandbox.deliver_due(later(3_000)).await.delivered, 1);
}

#[tokio::test]
async fn faults_of_webhooks_are_what_they_say() {
    let world = world().await;
    let receiver = world.receiver(V2026).await;
    let now = later(1_000);
    let ring = async |knobs: Knobs| {
        let before = receiver.received().len();
        world.sandbox.set_knobs(knobs);
        world.sandbox.start_call(CALLER, SALES, now).unwrap();
        world.sandbox.drain(now).await;
        receiver.received().split_off(before)
    };
    let twice = ring(Knobs {
        duplicate_webhook_next: 1,
        ..Knobs::default()
    })
    .await;
    assert_eq!(twice.len(), 2);
    assert_eq!(twice[0].body, twice[1].body);
    assert_eq!(
        twice[0].headers["webhook-id"],
        twice[1].headers["webhook-id"]
    );
    assert!(
        ring(Knobs {
            lose_webhook_next: 1,
            ..Knobs::default()
        })
        .await
        .is_empty()
    );
    let lost_kind = Knobs {
        lose_kinds: vec!["call.ringing".to_owned()],
        ..Knobs::default()
    };
    assert!(ring(lost_kind).await.is_empty());
    let wrong = ring(Knobs {
        wrong_signature_next: 1,
        ..Knobs::default()
    })
    .await;
    assert_eq!(
        receiver.verify(&wrong[0], now),
        Err(SignatureError::Mismatch)
    );
    let stale = ring(Knobs {
        stale_signature_next: 1,
        ..Knobs::default()
    })
    .await;
    let verdict = receiver.verify(&stale[0], now);
    assert!(
        matches!(verdict, Err(SignatureError::Stale { .. })),
        "{verdict:?}"
    );
    let cut = ring(Knobs {
        malformed_webhook_next: 1,
        ..Knobs::default()
    })
    .await;
    let verified = receiver.verify(&cut[0], now).unwrap();
    assert!(openphone::parse(&cut[0].body).is_err());
    assert!(openphone::dedupe_key(&verified, &cut[0].body).starts_with("msg_"));
    assert_eq!(ring(Knobs::default()).await.len(), 1);
}

#[tokio::test]
async fn a_late_webhook_is_due_later_than_what_it_tells() {
    let world = world().await;
    let receiver = world.receiver(V2026).await;
    world.sandbox.set_knobs(Knobs {
        delay_webhooks_seconds: 90,
        ..Knobs::default()
    });
    world.sandbox.start_call(CALLER, SALES, later(10)).unwrap();
    world.sandbox.deliver_due(later(99)).await;
    assert!(receiver.received().is_empty());
    world.sandbox.deliver_due(later(100)).await;
    let events = receiver.events(later(100));
    assert_eq!(events[0].occurred_at, later(10));
}

#[tokio::test]
async fn reordered_webhooks_are_the_same_ones_in_another_order() {
    let kinds_with = async |reorder_webhooks| {
        let world = world().await;
        let receiver = world.receiver(V2026).await;
        world.sandbox.set_knobs(Knobs {
            reorder_webhooks,
            ..Knobs::default()
        });
        world.sandbox.play(&with_all(&world)).unwrap();
        world.sandbox.drain(later(600)).await;
        receiver.kinds()
    };
    let (mut straight, mut shuffled) = (kinds_with(false).await, kinds_with(true).await);
    assert_ne!(straight, shuffled);
    straight.sort();
    shuffled.sort();
    assert_eq!(straight, shuffled);
}

#[tokio::test]
async fn while_a_secret_is_changed_both_are_accepted() {
    let world = world().await;
    let mut receiver = world.receiver(V2026).await;
    let hook = world.client().list_webhooks(V2026).await.unwrap().remove(0);
    let rotated: serde_json::Value = reqwest::Client::new()
        .post(format!("{}/webhooks/{}/rotate", world.url, hook.sid))
        .header("authorization", crate::support::KEY)
        .header("quo-api-version", "2026-03-30")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    world.sandbox.start_call(CALLER, SALES, later(1)).unwrap();
    world.sandbox.drain(later(2)).await;
    let posts = receiver.received();
    assert!(
        receiver.verify(&posts[0], later(2)).is_ok(),
        "the old secret"
    );
    let new = rotated["data"]["key"].as_str().unwrap();
    receiver.secrets = vec![tollbook_providers::Secret::new(new)];
    assert!(
        receiver.verify(&posts[0], later(2)).is_ok(),
        "the new secret"
    );
}

#[tokio::test]
async fn a_legacy_webhook_without_a_readable_body_is_still_told_apart() {
    let world = world().await;
    let receiver = world.receiver(V1).await;
    world.sandbox.set_knobs(Knobs {
        malformed_webhook_next: 1,
        ..Knobs::default()
    });
    world.sandbox.play(&scripted(Ending::Abandoned)).unwrap();
    world.sandbox.drain(later(100)).await;
    let keys: Vec<String> = receiver
        .received()
        .iter()
        .map(|one| openphone::dedupe_key(&receiver.verify(one, later(100)).unwrap(), &one.body))
        .collect();
    assert!(
        keys[0].starts_with("sha256:") && keys[0].len() == 71,
        "{}",
        keys[0]
    );
    assert!(keys[1].starts_with("EV"), "{}", keys[1]);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes_also_over_many_lanes() {
    let bodies = async |lanes, base_url: &str| {
        let mut options = options();
        options.lanes = lanes;
        let world = world_with(options.clone(), &workspace()).await;
        options.base_url = base_url.to_owned();
        // Links carry the address, so the compared sandbox has a fixed one and is not listened to.
        let sandbox = Sandbox::new(options).unwrap();
        let seeded = sandbox.add_workspace(&workspace());
        assert_eq!(seeded, world.workspace);
        let receiver = crate::support::Receiver::start().await;
        sandbox.add_app_hook(&seeded.sid, &receiver.url).unwrap();
        for minute in 0..20 {
            let mut call = with_all(&world);
            call.at = later(minute * 60);
            sandbox.play(&call).unwrap();
        }
        sandbox.drain(later(10_000)).await;
        receiver
            .received()
            .into_iter()
            .map(|one| one.body)
            .collect::<Vec<_>>()
    };
    let one_by_one = bodies(1, "http://sandbox.test").await;
    assert_eq!(one_by_one.len(), 60);
    assert_eq!(one_by_one, bodies(1, "http://sandbox.test").await);
    let (mut many, mut one_by_one) = (bodies(4, "http://sandbox.test").await, one_by_one);
    for kinds in [&many, &one_by_one] {
        let mut seen = BTreeSet::new();
        for body in kinds {
            let event = openphone::parse(body).unwrap().remove(0);
            let sid = event.call_sid().unwrap().to_owned();
            let is_over =
                matches!(event.fact, Fact::Call(fact) if fact.phase == Some(Phase::Ended));
            assert_eq!(is_over, !seen.insert(sid), "a call rings before it ends");
        }
    }
    many.sort();
    one_by_one.sort();
    assert_eq!(many, one_by_one);
}
