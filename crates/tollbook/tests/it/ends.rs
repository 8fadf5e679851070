//! Calls of which something never comes: the provider is asked, over HTTP; after a day without a word they are given up.

use jiff::SignedDuration;
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::{Knobs, ScriptedCall};

use crate::support::{Organization, Phones, TestApp};

const LINE: &str = "+12125550101";
const CALLER: &str = "+13035550100";

async fn connected(surface: Surface) -> (TestApp, Phones, Organization) {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    app.sell_per_call(&acme).await;
    let phones = Phones::start(&app).await;
    phones.workspace("acme", &[LINE]);
    phones.connect_straight(&app, &acme, "acme", surface).await;
    (app, phones, acme)
}

/// State, seconds, whether it was given up, what was recorded of it, and what is charged.
async fn facts(app: &TestApp) -> String {
    let mut tx = app.platform().await;
    sqlx::query_scalar(
        "select concat_ws(' ', state, outcome, billable_seconds, case when swept_at is not null then 'swept' end,
             (select sum(quantity)::bigint || ' recorded' from usage_events where meter = 'CALL_DURATION_SECONDS'),
             (select trim_scale(sum(amount)) || ' charged' from charges where kind = 'usage'))
         from calls where merged_into_id is null",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap()
}

/// Lets everything take effect; jobs that wait before their next try are tried now.
async fn settle(app: &TestApp) {
    app.eventually("nothing is left to do", async || {
        app.change("update jobs set run_at = clock_timestamp() where state = 'waiting'")
            .await;
        app.app.settle().await.unwrap();
        app.count("select (select count(*) from jobs) + (select count(*) from inbox_queue)")
            .await
            == 0
    })
    .await;
}

#[tokio::test]
async fn an_end_that_was_never_told_is_asked_for() {
    for surface in [Surface::V2026, Surface::V1] {
        let (app, phones, _) = connected(surface).await;
        let lost = ["call.completed", "call.recording.completed"].map(str::to_owned);
        phones.sandbox.set_knobs(Knobs {
            lose_kinds: lost.into(),
            ..Knobs::default()
        });
        let call = ScriptedCall {
            is_recorded: true,
            ..ScriptedCall::answered(CALLER, LINE, app.now(), 90)
        };
        phones.sandbox.play(&call).unwrap();
        app.advance(SignedDuration::from_secs(110));
        phones.sandbox.drain(app.now()).await;
        settle(&app).await;
        let before = facts(&app).await;
        assert!(
            before.starts_with("in_progress 0") || before.starts_with("ringing 0"),
            "{before}"
        );
        // Meanwhile it is over, and the recording is made.
        let later = app.now() + SignedDuration::from_mins(20);
        let drained = phones.sandbox.drain(later).await;
        assert_eq!(drained.delivered, 0, "nothing is told of it");
        app.advance(SignedDuration::from_mins(20));
        settle(&app).await;
        assert_eq!(
            facts(&app).await,
            "ended answered 90 90 recorded 2.925 charged"
        );
        assert_eq!(
            app.count("select count(*) from call_events where kind = 'fetched'")
                .await,
            1
        );
        assert_eq!(
            app.count("select count(*) from recordings").await,
            1,
            "what goes with it comes with it"
        );
        // Nothing more is asked.
        app.advance(SignedDuration::from_hours(30));
        settle(&app).await;
        assert_eq!(
            facts(&app).await,
            "ended answered 90 90 recorded 2.925 charged"
        );
        assert_eq!(
            app.count("select count(*) from call_events where kind = 'fetched'")
                .await,
            1
        );
    }
}

#[tokio::test]
async fn a_provider_that_fails_delays_and_loses_nothing() {
    let (app, phones, _) = connected(Surface::V2026).await;
    phones.sandbox.set_knobs(Knobs {
        lose_kinds: vec!["call.completed".to_owned()],
        ..Knobs::default()
    });
    phones
        .sandbox
        .play(&ScriptedCall::answered(CALLER, LINE, app.now(), 90))
        .unwrap();
    app.advance(SignedDuration::from_secs(110));
    phones.sandbox.drain(app.now()).await;
    settle(&app).await;
    app.advance(SignedDuration::from_mins(20));
    let fault = |knobs: Knobs| phones.sandbox.set_knobs(knobs);
    for knobs in [
        Knobs {
            fail_next: 1,
            fail_status: 503,
            ..Knobs::default()
        },
        Knobs {
            rate_limit_next: 1,
            retry_after_seconds: 30,
            ..Knobs::default()
        },
        Knobs {
            lose_answer_next: 1,
            ..Knobs::default()
        },
        Knobs {
            malformed_answer_next: 1,
            ..Knobs::default()
        },
    ] {
        fault(knobs.clone());
        // One try, in vain.
        app.change("update jobs set run_at = clock_timestamp()")
            .await;
        app.app.settle().await.unwrap();
        app.eventually("the job waits again", async || {
            app.app.settle().await.unwrap();
            app.count("select count(*) from jobs where kind = 'fetch_call' and state = 'waiting' and last_error is not null").await == 1
        })
        .await;
        let still = facts(&app).await;
        assert!(
            still.starts_with("in_progress 0"),
            "{still} after {knobs:?}"
        );
    }
    settle(&app).await;
    assert_eq!(
        facts(&app).await,
        "ended answered 90 90 recorded 2.925 charged"
    );
}

#[tokio::test]
async fn a_call_without_an_end_is_given_up_after_a_day_and_billed_when_the_end_comes() {
    let (app, phones, _) = connected(Surface::V2026).await;
    let start = app.now();
    let sids = phones.sandbox.start_call(CALLER, LINE, start).unwrap();
    phones
        .sandbox
        .answer_call(&sids[0], None, start + SignedDuration::from_secs(5));
    app.advance(SignedDuration::from_secs(10));
    phones.sandbox.drain(app.now()).await;
    settle(&app).await;
    assert_eq!(facts(&app).await, "in_progress 0");
    app.advance(SignedDuration::from_hours(3));
    settle(&app).await;
    assert_eq!(
        facts(&app).await,
        "in_progress 0",
        "the provider says that it goes on"
    );
    app.advance(SignedDuration::from_hours(30));
    settle(&app).await;
    assert_eq!(
        facts(&app).await,
        "ended answered 0 swept",
        "nobody pays for time that nobody measured"
    );
    assert_eq!(
        app.count("select count(*) from call_events where kind = 'given_up'")
            .await,
        1
    );
    assert_eq!(
        app.count("select count(*) from calls where check_at is not null")
            .await,
        0
    );
    // The provider has the last word.
    phones
        .sandbox
        .end_call(&sids[0], start + SignedDuration::from_secs(65));
    phones.sandbox.drain(app.now()).await;
    settle(&app).await;
    assert_eq!(
        facts(&app).await,
        "ended answered 60 swept 60 recorded 1.95 charged"
    );
}

#[tokio::test]
async fn a_part_that_comes_before_its_call_waits_for_it() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let phones = Phones::start(&app).await;
    phones.workspace("acme", &[LINE]);
    let integration = phones.connect(&app, &acme, "acme", Surface::V2026).await;
    let call = ScriptedCall {
        is_recorded: true,
        summary: vec!["A short call.".to_owned()],
        ..ScriptedCall::answered(CALLER, LINE, app.now(), 30)
    };
    phones.sandbox.play(&call).unwrap();
    phones
        .sandbox
        .drain(app.now() + SignedDuration::from_mins(4))
        .await;
    let posted = phones.caught(integration);
    let (parts, course): (Vec<_>, Vec<_>) = posted
        .into_iter()
        .partition(|it| it.kind() == "call.summary.completed");
    assert_eq!(parts.len(), 1);
    app.deliver_all(&parts).await;
    app.eventually("it waits", async || {
        app.count("select count(*) from inbox_queue where waits_for is not null and attempts > 0")
            .await
            == 1
    })
    .await;
    app.deliver_all(&course).await;
    app.eventually("the call brought it in", async || {
        app.count("select count(*) from transcripts").await == 1
    })
    .await;
    settle(&app).await;
}
