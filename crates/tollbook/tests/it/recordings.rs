//! Recordings are copied from the provider, whose links to them expire.

use jiff::SignedDuration;
use tollbook_providers::openphone::Surface;
use tollbook_providers::openphone::sandbox::{Knobs, ScriptedCall};

use crate::support::{Answer, Organization, Phones, TestApp};

const LINE: &str = "+12125550101";
const CALLER: &str = "+13035550100";

/// A recorded call of which the application hears when the provider's links have expired. Nothing is done about it yet.
async fn heard_of_late(surface: Surface) -> (TestApp, Phones, Organization) {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let phones = Phones::start(&app).await;
    phones.workspace("acme", &[LINE]);
    let integration = phones.connect(&app, &acme, "acme", surface).await;
    let began = app.now() - SignedDuration::from_mins(10);
    let call = ScriptedCall {
        is_recorded: true,
        ..ScriptedCall::answered(CALLER, LINE, began, 60)
    };
    phones.sandbox.play(&call).unwrap();
    phones.sandbox.drain(app.now()).await;
    phones
        .sandbox
        .drain(app.now() + SignedDuration::from_hours(2))
        .await;
    app.deliver_all(&phones.caught(integration)).await;
    (app, phones, acme)
}

/// How the recording is: copied, given up, or neither; and how many jobs are left.
async fn state(app: &TestApp) -> (String, i64) {
    let mut tx = app.platform().await;
    sqlx::query_as(
        "select case when object_key is not null then 'copied' when given_up_at is not null then 'given up' else 'missing' end,
             (select count(*) from jobs)
         from recordings",
    )
    .fetch_one(&mut *tx)
    .await
    .unwrap()
}

/// Asks for the sound.
async fn heard(app: &TestApp, acme: &Organization) -> Answer {
    let admin = app.admin(acme).await;
    let list = app.get("/api/recordings").user(&admin).organization(acme);
    let list = list.send().await.expect(200);
    let id = list["data"][0]["id"].as_str().unwrap();
    let path = format!("/api/recordings/{id}/media");
    let ask = app.get(&path).user(&admin).organization(acme);
    ask.send().await
}

#[tokio::test]
async fn a_link_that_has_expired_is_asked_for_anew() {
    for surface in [Surface::V2026, Surface::V1] {
        let (app, _phones, acme) = heard_of_late(surface).await;
        app.settle().await;
        assert_eq!(state(&app).await, ("copied".to_owned(), 0), "{surface:?}");
        let sound = heard(&app, &acme).await;
        assert_eq!(sound.status, 200);
        assert!(sound.text.starts_with("RIFF"), "a sound");
    }
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_asked_again() {
    let (app, phones, _) = heard_of_late(Surface::V2026).await;
    phones.sandbox.set_knobs(Knobs {
        fail_next: 1,
        fail_status: 503,
        ..Knobs::default()
    });
    app.settle().await;
    assert_eq!(state(&app).await, ("missing".to_owned(), 1));
    app.change("update jobs set run_at = clock_timestamp() where state = 'waiting'")
        .await;
    app.settle().await;
    assert_eq!(state(&app).await, ("copied".to_owned(), 0));
}

#[tokio::test]
async fn a_recording_that_the_provider_has_no_more_is_given_up() {
    let (app, phones, acme) = heard_of_late(Surface::V2026).await;
    phones.sandbox.set_knobs(Knobs {
        fail_next: 1,
        fail_status: 404,
        ..Knobs::default()
    });
    app.settle().await;
    assert_eq!(state(&app).await, ("given up".to_owned(), 0));
    let sound = heard(&app, &acme).await;
    assert_eq!(sound.expect(409)["code"], "recording_gone");
}
