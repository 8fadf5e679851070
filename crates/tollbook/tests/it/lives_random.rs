//! Lives of subscriptions by chance: whatever is done, the fees are those that counting days gives, usage is what a fresh
//! rating says, and one plan comes to what `tollbook rate` says of the same history.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tollbook::BillingRun;

use crate::lives::Sold;
use crate::support::desk::{Desk, calls};
use crate::support::{NewUsage, at, per_minute};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const RUN: BillingRun = BillingRun {
    until: None,
    organization: None,
    is_trial: false,
};
/// What is in force of the subscription, by period and line.
const LINES: &str = "select format('%s %s %s %s', to_char(p.starts_at at time zone 'UTC', 'YYYY-MM-DD'),
        case c.kind when 'fee' then 'base/fee' when 'commitment' then 'commitment' else c.price_key || '/' || c.kind end,
        trim_scale(sum(c.quantity)), to_char(round(sum(c.amount), 2), 'FM999990.00'))
    from charges c join billing_periods p on p.subscription_id = c.subscription_id and p.starts_at <= c.occurred_at and c.occurred_at < p.ends_at
    where c.kind <> 'not_charged' and p.starts_at < '2026-07-01'
    group by p.starts_at, c.kind, c.price_key having sum(c.quantity) <> 0";

/// The state of everything that money depends on.
const EVERYTHING: &str = "select format('%s %s %s %s', to_char(occurred_at, 'YYYY-MM-DD HH24:MI:SS'), kind, quantity, amount) from charges
    where reverses_id is null and not exists (select from charges r where r.reverses_id = charges.id)
    union all select format('%s %s %s', number, state, total_minor) from invoices where state <> 'draft'
    union all select format('%s %s %s', granted, used, forfeited) from allowance_grants
    order by 1";

async fn get_on(sold: &Sold, random: &mut StdRng, hours_max: i64) {
    sold.app
        .advance(HOUR * i32::try_from(random.random_range(1..=hours_max)).unwrap());
    sold.app.settle().await;
}

/// Everything is rated and billed again, and nothing changes.
async fn assert_settled(sold: &Sold) {
    sold.app.assert_clean().await;
    let before = sold.app.texts(EVERYTHING).await;
    sold.app.queue_again(&sold.firm.acme).await;
    for _ in 0..2 {
        sold.app.app.billing_run(RUN, |_| {}).await.unwrap();
        sold.app.settle().await;
        assert_eq!(sold.app.texts(EVERYTHING).await, before);
    }
    sold.app.assert_clean().await;
}

fn capped() -> Value {
    per_minute(
        "Basic",
        "0.10",
        &json!({"baseFee": "31.40", "minimumCommitment": 12, "allowances": [{"key": "time", "meters": ["CALL_DURATION_SECONDS"],
            "quantity": 1800, "rollover": {"cycles": 2, "cap": 1500}}]}),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pauses_and_what_is_carried_come_to_what_the_command_says() {
    for seed in 0..2 {
        let mut random = StdRng::seed_from_u64(seed);
        let sold = Sold::with(&capped()).await;
        // Documents wait for what comes late: the command knows no late usage.
        sold.app
            .change("update organizations set invoice_grace = '3 days'; update invoices set finalize_at = period_end + interval '3 days' where kind = 'period'")
            .await;
        let mut pauses: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
        let mut called: Vec<(Timestamp, i64)> = Vec::new();
        while sold.app.now() < at("2026-06-30T18:00:00Z") {
            get_on(&sold, &mut random, 40).await;
            let now = sold.app.now();
            let is_paused = pauses.last().is_some_and(|(_, end)| end.is_none());
            if is_paused && random.random_bool(0.15) {
                sold.act("resume", &json!({})).await;
                pauses.last_mut().unwrap().1 = Some(now);
            } else if !is_paused && random.random_bool(0.06) {
                sold.act("pause", &json!({})).await;
                pauses.push((now, None));
            }
            // Calls of the last day and a half, in any order: some come when the next month has begun.
            for _ in 0..random.random_range(0..3) {
                let at = now - SignedDuration::from_secs(random.random_range(1..36 * 3600));
                let is_out = pauses
                    .iter()
                    .any(|(from, to)| *from <= at && to.is_none_or(|to| at < to));
                if at < self::at("2026-03-01T00:00:00Z")
                    || is_out
                    || called.iter().any(|(other, _)| *other == at)
                {
                    continue;
                }
                let seconds = random.random_range(1..900);
                called.push((at, seconds));
                let usage = NewUsage::call(sold.firm.dana, seconds, at);
                sold.app.record(&sold.firm.acme, &[usage]).await;
            }
        }
        sold.app
            .advance(at("2026-07-06T00:00:00Z").duration_since(sold.app.now()));
        sold.app.settle().await;
        assert_settled(&sold).await;
        called.sort_unstable();
        let mut plan = capped();
        plan.as_object_mut().unwrap().remove("name");
        let stretch = |(from, to): &(Timestamp, Option<Timestamp>)| match to {
            Some(to) => json!({"startsAt": from, "endsAt": to}),
            None => json!({"startsAt": from}),
        };
        let account = json!({"zone": "UTC", "subscription": {"startsAt": "2026-03-01T00:00:00Z",
            "pauses": pauses.iter().map(stretch).collect::<Vec<_>>()}});
        let rows: Vec<String> = (1..)
            .zip(&called)
            .map(|(id, (at, seconds))| format!("{id},,,{at},{seconds}"))
            .collect();
        let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
        let desk = Desk::new(&[
            ("plan.json", &plan.to_string()),
            ("account.json", &account.to_string()),
            ("calls.csv", &calls(&rows)),
        ]);
        let printed = desk.json("--plan plan.json --calls calls.csv --account account.json");
        let mut expected = Vec::new();
        for period in printed["periods"].as_array().unwrap() {
            let start = &period["start"].as_str().unwrap()[..10];
            let mut lines: Vec<String> = period["lines"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| {
                    let of = |field: &str| line[field].as_str().unwrap();
                    let quantity: Decimal = of("quantity").parse().unwrap();
                    format!(
                        "{start} {} {} {}",
                        of("line"),
                        quantity.normalize(),
                        of("amount")
                    )
                })
                .collect();
            if let Some(amount) = period["commitment"]["amount"].as_str() {
                lines.push(format!("{start} commitment 1 {amount}"));
            }
            lines.sort_unstable();
            expected.extend(lines);
        }
        assert!(expected.len() > 8, "{expected:?}");
        let mut found = sold.app.texts(LINES).await;
        found.sort_unstable();
        // The command ends with the last call's period.
        let last = printed["periods"].as_array().unwrap().last().unwrap()["start"]
            .as_str()
            .unwrap()[..10]
            .to_owned();
        found.retain(|line| line[..10] <= last[..]);
        assert_eq!(found, expected, "seed {seed}");
    }
}

/// A stretch of the history, with the monthly fee if it is of a plan.
type Stretch = (Timestamp, Timestamp, Decimal);

/// What counting days says of the base fee of each period: a day belongs to what it ends in.
async fn naive_fees(sold: &Sold) -> Vec<String> {
    let stretches = async |query: &'static str| -> Vec<Stretch> {
        let mut tx = sold.app.platform().await;
        let rows: Vec<(jiff_sqlx::Timestamp, jiff_sqlx::Timestamp, Decimal)> =
            sqlx::query_as(query).fetch_all(&mut *tx).await.unwrap();
        let rows = rows.into_iter();
        rows.map(|(from, to, fee)| (from.to_jiff(), to.to_jiff(), fee))
            .collect()
    };
    let plans = stretches(
        "select g.starts_at, least(g.ends_at, '2100-01-01'::timestamptz), (v.document ->> 'baseFee')::numeric
         from subscription_segments g join plan_versions v on v.id = g.plan_version_id",
    )
    .await;
    let pauses = stretches(
        "select starts_at, coalesce(ends_at, '2100-01-01'::timestamptz), 0::numeric from subscription_pauses",
    )
    .await;
    let lives = stretches(
        "select coalesce(trial_ends_at, starts_at), coalesce(ends_at, '2100-01-01'::timestamptz), 0::numeric from subscriptions",
    )
    .await;
    let periods =
        stretches("select starts_at, ends_at, 0::numeric from billing_periods order by starts_at")
            .await;
    let holds = |of: &[Stretch], at: Timestamp| {
        of.iter()
            .find(|(from, to, _)| *from <= at && at < *to)
            .map(|it| it.2)
    };
    let mut fees = Vec::new();
    for (start, _, _) in periods {
        let first: Date = start
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            .first_of_month();
        let days = i64::from(first.days_in_month());
        let mut sum = Decimal::ZERO;
        for day in 1..=days {
            let midnight = first.checked_add(day.days()).unwrap();
            let midnight = midnight
                .to_zoned(jiff::tz::TimeZone::UTC)
                .unwrap()
                .timestamp();
            let end = midnight - SignedDuration::from_micros(1);
            if holds(&lives, end).is_some() && holds(&pauses, end).is_none() {
                sum += holds(&plans, end).unwrap() / Decimal::from(days);
            }
        }
        fees.push(format!("{} {}", first, sum.round_dp(9).normalize()));
    }
    fees
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_the_fees_are_those_of_the_days() {
    let fees = "select format('%s %s', to_char(p.starts_at at time zone 'UTC', 'YYYY-MM-DD'), trim_scale(round(coalesce(sum(c.amount), 0), 9)))
        from billing_periods p left join charges c on c.period_id = p.id and c.kind = 'fee' group by p.starts_at order by p.starts_at";
    let (mut done, mut refused) = (0, 0);
    for seed in 0..2 {
        let mut random = StdRng::seed_from_u64(seed);
        let allowance = |quantity: u32| json!({"key": "time", "meters": ["CALL_DURATION_SECONDS"], "quantity": quantity, "rollover": {"cycles": 1, "cap": 500}});
        let plan = |name: &str, fee: &str, price: &str, quantity: u32| {
            per_minute(
                name,
                price,
                &json!({"baseFee": fee, "trialDays": 3, "allowances": [allowance(quantity)]}),
            )
        };
        let sold = Sold::with(&plan("Basic", "31", "0.10", 600)).await;
        let mut plans = Vec::new();
        for (name, fee, price, quantity) in [
            ("Plus", "62.50", "0.05", 1500),
            ("Free", "0", "0.30", 60),
            ("Pro", "100", "0.01", 3000),
        ] {
            let plan = plan(name, fee, price, quantity);
            plans.push(
                sold.app
                    .plan(&sold.firm.admin, &sold.firm.acme, &plan)
                    .await,
            );
        }
        for _ in 0..40 {
            get_on(&sold, &mut random, 60).await;
            let now = sold.app.now();
            let moment = match random.random_range(0..6) {
                0 | 1 => json!("now"),
                2 => json!("period_end"),
                3 => json!(now + HOUR * random.random_range(1..300)),
                _ => json!(now - HOUR * random.random_range(1..120)),
            };
            let plan = plans[random.random_range(0..plans.len())];
            let (act, body) = match random.random_range(0..16) {
                0..=4 => ("change-plan", json!({"planId": plan, "at": moment})),
                5..=7 => ("pause", json!({"at": moment})),
                8 => (
                    "pause",
                    json!({"at": moment, "until": now + HOUR * random.random_range(1..400)}),
                ),
                9..=12 => ("resume", json!({"at": moment})),
                13 => ("renewal", json!({"autoRenew": random.random_bool(0.6)})),
                _ => ("cancel", json!({"at": "period_end"})),
            };
            let path = format!("/api/admin/org-subscriptions/{}/{act}", sold.id);
            let answer = sold.app.posted(&sold.firm, &path, &body).await;
            match answer.status {
                200 => done += 1,
                409 | 422 => refused += 1,
                other => panic!("seed {seed}: {act} {body}: {other}"),
            }
            let seconds = random.random_range(1..600);
            let late = SignedDuration::from_secs(random.random_range(1..100 * 3600));
            let usage = NewUsage::call(
                sold.firm.dana,
                seconds,
                (now - late).max(at("2026-03-01T00:00:00Z")),
            );
            sold.app.record(&sold.firm.acme, &[usage]).await;
            sold.app.settle().await;
            assert_eq!(
                sold.app.texts(fees).await,
                naive_fees(&sold).await,
                "seed {seed}: {act} {body}"
            );
        }
        assert_settled(&sold).await;
    }
    assert!(done > 20 && refused > 5, "{done} done, {refused} refused");
}
