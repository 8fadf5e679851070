//! The calls: one every so often over the year before now, each with its usage and, for each month, what the counters
//! have to say of it.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::Geometric;
use sha2::{Digest as _, Sha256};
use tollbook_postgres::Server;

use super::copy::{Copy, Field};

/// Where all organizations are. The same is in `fill_base.sql`.
const ZONE: &str = "America/New_York";
/// 2024-01-01T00:00:00Z, when organizations and members were made, and 2024-02-01T00:00:00Z, when customers were. The same
/// are in `fill_base.sql`.
const ORGANIZATIONS_AT: i64 = 1_704_067_200_000;
const CUSTOMERS_AT: i64 = 1_706_745_600_000;
const DAY: i64 = 86_400_000;
/// How often it is said how far it is.
const PROGRESS: u64 = 500_000;

/// An identifier that sorts by time, as the application makes them: milliseconds, what it identifies, and a number that
/// tells it apart. The same function is in `fill_base.sql`.
fn id_at(milliseconds: i64, kind: u16, n: u64) -> [u8; 16] {
    let high = (milliseconds.cast_unsigned() << 16) | 0x7000 | u64::from(kind);
    let low = (8 << 60) | n;
    let mut id = [0; 16];
    id[..8].copy_from_slice(&high.to_be_bytes());
    id[8..].copy_from_slice(&low.to_be_bytes());
    id
}

/// A call to make.
struct Call {
    n: u64,
    organization: u64,
    customer: u64,
    member: u64,
    started_at: i64,
    answered_at: Option<i64>,
    ended_at: i64,
    /// Zero for a call that nobody answered.
    seconds: u64,
}

/// What a month's counters of an organization have to say: quantity, started minutes and events.
#[derive(Default, Clone, Copy)]
struct Counted {
    quantity: u64,
    minutes: u64,
    events: u64,
}

/// What is copied into.
struct Tables {
    calls: Copy,
    viewers: Copy,
    usage: Copy,
}

/// Months of a zone.
struct Months {
    /// Their beginnings in milliseconds, in order.
    starts: Vec<i64>,
    names: Vec<Date>,
}

type Counts = BTreeMap<(u64, &'static str, usize), Counted>;

/// Loads all calls.
pub(super) fn load(
    server: &Server,
    (calls, customers, organizations): (u64, u64, u64),
    started: Instant,
) -> Result<()> {
    let now = Timestamp::now();
    let months = Months::of_year_before(now)?;
    let mut tables = Tables::begin(server)?;
    let mut counts = Counts::new();
    let mut chance = StdRng::seed_from_u64(25);
    let talking = Geometric::new(0.005)?;
    let first = now.as_millisecond() - 366 * DAY;
    for n in 0..calls {
        let at = i128::from(365 * DAY) * i128::from(n) / i128::from(calls);
        let at = (first + i64::try_from(at)?).div_euclid(1_000) * 1_000;
        let customer = n * 7_919 % customers;
        let call = call(
            (&mut chance, &talking),
            n,
            (customer % organizations, customer),
            at,
        );
        tables.add(&call)?;
        call.count(&months, &mut counts);
        if (n + 1) % PROGRESS == 0 {
            println!("{} calls: {} s", n + 1, started.elapsed().as_secs());
        }
    }
    tables.end()?;
    write_counts(server, &months, &counts)
}

fn call(
    (chance, talking): (&mut StdRng, &Geometric),
    n: u64,
    (organization, customer): (u64, u64),
    at: i64,
) -> Call {
    let rings = chance.random_range(5..=25) * 1_000;
    let is_answered = chance.random_bool(0.75);
    // In each second the same chance that it ends: 200 seconds on average.
    let seconds = if is_answered {
        1 + chance.sample(talking)
    } else {
        0
    };
    Call {
        n,
        organization,
        customer,
        member: n % 9,
        started_at: at,
        answered_at: is_answered.then_some(at + rings),
        ended_at: at + rings + seconds.cast_signed() * 1_000,
        seconds,
    }
}

impl Call {
    /// What is recorded of it: the part, the meter, the quantity and the time.
    fn usage(&self) -> impl Iterator<Item = (u64, &'static str, u64, i64)> {
        let answered = self
            .answered_at
            .map(|at| (1, "CALL_DURATION_SECONDS", self.seconds, at));
        std::iter::once((0, "CALL_RECEIVED", 1, self.started_at)).chain(answered)
    }

    fn count(&self, months: &Months, counts: &mut Counts) {
        for (_, meter, quantity, at) in self.usage() {
            let place = (self.organization, meter, months.of(at));
            let counted = counts.entry(place).or_default();
            counted.quantity += quantity;
            counted.minutes += quantity.div_ceil(60);
            counted.events += 1;
        }
    }
}

impl Tables {
    fn begin(server: &Server) -> Result<Self> {
        let calls = [
            "organization_id",
            "id",
            "provider",
            "conversation_sid",
            "integration_id",
            "phone_number_id",
            "mapping_id",
            "direction",
            "state",
            "outcome",
            "external_party",
            "from_party",
            "to_party",
            "customer_id",
            "answered_by",
            "started_at",
            "answered_at",
            "ended_at",
            "billable_seconds",
            "viewer_ids",
            "updated_at",
        ];
        let usage = [
            "organization_id",
            "id",
            "meter",
            "quantity",
            "occurred_at",
            "received_at",
            "idempotency_key",
            "key_digest",
            "request_hash",
            "user_id",
            "mapping_id",
            "customer_id",
            "call_id",
            "resource_type",
            "resource_id",
        ];
        let viewers = ["organization_id", "user_id", "started_at", "call_id"];
        Ok(Self {
            calls: Copy::begin(server, "calls", &calls)?,
            viewers: Copy::begin(server, "call_viewers", &viewers)?,
            usage: Copy::begin(server, "usage_events", &usage)?,
        })
    }

    fn add(&mut self, call: &Call) -> Result<()> {
        let made = |kind| id_at(ORGANIZATIONS_AT, kind, call.organization);
        let [organization, integration, number, mapping] = [1, 2, 3, 4].map(made);
        let user = id_at(ORGANIZATIONS_AT, 5, call.organization * 10 + call.member);
        let customer = id_at(CUSTOMERS_AT, 6, call.customer);
        let id = id_at(call.started_at, 16, call.n);
        let theirs = format!("+1646{:07}", call.customer);
        let ours = format!("+1212{:07}", 5_000_000 + call.organization);
        let record = format!("ACfill{}", call.n);
        let answered_by = call.answered_at.map_or(Field::Null, |_| Field::Id(user));
        let outcome = call.answered_at.map_or("missed", |_| "answered");
        self.calls.row(&[
            Field::Id(organization),
            Field::Id(id),
            Field::Text("openphone"),
            Field::Text(&record),
            Field::Id(integration),
            Field::Id(number),
            Field::Id(mapping),
            Field::Text("incoming"),
            Field::Text("ended"),
            Field::Text(outcome),
            Field::Text(&theirs),
            Field::Text(&theirs),
            Field::Text(&ours),
            Field::Id(customer),
            answered_by,
            Field::Time(call.started_at),
            call.answered_at.map_or(Field::Null, Field::Time),
            Field::Time(call.ended_at),
            Field::Int8(call.seconds.cast_signed()),
            Field::Ids(&[user]),
            Field::Time(call.ended_at),
        ])?;
        self.viewers.row(&[
            Field::Id(organization),
            Field::Id(user),
            Field::Time(call.started_at),
            Field::Id(id),
        ])?;
        for (part, meter, quantity, at) in call.usage() {
            let what = if part == 0 { "received" } else { "seconds" };
            let key = format!("openphone:call:{record}:{what}");
            let digest = <[u8; 32]>::from(Sha256::digest(key.as_bytes()));
            let (key_digest, request_hash) = digest.split_at(16);
            self.usage.row(&[
                Field::Id(organization),
                Field::Id(id_at(call.ended_at, 17, call.n * 2 + part)),
                Field::Text(meter),
                Field::Numeric(quantity),
                Field::Time(at),
                Field::Time(call.ended_at),
                Field::Text(&key),
                Field::Bytes(key_digest),
                Field::Bytes(request_hash),
                answered_by,
                Field::Id(mapping),
                Field::Id(customer),
                Field::Id(id),
                Field::Text("call"),
                Field::Text(&record),
            ])?;
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        self.calls.end()?;
        self.viewers.end()?;
        self.usage.end()
    }
}

impl Months {
    /// Those that a year of calls may be in.
    fn of_year_before(now: Timestamp) -> Result<Self> {
        let zone = TimeZone::get(ZONE)?;
        let this = now.to_zoned(zone.clone()).date().first_of_month();
        let names = (0..=14).map(|back| this.checked_sub((13 - back).months()));
        let names = names.collect::<Result<Vec<Date>, _>>()?;
        let start = |name: &Date| {
            name.to_zoned(zone.clone())
                .map(|it| it.timestamp().as_millisecond())
        };
        let starts = names.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self { starts, names })
    }

    /// The month of a time.
    fn of(&self, at: i64) -> usize {
        self.starts
            .partition_point(|start| *start <= at)
            .saturating_sub(1)
    }

    fn bounds(&self, month: usize) -> Option<(Date, Date)> {
        Some((*self.names.get(month)?, *self.names.get(month + 1)?))
    }
}

/// Counters that agree with the usage.
fn write_counts(server: &Server, months: &Months, counts: &Counts) -> Result<()> {
    let at = |date: Date| format!("'{date}'::timestamp at time zone '{ZONE}'");
    let (mut meters, mut numbers) = (Vec::new(), Vec::new());
    for ((organization, meter, month), counted) in counts {
        let (start, end) = months.bounds(*month).context("a call before its year")?;
        let (start, end) = (at(start), at(end));
        let Counted {
            quantity,
            minutes,
            events,
        } = counted;
        let of = format!("(select id from fill_organizations where n = {organization})");
        meters.push(format!(
            "({of}, '{meter}', {start}, {end}, {quantity}, {events})"
        ));
        if *meter == "CALL_DURATION_SECONDS" {
            let mapping =
                format!("(select mapping_id from fill_organizations where n = {organization})");
            numbers.push(format!(
                "({of}, gen_random_uuid(), {mapping}, {start}, {end}, {quantity}, {minutes}, {events})"
            ));
        }
    }
    let (meters, numbers) = (meters.join(", "), numbers.join(", "));
    super::run_sql(server, &format!(
        "insert into usage_counters (organization_id, meter, period_start, period_end, quantity, events) values {meters};
         insert into number_counters (organization_id, id, mapping_id, period_start, period_end, voice_seconds, voice_minutes, voice_calls)
         values {numbers}"
    ))
}
