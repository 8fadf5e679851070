//! The same calls, told in any order, twice, or with gaps, come to the same rows: through the provider's webhooks, the
//! inbox, interpretation and rating.
//!
//! `TOLLBOOK_HISTORIES=calls,orders` plays more of them than the suite does, such as `1000,50`. Every order is shuffled and
//! has repetitions. The first one holds everything, and comes to two nodes; all others have gaps, which are closed by
//! asking the provider.

mod traffic;

use std::collections::{HashMap, HashSet};

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
}

/// An installation that nothing has come to yet: each order gets a copy of it.
struct Scene {
    app: TestApp,
    phones: Phones,
    workspaces: Vec<traffic::Workspace>,
    integrations: [IntegrationId; 2],
}

impl Scene {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let phones = Phones::start(&app).await;
        let workspaces = traffic::workspaces(&phones);
        let acme = app.organization("Acme").await;
        app.sell_per_call(&acme).await;
        let mut integrations = Vec::new();
        for (key, surface) in KEYS.iter().zip([Surface::V2026, Surface::V1]) {
            integrations.push(phones.connect(&app, &acme, key, surface).await);
        }
        for workspace in &workspaces {
            for sid in &workspace.seeded.user_sids {
                let user = app.member(&acme).await;
                app.link_user(&acme, user.id.uuid(), sid).await;
                assign(&app, &acme, user.id.uuid(), workspace.lines).await;
            }
        }
        let integrations = integrations.try_into().unwrap();
        Self {
            app,
            phones,
            workspaces,
            integrations,
        }
    }

    /// Lets the calls happen; returns what the provider tells of them, account by account.
    async fn play(&self, calls: usize) -> (traffic::Truth, Vec<Posted>) {
        let now = self.app.now();
        let truth = traffic::play(&self.phones, &self.workspaces, calls, now);
        let drained = self.phones.sandbox.drain(now).await;
        assert_eq!((drained.refused, drained.given_up), (0, 0));
        let accounts = self.integrations.iter();
        let posted = accounts.flat_map(|id| self.phones.caught(*id)).collect();
        (truth, posted)
    }
}

impl Place {
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

    /// What is derived agrees with what it is derived from.
    async fn assert_clean(&self) {
        let report = self.app.app.verify(|_| {}).await.unwrap();
        let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
        assert_eq!(differences, Vec::<String>::new());
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
///
/// And never the last word about who answered, if another one before it stays: version 2026-03-30 tells that in
/// `call.answered` alone and not in `call.completed`, so nothing says then that there is something to ask for.
fn with_gaps(posted: &[Posted], rng: &mut ChaCha8Rng) -> Vec<Posted> {
    let is_course = |one: &Posted| COURSE.contains(&one.kind().as_str());
    let mut left: HashMap<String, usize> = HashMap::new();
    for one in posted.iter().filter(|one| is_course(one)) {
        *left.entry(one.subject()).or_default() += 1;
    }
    let mut kept = Vec::new();
    let mut answered: HashSet<String> = HashSet::new();
    for one in posted {
        let subject = one.subject();
        let is_answer = one.kind() == "call.answered";
        if is_course(one) && rng.random_bool(0.3) && !(is_answer && answered.contains(&subject)) {
            let left = left.get_mut(&subject).unwrap();
            if *left > 1 {
                *left -= 1;
                continue;
            }
        }
        if is_answer {
            answered.insert(subject);
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
    let text = std::env::var("TOLLBOOK_HISTORIES").unwrap_or_else(|_| "30,2".to_owned());
    let (calls, orders) = text.split_once(',').unwrap();
    (calls.parse().unwrap(), orders.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_told_in_any_order_come_to_the_same_rows() {
    let (calls, orders) = size();
    let mut scene = Scene::new().await;
    let (truth, posted) = scene.play(calls).await;
    scene.app.close().await;

    let reference = Place {
        app: scene.app.copy().await,
    };
    for posted in &posted {
        assert_eq!(reference.app.redeliver(posted).await, 204);
    }
    reference.settle().await;
    let (expected, timelines) = (reference.dump().await, reference.timelines().await);
    reference.assert_clean().await;
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

    let check = async |number: usize| {
        let place = Place {
            app: scene.app.copy().await,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(number.try_into().unwrap());
        if number == 0 {
            // To two nodes on one database, each with interpreters of its own.
            let sent = shuffled(&posted, &mut rng);
            let other = place.app.beside().await;
            let (first, second) = sent.split_at(sent.len() / 2);
            futures_util::join!(place.app.deliver_all(first), other.deliver_all(second));
        } else {
            let sent = shuffled(&with_gaps(&posted, &mut rng), &mut rng);
            place.app.deliver_all(&sent).await;
        }
        place.settle().await;
        assert_same(&format!("order {number}"), &expected, &place.dump().await);
        place.assert_clean().await;
        if number == 0 {
            assert_same("timelines", &timelines, &place.timelines().await);
        }
    };
    futures_util::stream::iter(0..orders)
        .for_each_concurrent(2, check)
        .await;
}
