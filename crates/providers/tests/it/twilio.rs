//! The client, the webhooks and the sandbox of Twilio together, over real HTTP.

use axum::Router;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tollbook_core::calls::{
    CallState, Direction, Fact, Leg, MessageStatus, Outcome, ProviderEvent, group, missing,
};
use tollbook_core::phone::{E164, Party};
use tollbook_core::time::Seconds;
use tollbook_providers::twilio::sandbox::{
    AccountSeed, Ending, Fate, FlowHooks, Knobs, Sandbox, SandboxOptions, ScriptedCall,
    ScriptedMessage, SeededAccount,
};
use tollbook_providers::twilio::{
    self, Client, Credentials, NewCall, NumberHooks, NumberKind, Request, Search, SignatureError,
};
use tollbook_providers::{
    Budget, CostOf, Error, NewMessage, PhoneSystem, ProviderCost, Resend, Secret, Telephony,
};

use crate::support::{CALLER, Received, Receiver, SALES, fast, http, later, serve, start};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const FREE: &str = "+12125550140";

struct World {
    sandbox: Sandbox,
    url: String,
    account: SeededAccount,
    receiver: Receiver,
}

async fn world() -> World {
    let receiver = Receiver::start().await;
    let sandbox = Sandbox::new(&SandboxOptions {
        seed: 7,
        start: start(),
        pool: vec![FREE.parse().unwrap(), "+13105550141".parse().unwrap()],
        ..SandboxOptions::default()
    })
    .unwrap();
    let url = receiver.url.clone();
    let account = sandbox.add_account(&AccountSeed {
        name: "Example".to_owned(),
        auth_token: Secret::new(TOKEN),
        numbers: vec![SALES.parse().unwrap()],
        hooks: FlowHooks {
            voice_url: url.clone(),
            status_url: url.clone(),
            leg_status_url: url.clone(),
            dial_action_url: url.clone(),
            recording_status_url: url.clone(),
            sms_url: url.clone(),
            sms_status_url: url,
        },
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router: Router = sandbox.router();
    serve(listener, router);
    World {
        sandbox,
        url,
        account,
        receiver,
    }
}

impl World {
    fn client_with(&self, secret: &str) -> Client {
        let credentials = Credentials {
            account_sid: self.account.sid.clone(),
            user: self.account.sid.clone(),
            secret: Secret::new(secret),
        };
        let client = Client::new(&http(), &self.url, credentials).unwrap();
        client.with_budget(Budget::per_second(fast()))
    }

    fn client(&self) -> Client {
        self.client_with(TOKEN)
    }

    fn verify(&self, one: &Received) -> Result<(), SignatureError> {
        let request = Request {
            method: "POST",
            url: &self.receiver.url,
            headers: &one.headers,
            body: &one.body,
        };
        twilio::verify(request, &[Secret::new(TOKEN)])
    }

    /// The facts of everything received, each signature checked.
    fn events(&self, now: Timestamp) -> Vec<ProviderEvent> {
        let read = |one: Received| {
            self.verify(&one).unwrap();
            twilio::parse(&one.body, now).unwrap()
        };
        self.receiver
            .received()
            .into_iter()
            .flat_map(read)
            .collect()
    }
}

fn scripted(ending: Ending) -> ScriptedCall {
    ScriptedCall {
        from: CALLER.to_owned(),
        to: SALES.to_owned(),
        at: later(10),
        ring_seconds: 5,
        talk_seconds: 61,
        ending,
        agent: "client:ada".to_owned(),
        is_recorded: true,
    }
}

fn outgoing(ending: Ending) -> ScriptedCall {
    ScriptedCall {
        from: SALES.to_owned(),
        to: CALLER.to_owned(),
        ..scripted(ending)
    }
}

fn one_call(events: &[ProviderEvent]) -> (CallState, usize) {
    let mut calls = group(events.iter().filter_map(Leg::seen));
    assert_eq!(calls.len(), 1, "{events:#?}");
    let call = calls.remove(0);
    (call.state(), missing(&call).len())
}

#[tokio::test]
async fn an_answered_call_is_one_call_by_webhooks_by_requests_and_by_both() {
    let world = world().await;
    let sid = world.sandbox.play(&scripted(Ending::Answered)).unwrap();
    let drained = world.sandbox.drain(later(600)).await;
    assert_eq!((drained.delivered, drained.refused), (8, 0));
    let told = world.events(later(80));
    let client = PhoneSystem::Twilio(world.client());
    let asked = client.call(&sid).await.unwrap();
    let listed = client.calls_since(later(0), None).await.unwrap().events;
    let both: Vec<_> = asked.iter().chain(&told).cloned().collect();
    for events in [&told, &asked, &listed, &both] {
        let (call, missing) = one_call(events);
        assert_eq!(call.root_sid, sid);
        assert_eq!(call.outcome, Some(Outcome::Answered));
        assert_eq!(call.direction, Some(Direction::Incoming));
        assert_eq!(call.external, Some(Party::read(CALLER)));
        assert_eq!(call.our_number.as_ref().map(E164::as_str), Some(SALES));
        assert_eq!(call.billable, Some(Seconds::new(61)));
        assert_eq!(call.user_sids, ["ada"]);
        assert_eq!(missing, 0);
    }
    let recorded = |event: &ProviderEvent| matches!(&event.fact, Fact::Recording(fact) if fact.call_sid == sid);
    assert_eq!(told.iter().filter(|event| recorded(event)).count(), 1);
    assert_eq!(asked.iter().filter(|event| recorded(event)).count(), 1);
}

#[tokio::test]
async fn a_dialled_leg_leads_to_the_whole_call() {
    let world = world().await;
    let sid = world.sandbox.play(&scripted(Ending::Answered)).unwrap();
    world.sandbox.drain(later(600)).await;
    let client = world.client();
    let whole = client.call(&sid).await.unwrap();
    let is_child = |event: &&ProviderEvent| matches!(&event.fact, Fact::Call(fact) if fact.parent_sid.is_some());
    let child = whole
        .iter()
        .find(is_child)
        .and_then(ProviderEvent::call_sid)
        .unwrap();
    assert_eq!(client.call(child).await.unwrap(), whole);
}

#[tokio::test]
async fn everybody_hangs_up_when_told_to() {
    let world = world().await;
    let sid = world.sandbox.play(&scripted(Ending::Answered)).unwrap();
    world.sandbox.drain(later(20)).await;
    world.sandbox.end_call(&sid, later(25));
    world.sandbox.drain(later(600)).await;
    let (call, missing) = one_call(&world.events(later(25)));
    assert_eq!((call.outcome, missing), (Some(Outcome::Answered), 0));
    assert_eq!(call.billable, Some(Seconds::new(10)));
}

#[tokio::test]
async fn every_ending_is_known_at_the_latest_when_asked_for() {
    let cases = [
        (scripted(Ending::NoAnswer), Outcome::Missed),
        (scripted(Ending::Busy), Outcome::Busy),
        (scripted(Ending::Failed), Outcome::Failed),
        (
            scripted(Ending::Voicemail { seconds: 12 }),
            Outcome::Voicemail,
        ),
        (outgoing(Ending::Answered), Outcome::Answered),
        (outgoing(Ending::NoAnswer), Outcome::Missed),
        (outgoing(Ending::Busy), Outcome::Busy),
        (outgoing(Ending::Failed), Outcome::Failed),
    ];
    for (script, outcome) in cases {
        let world = world().await;
        let sid = world.sandbox.play(&script).unwrap();
        world.sandbox.drain(later(600)).await;
        let mut events = world.events(later(100));
        events.extend(world.client().call(&sid).await.unwrap());
        let (call, missing) = one_call(&events);
        let talked = if outcome == Outcome::Answered { 61 } else { 0 };
        assert_eq!(call.outcome, Some(outcome), "{script:?}");
        assert_eq!(call.billable, Some(Seconds::new(talked)), "{script:?}");
        assert_eq!(missing, 0, "{script:?}");
    }
}

#[tokio::test]
async fn prices_are_unknown_at_first_and_then_those_of_all_legs() {
    let world = world().await;
    let sid = world.sandbox.play(&scripted(Ending::Answered)).unwrap();
    world.sandbox.drain(later(100)).await;
    let client = world.client();
    assert_eq!(client.costs_of_call(&sid).await.unwrap(), []);
    assert!(
        client
            .calls_since(later(0), None)
            .await
            .unwrap()
            .costs
            .is_empty()
    );
    world.sandbox.drain(later(600)).await;
    let costs = client.costs_of_call(&sid).await.unwrap();
    let told: Vec<(CostOf, String, &str)> = costs
        .iter()
        .map(|cost| (cost.of, cost.price.to_string(), cost.currency.code()))
        .collect();
    // Two begun minutes on each leg, two of recording.
    let expected = [
        (CostOf::Call, "0.017".to_owned(), "USD"),
        (CostOf::Call, "0.028".to_owned(), "USD"),
        (CostOf::Recording, "0.005".to_owned(), "USD"),
    ];
    assert_eq!(told, expected);
    let listed = client.calls_since(later(0), None).await.unwrap().costs;
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|cost: &ProviderCost| costs.contains(cost))
    );
}

#[tokio::test]
async fn a_number_costs_what_the_price_list_of_its_country_says() {
    let client = world().await.client();
    let cost = async |number: &str| {
        let cost = client.cost_of_number(&number.parse().unwrap()).await;
        let shown = |cost: ProviderCost| format!("{} {}", cost.price, cost.currency);
        cost.unwrap().map(shown)
    };
    assert_eq!(cost("+12125550140").await.as_deref(), Some("1.15 USD"));
    assert_eq!(cost("+18005550100").await.as_deref(), Some("2.15 USD"));
    assert_eq!(cost("+447400123456").await, None, "no list is no price");
}

#[tokio::test]
async fn long_lists_are_followed_to_their_end() {
    let world = world().await;
    for minute in 0..450 {
        let mut script = outgoing(Ending::NoAnswer);
        script.at = later(minute * 60);
        world.sandbox.play(&script).unwrap();
    }
    world.sandbox.drain(later(100_000)).await;
    let client = world.client();
    let (mut found, mut page) = (0, None);
    loop {
        let next = client
            .calls_since(later(60), page.as_deref())
            .await
            .unwrap();
        found += next.events.len();
        page = next.next;
        if page.is_none() {
            break;
        }
    }
    assert_eq!(found, 449);
}

#[tokio::test]
async fn a_number_is_bought_once_however_often_the_answer_is_lost() {
    let world = world().await;
    let client = world.client();
    let search = Search {
        country: "US".to_owned(),
        kind: NumberKind::Local,
        area_code: Some("212".to_owned()),
        contains: None,
        with_messages: true,
        limit: 10,
    };
    let offers = client.search(&search).await.unwrap();
    assert_eq!(offers.len(), 1);
    assert!(offers[0].has_messages && offers[0].has_voice);
    assert_eq!(offers[0].number.as_str(), FREE);
    let hooks = NumberHooks {
        voice_url: world.receiver.url.clone(),
        status_url: world.receiver.url.clone(),
        sms_url: world.receiver.url.clone(),
    };
    // The look for the number passes, the purchase is made, and its answer is lost.
    world.sandbox.set_knobs(Knobs {
        spare_next: 1,
        lose_answer_next: 1,
        ..Knobs::default()
    });
    let error = client.buy(&offers[0].number, &hooks).await.unwrap_err();
    assert!(error.may_have_acted());
    let line = client.buy(&offers[0].number, &hooks).await.unwrap();
    assert_eq!(line.number.as_str(), FREE);
    assert_eq!(client.lines().await.unwrap().len(), 2);
    assert!(client.search(&search).await.unwrap().is_empty());
    let mut script = scripted(Ending::NoAnswer);
    script.to = FREE.to_owned();
    world.sandbox.play(&script).unwrap();
    world.sandbox.drain(later(100)).await;
    assert!(!world.receiver.received().is_empty(), "it points at us");
    client.release(&line.sid).await.unwrap();
    client.release(&line.sid).await.unwrap();
    assert_eq!(client.search(&search).await.unwrap().len(), 1);
    let gone: E164 = "+12125550199".parse().unwrap();
    let error = client.buy(&gone, &hooks).await.unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { code, .. } if code == "21422"),
        "{error}"
    );
}

#[tokio::test]
async fn a_call_that_we_ask_for_tells_how_far_it_is() {
    let world = world().await;
    let client = world.client();
    let call = NewCall {
        from: SALES.to_owned(),
        to: CALLER.to_owned(),
        url: world.receiver.url.clone(),
        status_url: world.receiver.url.clone(),
        seconds_max: Some(600),
    };
    world.sandbox.expect_dial(Ending::Busy, 4, 0);
    let busy = client.dial(&call).await.unwrap();
    world.sandbox.drain(later(60)).await;
    let (state, _) = one_call(&world.events(later(60)));
    assert_eq!((state.root_sid, state.outcome), (busy, Some(Outcome::Busy)));
    let sid = client.dial(&call).await.unwrap();
    world.sandbox.drain(later(75)).await;
    client.hang_up(&sid).await.unwrap();
    world.sandbox.drain(later(600)).await;
    let events = world.events(later(600));
    let calls = group(events.iter().filter_map(Leg::seen));
    let state = calls
        .iter()
        .map(tollbook_core::calls::Call::state)
        .find(|state| state.root_sid == sid)
        .unwrap();
    assert_eq!(state.outcome, Some(Outcome::Answered));
    assert_eq!(
        state.billable,
        Some(Seconds::new(10)),
        "from the answer to the end that we asked for"
    );
    let error = client.hang_up(&sid).await.unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { code, .. } if code == "21220"),
        "{error}"
    );
    let wrong = NewCall {
        to: "12".to_owned(),
        ..call
    };
    let error = client.dial(&wrong).await.unwrap_err();
    assert!(
        matches!(&error, Error::Rejected { code, .. } if code == "21211"),
        "{error}"
    );
}

#[tokio::test]
async fn messages_come_in_go_out_and_cost_per_part() {
    let world = world().await;
    let client = world.client();
    let script = |from: &str, to: &str, fate| ScriptedMessage {
        from: from.to_owned(),
        to: to.to_owned(),
        text: "Hello".to_owned(),
        at: later(5),
        fate,
    };
    for one in [
        script(CALLER, SALES, Fate::Delivered),
        script(SALES, CALLER, Fate::Undelivered),
    ] {
        world.sandbox.play_message(&one).unwrap();
    }
    world.sandbox.drain(later(60)).await;
    let told: Vec<_> = world
        .events(later(60))
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::Message(fact) => Some((fact.direction, fact.status?, fact.error_code)),
            _ => None,
        })
        .collect();
    let expected = [
        (Direction::Incoming, MessageStatus::Received, None),
        (Direction::Outgoing, MessageStatus::Sent, None),
        (
            Direction::Outgoing,
            MessageStatus::Undelivered,
            Some("30003".to_owned()),
        ),
    ];
    assert_eq!(told, expected);
    let message = NewMessage {
        from: world.account.number_sids[0].clone(),
        to: CALLER.parse().unwrap(),
        text: "ё".repeat(71),
        user_sid: None,
    };
    let sent = client.send_message(&message, None).await.unwrap();
    assert_eq!(
        (sent.segments, sent.status),
        (Some(2), Some(MessageStatus::Queued))
    );
    let (_, cost) = client.message(&sent.sid).await.unwrap().unwrap();
    assert_eq!(cost, None);
    world.sandbox.drain(later(600)).await;
    let (fact, cost) = client.message(&sent.sid).await.unwrap().unwrap();
    assert_eq!(fact.status, Some(MessageStatus::Delivered));
    assert_eq!(cost.unwrap().price.to_string(), "0.0158");
    assert_eq!(client.message("SM404").await.unwrap(), None);
}

#[tokio::test]
async fn a_message_whose_answer_is_lost_is_found_and_not_sent_again() {
    let world = world().await;
    let client = world.client();
    let message = NewMessage {
        from: SALES.to_owned(),
        to: CALLER.parse().unwrap(),
        text: "Your invoice is due.".to_owned(),
        user_sid: None,
    };
    world.sandbox.set_knobs(Knobs {
        lose_answer_next: 1,
        ..Knobs::default()
    });
    let error = client.send_message(&message, None).await.unwrap_err();
    assert!(error.may_have_acted());
    let earlier = Resend {
        first_attempt_at: start(),
        known_sids: Vec::new(),
    };
    let found = client.send_message(&message, Some(&earlier)).await.unwrap();
    assert_eq!(
        client
            .send_message(&message, Some(&earlier))
            .await
            .unwrap()
            .sid,
        found.sid
    );
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

#[tokio::test]
async fn a_recording_needs_the_accounts_credentials() {
    let world = world().await;
    let sid = world.sandbox.play(&scripted(Ending::Answered)).unwrap();
    world.sandbox.drain(later(600)).await;
    let media = |events: Vec<ProviderEvent>| {
        let mut found = events.into_iter().filter_map(|event| match event.fact {
            Fact::Recording(fact) => fact.media,
            _ => None,
        });
        found.next().unwrap().url
    };
    let url = media(world.client().call(&sid).await.unwrap());
    let file = world.client().download(&url, 1_000_000).await.unwrap();
    assert!(file.bytes.starts_with(b"RIFF"));
    assert!(matches!(
        http().download(&url, 1_000_000).await,
        Err(Error::Unauthorized)
    ));
}

#[tokio::test]
async fn the_wrong_token_opens_nothing_and_failures_are_told_apart() {
    let world = world().await;
    let client = world.client();
    let account = client.account().await.unwrap();
    assert!(account.is_active && account.sid == world.account.sid);
    let stranger = world.client_with("another token");
    assert!(matches!(stranger.lines().await, Err(Error::Unauthorized)));
    world.sandbox.set_knobs(Knobs {
        fail_next: 1,
        fail_status: 503,
        rate_limit_next: 1,
        retry_after_seconds: 3,
        malformed_answer_next: 1,
        ..Knobs::default()
    });
    assert!(matches!(
        client.lines().await,
        Err(Error::Unavailable { .. })
    ));
    let limited = client.lines().await.unwrap_err();
    assert!(
        matches!(limited, Error::RateLimited { retry_after: Some(wait) } if wait.as_secs() == 3)
    );
    assert!(matches!(client.lines().await, Err(Error::Malformed(_))));
    assert_eq!(client.lines().await.unwrap().len(), 1);
    assert!(!format!("{client:?}").contains(TOKEN));
}

#[tokio::test]
async fn webhooks_are_lost_doubled_forged_and_cut_as_asked_for() {
    let world = world().await;
    let ring = async |knobs: Knobs| {
        let before = world.receiver.received().len();
        world.sandbox.set_knobs(knobs);
        let message = ScriptedMessage {
            from: CALLER.to_owned(),
            to: SALES.to_owned(),
            text: "Hello".to_owned(),
            at: later(5),
            fate: Fate::Delivered,
        };
        world.sandbox.play_message(&message).unwrap();
        let drained = world.sandbox.drain(later(10)).await;
        (world.receiver.received().split_off(before), drained)
    };
    let (twice, _) = ring(Knobs {
        duplicate_webhook_next: 1,
        ..Knobs::default()
    })
    .await;
    let keys: Vec<_> = twice
        .iter()
        .map(|one| twilio::parse(&one.body, start()).unwrap().remove(0).key)
        .collect();
    assert_eq!((keys.len(), &keys[0]), (2, &keys[1]));
    let (lost, _) = ring(Knobs {
        lose_kinds: vec!["sms".to_owned()],
        ..Knobs::default()
    })
    .await;
    assert!(lost.is_empty());
    let (forged, _) = ring(Knobs {
        wrong_signature_next: 1,
        ..Knobs::default()
    })
    .await;
    assert_eq!(world.verify(&forged[0]), Err(SignatureError::Mismatch));
    let (cut, _) = ring(Knobs {
        malformed_webhook_next: 1,
        ..Knobs::default()
    })
    .await;
    assert_eq!(world.verify(&cut[0]), Ok(()));
    // A refused webhook is not tried again: the provider has given it up.
    world.receiver.answer_with(&[500]);
    let (refused, drained) = ring(Knobs::default()).await;
    assert_eq!((refused.len(), drained.given_up), (1, 1));
    assert_eq!(world.sandbox.drain(later(100_000)).await.delivered, 0);
}

#[tokio::test]
async fn what_nobody_of_the_sandbox_takes_part_in_is_refused() {
    let world = world().await;
    let mut script = scripted(Ending::Answered);
    script.to = "+12025550198".to_owned();
    let error = world.sandbox.play(&script).unwrap_err();
    assert_eq!(
        error.to_string(),
        "neither `+12025550123` nor `+12025550198` is a number of the sandbox"
    );
}
