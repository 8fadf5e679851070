//! Workers share the queues: what one of them holds keeps no other from the rest, and a call that rings waits for none.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use rustix::process::{Pid, getpriority_process};

use crate::support::{Incoming, NewUsage, TestApp};

/// Lanes that one worker takes at a time.
const OF_ONE: usize = 32;

async fn lanes(app: &TestApp) -> Vec<i16> {
    let mut tx = app.platform().await;
    sqlx::query_scalar(
        "select lane from rating_queue where parked_at is null group by lane order by min(seq)",
    )
    .fetch_all(&mut *tx)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_worker_finds_the_lanes_that_another_has_left() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let mut usages = Vec::new();
    for number in 0..150 {
        let customer = app.customer(&acme, &format!("Customer {number}")).await;
        let at = app.now() - SignedDuration::from_mins(number);
        usages.push(NewUsage::call(customer, 60, at));
    }
    app.record(&acme, &usages).await;
    let oldest = lanes(&app).await;
    assert!(oldest.len() > OF_ONE, "{} lanes", oldest.len());
    let held: BTreeSet<i16> = oldest.into_iter().take(OF_ONE).collect();

    // Another worker is at those that wait longest, and will be for a while.
    let mut other = app.platform().await;
    for lane in &held {
        sqlx::query("select pg_advisory_xact_lock(8243003, $1)")
            .bind(i32::from(*lane))
            .execute(&mut *other)
            .await
            .unwrap();
    }
    let node = app.beside().await;
    node.eventually("the other lanes are rated", async || {
        lanes(&node).await.into_iter().collect::<BTreeSet<_>>() == held
    })
    .await;

    other.rollback().await.unwrap();
    app.settle().await;
    assert_eq!(lanes(&app).await, Vec::<i16>::new());
}

/// The priorities of the sessions of a test's database: higher ones give way to lower ones.
async fn priorities(app: &TestApp) -> BTreeSet<i32> {
    let mut tx = app.platform().await;
    let processes: Vec<i32> =
        sqlx::query_scalar("select pid from pg_stat_activity where datname = current_database()")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    let priority = |process: &i32| getpriority_process(Pid::from_raw(*process)).unwrap();
    processes.iter().map(priority).collect()
}

#[tokio::test]
async fn what_rates_gives_way_to_what_people_wait_for() {
    let app = TestApp::quiet().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let line = app.line(&acme, &admin, "+12125550142").await;
    let customer = app.customer(&acme, "Customer").await;
    let (sid, from, at) = ("AC-rings", "+12125550180", app.now());
    let call = Incoming { sid, from, at };
    app.deliver(&line, &call.ringing(&line)).await.expect(204);
    let people = priorities(&app).await;
    assert_eq!(people.len(), 1, "{people:?}");

    app.record(&acme, &[NewUsage::call(customer, 60, app.now())])
        .await;
    app.settle().await;
    let lowest = people.last().unwrap() + 8;
    assert_eq!(priorities(&app).await.last(), Some(&lowest));
    assert_eq!(priorities(&app).await.first(), people.first());
}

/// Interpreters that wait for somebody's persons.
const BLOCKED: &str = "select count(*) from pg_locks l join pg_database d on d.oid = l.database
    where d.datname = current_database() and l.locktype = 'advisory' and not l.granted";

#[tokio::test]
async fn a_call_that_rings_is_seen_while_all_else_is_held_up() {
    let app = TestApp::start().await;
    let acme = app.organization("Acme").await;
    let admin = app.admin(&acme).await;
    let line = app.line(&acme, &admin, "+12125550142").await;
    let at = app.now();
    let ended = [
        "+12125550180",
        "+12125550181",
        "+12125550182",
        "+12125550183",
    ];
    let mut other = app.platform().await;
    for from in ended {
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1::text || $2, 0))")
            .bind(acme.id.uuid())
            .bind(from)
            .execute(&mut *other)
            .await
            .unwrap();
    }
    let tell = async |ended: &[&str]| {
        for from in ended {
            let sid = format!("AC-ended-{from}");
            let call = Incoming {
                sid: &sid,
                from,
                at,
            };
            app.deliver(&line, &call.missed(&line)).await.expect(204);
        }
    };
    // Several for the second, since one may be in the lane of the first.
    tell(&ended[..1]).await;
    app.eventually("one is held up", async || app.count(BLOCKED).await == 1)
        .await;
    tell(&ended[1..]).await;
    app.eventually("both are held up", async || app.count(BLOCKED).await == 2)
        .await;
    for n in 0..6 {
        let (sid, from) = (format!("AC-rings-{n}"), format!("+1212555019{n}"));
        let (sid, from) = (&*sid, &*from);
        let call = Incoming { sid, from, at };
        app.deliver(&line, &call.ringing(&line)).await.expect(204);
    }
    app.eventually("phones ring", async || {
        app.count("select count(*) from calls where state = 'ringing'")
            .await
            > 0
    })
    .await;
    assert_eq!(app.count(BLOCKED).await, 2);
    other.rollback().await.unwrap();
    app.settle().await;
    assert_eq!(app.count("select count(*) from calls").await, 10);
}
