//! The billing run: the next period of every subscription with its fee and grants, and a document with three lines for
//! the last one. Beside it the same rows, inserted by statements over whole sets, under the same constraints. Run by
//! `cargo xtask bench billing`; `TOLLBOOK_BENCH_SUBSCRIPTIONS` says how many, 100,000 if it does not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops at the first surprise and prints what it measured"
)]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::{Cluster, id, make_organization, rate, ratio};
use tollbook_postgres::APPLICATION_DATABASE;

const LINES_EACH: u64 = 3;
const PLAN: &str = r#"{"currency":"USD","baseFee":"20","prices":[{"key":"talk","meter":"CALL_DURATION_SECONDS","increment":"60/60",
    "rate":{"per_unit":{"price":"0.05","per":60}}},{"key":"sms","meter":"SMS_SENT","rate":{"per_unit":{"price":"0.01"}}}],
    "allowances":[{"key":"minutes","meters":["CALL_DURATION_SECONDS"],"quantity":6000}]}"#;
/// The tables that a run adds rows to, in an order in which they may be added.
const ADDED: [&str; 6] = [
    "billing_periods",
    "charges",
    "allowance_grants",
    "invoice_lines",
    "ledger_entries",
    "transfers",
];

fn main() {
    if support::is_asked() {
        let subscriptions = std::env::var("TOLLBOOK_BENCH_SUBSCRIPTIONS");
        measure(subscriptions.map_or(100_000, |n| n.parse().unwrap()));
    }
}

fn measure(subscriptions: u64) {
    let cluster = Cluster::start();
    tollbook(&cluster, &["migrate"]);
    make_organization(&cluster, 1);
    fill(&cluster, subscriptions);
    for table in ADDED {
        run(
            &cluster,
            &format!("create table before_{table} as select * from {table}"),
        );
    }
    run(
        &cluster,
        "create table before_invoices as select * from invoices; analyze",
    );
    run(&cluster, "checkpoint");
    let (started, cpu) = (Instant::now(), cluster.cpu());
    let report = tollbook(&cluster, &["billing", "run", "--json"]);
    let took = started.elapsed();
    println!("{}", report.split_whitespace().collect::<String>());
    let lines = subscriptions * LINES_EACH;
    println!(
        "{subscriptions} subscriptions, {lines} lines in {:.1?}: {} documents a second, PostgreSQL's CPU time {:.1?}",
        took,
        rate(subscriptions, took),
        cluster.cpu().saturating_sub(cpu)
    );
    assert_eq!(count(&cluster, "invoice_lines"), lines);
    cluster.print_statements();
    let sets = insert_again(&cluster);
    println!("the same rows by statements over whole sets: {sets:.1?}");
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    println!("speed beside that: {}", ratio(millis(sets), millis(took)));
}

fn run(cluster: &Cluster, statements: &str) -> String {
    cluster.run(APPLICATION_DATABASE, statements)
}

fn count(cluster: &Cluster, table: &str) -> u64 {
    run(cluster, &format!("select count(*) from {table}"))
        .parse()
        .unwrap()
}

fn tollbook(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tollbook"))
        .args(arguments)
        .args(["--database-url", &cluster.url()])
        .env(
            "TOLLBOOK_SECRET_KEY",
            "bench-bench-bench-bench-bench-bench-bench",
        )
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Subscriptions in the last month, each with a draft that has usage of two meters.
fn fill(cluster: &Cluster, subscriptions: u64) {
    let (organization, plan) = (id(1, 0), id(8, 0));
    let statements = format!(
        "set session_replication_role = replica;
         create function pg_temp.id(kind text, n bigint) returns uuid language sql as
             $$ select ('018d0000-00' || kind || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
         update organizations set zone = 'UTC', invoice_grace = interval '0';
         insert into plans (seller_id, id, code, name, kind) values ('{organization}', '{plan}', 'minutes', 'Minutes', 'subscription');
         insert into plan_versions (seller_id, id, plan_id, version, state, currency, document, published_at)
             values ('{organization}', '{plan}', '{plan}', 1, 'published', 'USD', '{PLAN}', now());
         create temporary table s as
             select n, date_trunc('month', now(), 'UTC') - interval '1 month' as starts_at, date_trunc('month', now(), 'UTC') as ends_at
             from generate_series(0, {subscriptions} - 1) n;
         insert into accounts (organization_id, id, payer) select '{organization}', pg_temp.id('06', n), 'customer' from s;
         insert into customers (organization_id, id, account_id, name)
             select '{organization}', pg_temp.id('05', n), pg_temp.id('06', n), 'Customer ' || n from s;
         insert into subscriptions (organization_id, id, payer, customer_id, account_id, state, zone, anchor_on, interval_months, starts_at)
             select '{organization}', pg_temp.id('09', n), 'customer', pg_temp.id('05', n), pg_temp.id('06', n), 'active', 'UTC',
                 starts_at::date, 1, starts_at from s;
         insert into subscription_segments (organization_id, id, subscription_id, payer, seller_id, plan_version_id, starts_at)
             select '{organization}', pg_temp.id('0a', n), pg_temp.id('09', n), 'customer', '{organization}', '{plan}', starts_at from s;
         insert into billing_periods (organization_id, id, subscription_id, payer, starts_at, ends_at)
             select '{organization}', pg_temp.id('0b', n), pg_temp.id('09', n), 'customer', starts_at, ends_at from s;
         insert into allowance_grants (organization_id, id, account_id, payer, subscription_id, allowance_key, granted, starts_at, expires_at)
             select '{organization}', pg_temp.id('0c', n), pg_temp.id('06', n), 'customer', pg_temp.id('09', n), 'minutes', 6000, starts_at, ends_at from s;
         insert into invoices (organization_id, id, payer, customer_id, kind, currency, period_start, period_end, zone, finalize_at)
             select '{organization}', pg_temp.id('0d', n), 'customer', pg_temp.id('05', n), 'period', 'USD', starts_at, ends_at, 'UTC', ends_at from s;
         create temporary table u as
             select 2 * n + m as id, n, m, starts_at + interval '1 hour' * (1 + n % 600) as occurred_at, 60 * (1 + n % 30) as quantity
             from s cross join generate_series(0, 1) m;
         insert into usage_events (organization_id, id, meter, quantity, occurred_at, idempotency_key, key_digest, request_hash, customer_id)
             select '{organization}', pg_temp.id('0e', id), case m when 0 then 'CALL_DURATION_SECONDS' else 'SMS_SENT' end, quantity, occurred_at,
                 'bench:' || id, decode(md5('bench:' || id), 'hex'), decode(md5(''), 'hex'), pg_temp.id('05', n) from u;
         insert into charges (organization_id, id, payer, customer_id, account_id, usage_event_id, kind, subscription_id, seller_id, plan_version_id,
                 price_key, meter, quantity, unit_price, divisor, amount_numerator, amount_denominator, amount, currency, invoice_id, line_group,
                 occurred_at, trace_version, trace)
             select '{organization}', pg_temp.id('0f', id), 'customer', pg_temp.id('05', n), pg_temp.id('06', n), pg_temp.id('0e', id), 'usage',
                 pg_temp.id('09', n), '{organization}', '{plan}', case m when 0 then 'talk' else 'sms' end,
                 case m when 0 then 'CALL_DURATION_SECONDS' else 'SMS_SENT' end, quantity, 0.01, 1, quantity, 100, quantity / 100.0, 'USD',
                 pg_temp.id('0d', n), case m when 0 then 'talk/usage' else 'sms/usage' end, occurred_at, 1, '{{}}' from u;"
    );
    run(cluster, &statements);
    run(cluster, "vacuum (analyze)");
}

/// Takes the rows of the run away and inserts them again, each table by one statement; returns how long that takes.
fn insert_again(cluster: &Cluster) -> Duration {
    let columns = |table: &str| {
        run(
            cluster,
            &format!(
                "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
                 where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''"
            ),
        )
    };
    let mut take = vec!["set session_replication_role = replica;".to_owned()];
    let mut insert = vec!["begin;".to_owned()];
    for table in ADDED {
        take.push(format!(
            "create table added_{table} as select a.* from {table} a left join before_{table} b on b.organization_id = a.organization_id and b.id = a.id
                 where b.id is null;
             delete from {table} a using added_{table} b where a.organization_id = b.organization_id and a.id = b.id;"
        ));
        let columns = columns(table);
        insert.push(format!(
            "insert into {table} ({columns}) select {columns} from added_{table};"
        ));
    }
    take.push("create table made_invoices as select * from invoices;
        update invoices i set state = b.state, number = null, number_year = null, number_seq = null, subtotal_minor = 0, tax_minor = 0, total_minor = 0,
            finalized_at = null, due_at = null, webhooks = null, webhooks_parked = null, usages = null, usages_rated = null, usages_parked = null
            from before_invoices b where b.organization_id = i.organization_id and b.id = i.id;".to_owned());
    insert.push("update invoices i set state = m.state, number = m.number, number_year = m.number_year, number_seq = m.number_seq,
            subtotal_minor = m.subtotal_minor, tax_minor = m.tax_minor, total_minor = m.total_minor, finalized_at = m.finalized_at, due_at = m.due_at,
            webhooks = m.webhooks, webhooks_parked = m.webhooks_parked, usages = m.usages, usages_rated = m.usages_rated,
            usages_parked = m.usages_parked, updated_at = now()
            from made_invoices m where m.organization_id = i.organization_id and m.id = i.id and m.state <> 'draft';
        commit;".to_owned());
    run(cluster, &take.concat());
    run(cluster, "vacuum (analyze)");
    run(cluster, "checkpoint");
    let started = Instant::now();
    run(cluster, &insert.concat());
    started.elapsed()
}
