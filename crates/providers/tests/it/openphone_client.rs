//! The client against the sandbox: everything it reads and writes, through both interfaces.

use tollbook_core::calls::{
    CallFact, Direction, Fact, MessageStatus, Outcome, Phase, ProcessingState, ProviderEvent,
};
use tollbook_core::phone::Party;
use tollbook_core::time::Seconds;
use tollbook_providers::openphone::Surface::{V1, V2026};
use tollbook_providers::openphone::sandbox::{Ending, Line, ScriptedCall, ScriptedMessage};
use tollbook_providers::{Error, NewMessage, PhoneSystem, Telephony};

use crate::support::{CALLER, SALES, SUPPORT, World, http, later, workspace, world, world_with};

fn answered_call(world: &World) -> ScriptedCall {
    let line = |is_external, text: &str| Line {
        is_external,
        text: text.to_owned(),
    };
    ScriptedCall {
        is_recorded: true,
        user_sid: Some(world.workspace.user_sids[1].clone()),
        transcript: vec![
            line(false, "Hello?"),
            line(true, "Good day."),
            line(false, "Bye."),
        ],
        summary: vec!["A greeting.".to_owned()],
        ..ScriptedCall::answered(CALLER, SALES, later(10), 61)
    }
}

fn voicemail_call() -> ScriptedCall {
    ScriptedCall {
        ring_seconds: 25,
        ending: Ending::Voicemail {
            seconds: 12,
            transcript: Some("Call me back.".to_owned()),
        },
        ..ScriptedCall::answered("anonymous", SUPPORT, later(400), 0)
    }
}

fn calls(events: &[ProviderEvent]) -> Vec<&CallFact> {
    events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Call(fact) => Some(fact),
            _ => None,
        })
        .collect()
}

async fn everything_since(client: &impl Telephony, seconds: i64) -> Vec<ProviderEvent> {
    let (mut events, mut page) = (Vec::new(), None);
    loop {
        let found = client
            .calls_since(later(seconds), page.as_deref())
            .await
            .unwrap();
        events.extend(found.events);
        page = found.next;
        if page.is_none() {
            return events;
        }
    }
}

#[tokio::test]
async fn workspace_users_and_numbers_are_read_through_both_interfaces() {
    let world = world().await;
    for surface in [V1, V2026] {
        let client = world.client().with_surface(surface);
        let found = client.workspace().await.unwrap();
        assert!(found.is_active);
        assert_eq!(found.sid.is_some(), surface == V2026);
        let users = client.users().await.unwrap();
        let roles: Vec<_> = users
            .iter()
            .map(|user| user.role.as_deref().unwrap())
            .collect();
        assert_eq!(roles, ["owner", "member"]);
        assert_eq!(users[1].email.as_deref(), Some("ben@example.test"));
        let lines = client.lines().await.unwrap();
        let sids: Vec<_> = lines.iter().map(|line| line.sid.clone()).collect();
        assert_eq!(sids, world.workspace.number_sids);
        assert_eq!(lines[1].number.as_str(), SUPPORT);
        assert_eq!(lines[1].name.as_deref(), Some("Support"));
        assert_eq!(lines[1].user_sids, world.workspace.user_sids);
    }
}

#[tokio::test]
async fn a_call_is_the_same_whichever_way_it_is_read() {
    let world = world().await;
    let sid = world
        .sandbox
        .play(&answered_call(&world))
        .unwrap()
        .remove(0);
    world.sandbox.drain(later(300)).await;
    let client = PhoneSystem::Openphone(world.client());
    let by_id = client.call(&sid).await.unwrap();
    let call = calls(&by_id)[0];
    assert_eq!(call.direction, Some(Direction::Incoming));
    assert_eq!(call.from, Some(Party::read(CALLER)));
    assert_eq!(call.to, Some(Party::read(SALES)));
    assert_eq!(call.phase, Some(Phase::Ended));
    assert_eq!(call.outcome, Some(Outcome::Answered));
    assert_eq!(call.user_sid.as_ref(), Some(&world.workspace.user_sids[1]));
    assert_eq!(
        (call.started_at, call.answered_at, call.ended_at),
        (Some(later(10)), Some(later(15)), Some(later(76)))
    );
    assert_eq!(call.duration, Some(Seconds::new(61)));
    assert!(
        by_id
            .iter()
            .any(|event| matches!(&event.fact, Fact::Recording(fact) if fact.call_sid == sid))
    );
    for surface in [V1, V2026] {
        let listed = everything_since(&world.client().with_surface(surface), 0).await;
        let [listed] = calls(&listed)[..] else {
            panic!("one call on {surface:?}");
        };
        let mut listed = listed.clone();
        listed.has_voicemail = call.has_voicemail;
        assert_eq!(&listed, call, "{surface:?}");
    }
    assert!(everything_since(&world.client(), 11).await.is_empty());
}

#[tokio::test]
async fn recordings_transcripts_and_summaries_come_after_the_call() {
    let world = world().await;
    let sid = world
        .sandbox
        .play(&answered_call(&world))
        .unwrap()
        .remove(0);
    world.sandbox.drain(later(80)).await;
    let client = world.client();
    assert!(client.recordings(&sid).await.unwrap().is_empty());
    assert!(client.transcripts(&sid).await.unwrap().is_empty());
    assert_eq!(client.summary(&sid).await.unwrap(), None);
    world.sandbox.drain(later(300)).await;
    for surface in [V1, V2026] {
        let client = world.client().with_surface(surface);
        let recordings = client.recordings(&sid).await.unwrap();
        assert_eq!(recordings.len(), 1);
        assert_eq!(recordings[0].state, ProcessingState::Completed);
        assert_eq!(recordings[0].duration, Some(Seconds::new(61)));
        assert_eq!(recordings[0].started_at, Some(later(15)));
        let transcripts = client.transcripts(&sid).await.unwrap();
        let lines = &transcripts[0].lines;
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1].speaker, Some(Party::read(CALLER)));
        assert_eq!(lines[1].user_sid, None);
        assert_eq!(
            lines[2].user_sid.as_ref(),
            Some(&world.workspace.user_sids[1])
        );
        assert_eq!((lines[2].start_ms, lines[2].end_ms), (40_666, 60_999));
        let summary = client.summary(&sid).await.unwrap().unwrap();
        assert_eq!(summary.points, ["A greeting."]);
    }
}

#[tokio::test]
async fn a_plan_without_transcripts_has_none_and_that_is_no_error() {
    let mut seed = workspace();
    seed.has_transcripts = false;
    let world = world_with(crate::support::options(), &seed).await;
    let sid = world
        .sandbox
        .play(&answered_call(&world))
        .unwrap()
        .remove(0);
    world.sandbox.drain(later(300)).await;
    for surface in [V1, V2026] {
        let client = world.client().with_surface(surface);
        assert!(client.transcripts(&sid).await.unwrap().is_empty());
        assert_eq!(client.summary(&sid).await.unwrap(), None);
        assert_eq!(client.recordings(&sid).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_voicemail_is_found_with_its_call() {
    let world = world().await;
    let sid = world.sandbox.play(&voicemail_call()).unwrap().remove(0);
    world.sandbox.drain(later(600)).await;
    let listed = everything_since(&world.client(), 0).await;
    let by_id = world.client().call(&sid).await.unwrap();
    for events in [&listed, &by_id] {
        let call = calls(events)[0];
        assert_eq!(call.outcome, Some(Outcome::Voicemail));
        assert_eq!(call.from, Some(Party::Anonymous));
        assert_eq!((call.answered_at, call.user_sid.as_deref()), (None, None));
        let Some(Fact::Voicemail(voicemail)) = events.get(1).map(|event| &event.fact) else {
            panic!("the voicemail follows its call");
        };
        assert_eq!(voicemail.call_sid, sid);
        assert_eq!(voicemail.transcript.as_deref(), Some("Call me back."));
        assert_eq!(voicemail.duration, Some(Seconds::new(12)));
        assert!(voicemail.media.is_some());
    }
    assert_eq!(by_id.len(), 2);
}

#[tokio::test]
async fn a_call_without_an_end_is_seen_as_going_on_and_an_unknown_one_not_at_all() {
    let world = world().await;
    let sid = world
        .sandbox
        .start_call(SALES, CALLER, later(1))
        .unwrap()
        .remove(0);
    world.sandbox.drain(later(2)).await;
    let phase = async || calls(&world.client().call(&sid).await.unwrap())[0].phase;
    assert_eq!(phase().await, Some(Phase::Ringing));
    world.sandbox.answer_call(&sid, None, later(3));
    world.sandbox.drain(later(4)).await;
    assert_eq!(phase().await, Some(Phase::InProgress));
    world.sandbox.end_call(&sid, later(9));
    world.sandbox.drain(later(10)).await;
    let events = world.client().call(&sid).await.unwrap();
    let call = calls(&events)[0];
    assert_eq!(call.direction, Some(Direction::Outgoing));
    assert_eq!(
        (call.answered_at, call.ended_at),
        (Some(later(3)), Some(later(9)))
    );
    assert!(world.client().call("AC404").await.unwrap().is_empty());
}

#[tokio::test]
async fn long_lists_are_read_to_their_end_without_gaps_or_doubles() {
    let world = world().await;
    let mut expected: Vec<String> = Vec::new();
    for minute in 0..120 {
        // Three callers, so that version 1 has several conversations to go through.
        let caller = format!("+1202555{:04}", 200 + minute % 3);
        let call = ScriptedCall::answered(&caller, SALES, later(minute * 60), 30);
        expected.extend(world.sandbox.play(&call).unwrap());
    }
    world.sandbox.drain(later(10_000)).await;
    expected.sort();
    for surface in [V1, V2026] {
        let client = world.client().with_surface(surface);
        let events = everything_since(&client, 0).await;
        let mut found: Vec<_> = calls(&events).iter().map(|call| call.sid.clone()).collect();
        found.sort();
        assert_eq!(found, expected, "{surface:?}");
        let half = everything_since(&client, 60 * 60).await;
        assert_eq!(half.len(), 60, "{surface:?}: `since` itself is included");
    }
}

#[tokio::test]
async fn a_message_is_sent_and_its_fate_is_read() {
    let world = world().await;
    let message = NewMessage {
        from: world.workspace.number_sids[0].clone(),
        to: CALLER.parse().unwrap(),
        text: "Your appointment is at nine.".to_owned(),
        user_sid: None,
    };
    let sent = world.client().send_message(&message, None).await.unwrap();
    assert_eq!(sent.status, Some(MessageStatus::Queued));
    assert_eq!(sent.direction, Direction::Outgoing);
    assert_eq!(sent.from, Some(Party::read(SALES)));
    assert_eq!(sent.to, [Party::read(CALLER)]);
    assert_eq!(
        sent.our_number
            .as_ref()
            .map(tollbook_core::phone::E164::as_str),
        Some(SALES)
    );
    let refused = NewMessage {
        text: " ".to_owned(),
        ..message
    };
    let error = world
        .client()
        .send_message(&refused, None)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { code, .. } if code == "0200400"),
        "{error}"
    );
}

#[tokio::test]
async fn webhooks_are_made_listed_and_removed_and_asking_twice_leaves_one_set() {
    let world = world().await;
    let client = world.client();
    let url = "http://127.0.0.1:9/hook";
    for (surface, count) in [(V1, 4), (V2026, 1)] {
        let first = client
            .create_webhooks(surface, url, "Tollbook")
            .await
            .unwrap();
        let second = client
            .create_webhooks(surface, url, "Tollbook")
            .await
            .unwrap();
        assert_eq!((first.len(), second.len()), (count, count));
        assert_ne!(first[0].secret, second[0].secret);
        let listed = client.list_webhooks(surface).await.unwrap();
        let listed_sids: Vec<_> = listed.iter().map(|hook| &hook.sid).collect();
        let made: Vec<_> = second.iter().map(|hook| &hook.sid).collect();
        assert_eq!(listed_sids, made);
        assert!(listed.iter().all(|hook| hook.is_enabled && hook.url == url));
        for hook in second {
            client.delete_webhook(surface, &hook.sid).await.unwrap();
            client.delete_webhook(surface, &hook.sid).await.unwrap();
        }
        assert!(client.list_webhooks(surface).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_recording_is_fetched_while_its_link_lasts() {
    let world = world().await;
    let sid = world
        .sandbox
        .play(&answered_call(&world))
        .unwrap()
        .remove(0);
    world.sandbox.drain(later(300)).await;
    let recording = world.client().recordings(&sid).await.unwrap().remove(0);
    let link = recording.media.unwrap().url;
    let file = http().download(&link, 1_000_000).await.unwrap();
    assert_eq!(file.media_type.as_deref(), Some("audio/wav"));
    assert!(file.bytes.starts_with(b"RIFF"));
    let error = http().download(&link, 1_000).await.unwrap_err();
    assert!(matches!(error, Error::Malformed(_)), "{error}");
    world.sandbox.drain(later(300 + 3_601)).await;
    let error = http().download(&link, 1_000_000).await.unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { code, .. } if code == "403"),
        "{error}"
    );
    let fresh = world.client().recordings(&sid).await.unwrap().remove(0);
    let link = fresh.media.unwrap().url;
    assert!(http().download(&link, 1_000_000).await.is_ok());
}

#[tokio::test]
async fn the_wrong_key_opens_nothing_and_the_version_is_asked_first() {
    let world = world().await;
    for surface in [V1, V2026] {
        let stranger = world.client_with_key("another key").with_surface(surface);
        assert!(matches!(stranger.lines().await, Err(Error::Unauthorized)));
        let bearer = world
            .client_with_key(&format!("Bearer {}", crate::support::KEY))
            .with_surface(surface);
        assert!(matches!(bearer.lines().await, Err(Error::Unauthorized)));
    }
    let without_version = reqwest::get(format!("{}/phone-numbers", world.url))
        .await
        .unwrap();
    assert_eq!(without_version.status(), 400);
}

#[tokio::test]
async fn two_workspaces_see_nothing_of_each_other() {
    let world = world().await;
    let mut seed = workspace();
    seed.api_key = tollbook_providers::Secret::new("the other key");
    seed.numbers.truncate(1);
    seed.numbers[0].number = "+12025550150".parse().unwrap();
    world.sandbox.add_workspace(&seed);
    let sid = world
        .sandbox
        .play(&answered_call(&world))
        .unwrap()
        .remove(0);
    world.sandbox.drain(later(300)).await;
    let other = world.client_with_key("the other key");
    assert_eq!(other.lines().await.unwrap().len(), 1);
    assert!(other.call(&sid).await.unwrap().is_empty());
    assert!(everything_since(&other, 0).await.is_empty());
    assert_eq!(everything_since(&world.client(), 0).await.len(), 1);
}

#[tokio::test]
async fn messages_between_two_numbers_of_ours_are_two_records() {
    let world = world().await;
    let message = ScriptedMessage {
        from: SALES.to_owned(),
        to: SUPPORT.to_owned(),
        text: "Please take over.".to_owned(),
        at: later(5),
        fate: tollbook_providers::openphone::sandbox::Fate::Delivered,
    };
    assert_eq!(world.sandbox.play_message(&message).unwrap().len(), 2);
    let stranger = ScriptedMessage {
        to: CALLER.to_owned(),
        from: "+12025550199".to_owned(),
        ..message
    };
    let error = world.sandbox.play_message(&stranger).unwrap_err();
    assert_eq!(
        error.to_string(),
        "neither `+12025550199` nor `+12025550123` is a number of the sandbox"
    );
}
