//! A year of two organizations and their customers from a seed: calls, messages and reported usage, told late, twice and in
//! any order; subscriptions that begin, change, pause and end; documents that are paid and withdrawn; clocks that change;
//! two nodes that die. Every document is compared to the cent with what the naive account makes of the script.
//!
//! `TOLLBOOK_SIMULATION_SEEDS=200` plays so many years, `TOLLBOOK_SIMULATION_SEED=17` that one.

mod expected;
mod plans;
mod play;
mod provider;
mod script;

use std::fmt::Write as _;

use futures_util::StreamExt as _;

use self::expected::Expected;
use self::play::Play;
use self::script::{Script, What};

/// Years that the suite plays.
const SEEDS: u64 = 2;

/// Usage of which not exactly one revision is in force in its sale.
const NOT_ONCE: &str = "select format('%s %s of %s', u.meter, u.occurred_at, c.name) from usage_events u
    join customers c on c.organization_id = u.organization_id and c.id = u.customer_id
    cross join unnest(array['customer', 'organization']) as p (payer)
    where u.corrects_id is null and 1 <> (select count(distinct g.revision) from charges g
        where g.organization_id = u.organization_id and g.usage_event_id = u.id and g.payer = p.payer and g.reverses_id is null
            and not exists (select from charges r where r.organization_id = g.organization_id and r.reverses_id = g.id))
    and (p.payer = 'customer' or exists (select from subscriptions s where s.organization_id = u.organization_id
        and s.payer = 'organization' and s.starts_at <= u.occurred_at))";
/// Sellers and years whose numbers are not one after the other.
const GAPS: &str =
    "select seller_id::text from invoices where number is not null group by seller_id, number_year
    having max(number_seq) <> count(*) or min(number_seq) <> 1";
/// The numbers that each seller gave at each moment. Which of several documents of one moment got which is not said.
const NUMBERS: &str = "select format('%s %s: %s', coalesce(o.name, 'the platform'), i.finalized_at, string_agg(i.number, ' ' order by i.number))
    from invoices i left join organizations o on o.id = i.seller_id where i.number is not null
    group by o.name, i.finalized_at order by o.name nulls last, i.finalized_at";
/// All that was ever charged.
const CHARGES: &str =
    "select format('%s %s %s', count(*), sum(amount), count(distinct invoice_id)) from charges";

fn seeds() -> Vec<u64> {
    let asked = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|it| it.parse::<u64>().unwrap())
    };
    match (
        asked("TOLLBOOK_SIMULATION_SEED"),
        asked("TOLLBOOK_SIMULATION_SEEDS"),
    ) {
        (Some(seed), _) => vec![seed],
        (None, count) => (0..count.unwrap_or(SEEDS)).collect(),
    }
}

/// What a year came to.
#[derive(PartialEq, Debug)]
struct Year {
    bills: Vec<String>,
    numbers: Vec<String>,
}

/// All documents there are, as `Expected` tells of them.
async fn bills(play: &Play<'_>, script: &Script) -> Vec<String> {
    let mut tx = play.keeper.platform().await;
    let rows: Vec<(String, String, String)> = sqlx::query_as(include_str!("bills.sql"))
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    let mut bills: Vec<String> = rows
        .into_iter()
        .map(|(firm, name, bill)| {
            let is_it = |it: &&script::Payer| {
                let own = if it.is_firm { "itself" } else { &it.name };
                script.firms[it.firm].name == firm && own == name
            };
            let phone = script
                .payers
                .iter()
                .find(is_it)
                .map_or("nobody", |it| it.phone.as_str());
            format!("{firm} {phone}: {bill}")
        })
        .collect();
    bills.sort_unstable();
    bills
}

/// What differs, and everything that happened to the first payer who is concerned.
fn story(script: &Script, expected: &[String], found: &[String]) -> String {
    let missing: Vec<&String> = expected.iter().filter(|it| !found.contains(it)).collect();
    let extra: Vec<&String> = found.iter().filter(|it| !expected.contains(it)).collect();
    let first = missing.iter().chain(&extra).min().unwrap();
    let payer = script
        .payers
        .iter()
        .position(|it| first.contains(&it.phone))
        .unwrap();
    let (of, mut story) = (&script.payers[payer], format!("seed {}\n", script.seed));
    let is_theirs = |it: &&&String| it.contains(&of.phone);
    for bill in missing.iter().filter(is_theirs) {
        writeln!(story, "expected {bill}").unwrap();
    }
    for bill in extra.iter().filter(is_theirs) {
        writeln!(story, "found    {bill}").unwrap();
    }
    let firm = script.firm(payer);
    writeln!(
        story,
        "{} in {}, tax {:?}, grace {}, per call {}",
        of.name, firm.zone, of.tax, firm.grace, firm.is_per_call
    )
    .unwrap();
    for (n, plan) in script.plans(payer).iter().enumerate() {
        writeln!(story, "plan {n}: {}", plan.document).unwrap();
    }
    for step in &script.steps {
        for deed in step
            .deeds
            .iter()
            .filter(|it| it.payer == payer && !matches!(it.what, What::Close))
        {
            writeln!(story, "{} {:?}", step.at, deed.what).unwrap();
        }
    }
    story
}

async fn assert_in_order(play: &Play<'_>, seed: u64) {
    let report = play.keeper.app.verify(|_| {}).await.unwrap();
    let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    assert_eq!(differences, [""; 0], "seed {seed}, {}", play.keeper.now());
    let none = [""; 0];
    assert_eq!(play.keeper.texts(NOT_ONCE).await, none, "seed {seed}");
    assert_eq!(play.keeper.texts(GAPS).await, none, "seed {seed}");
}

/// Plays a year and compares it; what it came to.
async fn year(seed: u64, schedule: u64) -> Year {
    let script = Script::new(seed);
    let (mut play, mut expected) = (Play::new(&script, schedule).await, Expected::new(&script));
    for (n, step) in script.steps.iter().enumerate() {
        play.come_to(step).await;
        expected.come_to(step.at);
        let outcomes = expected.happen(&script, step);
        play.happen(step, &outcomes).await;
        if n % 30 == 29 {
            let (due, found) = (expected.bills(&script), bills(&play, &script).await);
            assert!(due == found, "{}", story(&script, &due, &found));
        }
        if n % 60 == 59 {
            assert_in_order(&play, seed).await;
        }
    }
    let (due, found) = (expected.bills(&script), bills(&play, &script).await);
    assert!(due == found, "{}", story(&script, &due, &found));
    assert_in_order(&play, seed).await;
    let charges = play.keeper.texts(CHARGES).await;
    play.again().await;
    assert_eq!(
        play.keeper.texts(CHARGES).await,
        charges,
        "seed {seed}: what was rated again"
    );
    assert_eq!(
        bills(&play, &script).await,
        found,
        "seed {seed}: what was closed again"
    );
    let numbers = play.keeper.texts(NUMBERS).await;
    eprintln!(
        "seed {seed}: {} steps, {} documents, {} deaths",
        script.steps.len(),
        found.len(),
        play.deaths
    );
    Year {
        bills: found,
        numbers,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_comes_to_the_bills_that_are_expected() {
    futures_util::stream::iter(seeds())
        .for_each_concurrent(2, async |seed| {
            let began = std::time::Instant::now();
            let year = year(seed, seed).await;
            assert!(
                year.bills.len() > 20,
                "seed {seed}: {} documents",
                year.bills.len()
            );
            eprintln!("seed {seed}: {:?}", began.elapsed());
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_year_makes_the_same_documents_whatever_dies() {
    let (one, other) = tokio::join!(year(1_000, 0), year(1_000, 3));
    assert_eq!(one, other);
}
