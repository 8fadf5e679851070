//! The same calls, told in any order, twice, or with gaps, come to the same rows: through the provider's webhooks, the
//! inbox, interpretation and rating.
//!
//! `TOLLBOOK_HISTORIES=calls,orders` plays more of them than the suite does, such as `1000,50`. The suite's one order holds
//! everything, shuffled and with repetitions, on two nodes; every second one has gaps that are closed by asking the
//! provider.

mod traffic;

use std::collections::HashMap;

use futures_util::StreamExt as _;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tollbook_core::ids::IntegrationId;
use tollbook_providers::openphone::Surface;
use uuid::Uuid;

use self::traffic::KEYS;
use crate::support::{Organization, Phones, Posted, TestApp};

/// Which webhooks may get lost: what they tell can be asked for.
const COURSE: [&str; 5] = [
    "call.ringing",
    "call.answered",
    "call.completed",
    "call.missed",
    "call.forwarded",
];

/// An installation that the calls come to.
struct Place {
    app: TestApp,
    integrations: [IntegrationId; 2],
}

impl Place {
    async fn new(app: TestApp, phones: &Phones, workspaces: &[traffic::Workspace]) -> Self {
        let acme = app.organization("Acme").await;
        app.sell_per_call(&acme).await;
        let mut integrations = Vec::new();
        for (key, surface) in KEYS.iter().zip([Surface::V2026, Surface::V1]) {
            integrations.push(phones.connect(&app, &acme, key, surface).await);
        }
        for workspace in workspaces {
            for sid in &workspace.seeded.user_sids {
                let user = app.member(&acme).await;
                app.link_user(&acme, user.id.uuid(), sid).await;
                assign(&app, &acme, user.id.uuid(), workspace.lines).await;
            }
        }
        let integrations = integrations.try_into().unwrap();
        Self { app, integrations }
    }

    /// Everything that was sent to this installation, account by account.
    fn caught(&self, phones: &Phones) -> Vec<Posted> {
        self.integrations
            .iter()
            .flat_map(|id| phones.caught(*id))
            .collect()
    }

    /// Lets everything that has come take effect, what has to be asked for included.
    async fn settle(&self) {
        let waiting = "select (select count(*) from inbox_queue) + (select count(*) from rating_queue) + (select count(*) from jobs)
            + (select count(*) from calls where check_at <= '2026-03-02T15:00:00Z')";
        self.app
            .eventually("all is taken in and rated", async || {
                self.app.app.settle().await.unwrap();
                self.app.count(waiting).await == 0
            })
            .await;
    }

    async fn dump(&self) -> Vec<String> {
        let mut tx = self.app.platform().await;
        let lines: Vec<String> = sqlx::query_scalar(include_str!("dump.sql"))
            .fetch_all(&mut *tx)
            .await
            .unwrap();
        lines
    }

    /// The timeline of every call.
    async fn timelines(&self) -> Vec<String> {
        let mut tx = self.app.platform().await;
        sqlx::query_scalar(
            "select concat_ws(' | ', c.conversation_sid, e.occurred_at, e.kind, i.event_key is not null)
             from call_events e
             join call_legs l on l.organization_id = e.organization_id and l.id = e.leg_id
             join calls c on c.organization_id = l.organization_id and c.id = l.call_id
             left join inbox i on i.id = e.inbox_id
             where e.kind <> 'fetched'
             order by 1",
        )
        .fetch_all(&mut *tx)
        .await
        .unwrap()
    }
}

async fn assign(app: &TestApp, acme: &Organization, user: Uuid, lines: &[&str]) {
    let mut tx = app.platform().await;
    sqlx::query(
        "insert into assignments (organization_id, id, phone_number_id, user_id, starts_at)
         select $1, gen_random_uuid(), id, $2, '2026-01-01' from phone_numbers where e164 = any ($3)",
    )
    .bind(acme.id.uuid())
    .bind(user)
    .bind(lines)
    .execute(&mut *tx)
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

/// Another order, with some of them twice.
fn shuffled(posted: &[Posted], rng: &mut ChaCha8Rng) -> Vec<Posted> {
    let mut all = posted.to_vec();
    let again = posted.iter().filter(|_| rng.random_bool(0.2));
    all.extend(again.cloned().collect::<Vec<_>>());
    all.shuffle(rng);
    all
}

/// Loses some of what is told of the course of calls, but never the last word about one.
fn with_gaps(posted: &[Posted], rng: &mut ChaCha8Rng) -> Vec<Posted> {
    let is_course = |one: &Posted| COURSE.contains(&one.kind().as_str());
    let mut left: HashMap<String, usize> = HashMap::new();
    for one in posted.iter().filter(|one| is_course(one)) {
        *left.entry(one.subject()).or_default() += 1;
    }
    let mut kept = Vec::new();
    for one in posted {
        if is_course(one) && rng.random_bool(0.3) {
            let left = left.get_mut(&one.subject()).unwrap();
            if *left > 1 {
                *left -= 1;
                continue;
            }
        }
        kept.push(one.clone());
    }
    kept
}

#[track_caller]
fn assert_same(what: &str, expected: &[String], found: &[String]) {
    let missing = expected
        .iter()
        .filter(|line| !found.contains(line))
        .take(12);
    let extra = found
        .iter()
        .filter(|line| !expected.contains(line))
        .take(12);
    let missing: Vec<&String> = missing.collect();
    let extra: Vec<&String> = extra.collect();
    assert!(
        expected == found,
        "{what}\nmissing: {missing:#?}\nextra: {extra:#?}"
    );
}

fn size() -> (usize, usize) {
    let text = std::env::var("TOLLBOOK_HISTORIES").unwrap_or_else(|_| "30,1".to_owned());
    let (calls, orders) = text.split_once(',').unwrap();
    (calls.parse().unwrap(), orders.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_told_in_any_order_come_to_the_same_rows() {
    let (calls, orders) = size();
    let first = TestApp::start().await;
    let phones = Phones::start(&first).await;
    let workspaces = traffic::workspaces(&phones);
    let reference = Place::new(first, &phones, &workspaces).await;
    let mut places = Vec::new();
    for _ in 0..orders {
        places.push(Place::new(TestApp::start().await, &phones, &workspaces).await);
    }
    let now = reference.app.now();
    let truth = traffic::play(&phones, &workspaces, calls, now);
    let drained = phones.sandbox.drain(now).await;
    assert_eq!((drained.refused, drained.given_up), (0, 0));

    for posted in reference.caught(&phones) {
        assert_eq!(reference.app.redeliver(&posted).await, 204);
    }
    reference.settle().await;
    let (expected, timelines) = (reference.dump().await, reference.timelines().await);
    let facts = reference
        .app
        .count("select count(*) from calls where merged_into_id is null")
        .await;
    assert_eq!(facts, truth.calls, "conversations");
    let seconds = reference
        .app
        .count("select sum(billable_seconds)::bigint from calls where merged_into_id is null")
        .await;
    assert_eq!(seconds, truth.talked_seconds, "time talked");

    let check = async |(number, place): (usize, Place)| {
        let mut rng = ChaCha8Rng::seed_from_u64(number.try_into().unwrap());
        let sent = place.caught(&phones);
        let (is_whole, sent) = match number % 2 {
            0 => (true, shuffled(&sent, &mut rng)),
            _ => (false, shuffled(&with_gaps(&sent, &mut rng), &mut rng)),
        };
        if number == 0 {
            // To two nodes on one database, each with interpreters of its own.
            let other = place.app.beside().await;
            let (first, second) = sent.split_at(sent.len() / 2);
            futures_util::join!(place.app.deliver_all(first), other.deliver_all(second));
            place.settle().await;
        } else {
            place.app.deliver_all(&sent).await;
            place.settle().await;
        }
        assert_same(&format!("order {number}"), &expected, &place.dump().await);
        if is_whole {
            assert_same(
                &format!("timelines of order {number}"),
                &timelines,
                &place.timelines().await,
            );
        }
    };
    futures_util::stream::iter(places.into_iter().enumerate())
        .for_each_concurrent(2, check)
        .await;
}
