//! A second, naive rating: second by second, from the plan's JSON, with unlimited fractions. It shares nothing with the
//! rating that it checks but the words of the plan.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::ratio::Ratio;

/// What an account has, by position: grants as `(allowance, left, starts, expires)`, and counted units by price key.
#[derive(Clone, Default, Debug)]
pub(crate) struct Account {
    pub(crate) grants: Vec<NaiveGrant>,
    pub(crate) counted: Vec<(String, Ratio)>,
}

#[derive(Clone, Debug)]
pub(crate) struct NaiveGrant {
    pub(crate) allowance: String,
    pub(crate) left: Ratio,
    pub(crate) starts: Timestamp,
    pub(crate) expires: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct NaiveUsage {
    pub(crate) meter: &'static str,
    pub(crate) quantity: String,
    pub(crate) at: Timestamp,
    pub(crate) is_time: bool,
    pub(crate) direction: Option<&'static str>,
    pub(crate) to: String,
    pub(crate) cost: Option<String>,
}

/// What a usage puts on one line.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Part {
    /// Price, band and kind.
    pub(crate) line: String,
    pub(crate) quantity: Ratio,
    pub(crate) amount: Ratio,
}

/// What is charged under one rate: how many units, at which seconds of the call.
#[derive(Default)]
struct Bucket {
    key: String,
    rate: Value,
    /// What the allowance covers of it; units and seconds are the rest.
    covered: Option<Ratio>,
    /// Whether an allowance could cover it.
    draws: bool,
    units: Option<Ratio>,
    /// With the part of it that is charged, if not the whole.
    seconds: Vec<(u32, Option<Ratio>)>,
}

/// The cost of a usage, or `None` while the provider's price is unknown.
pub(crate) fn rate(
    plan: &Value,
    decks: &Value,
    usage: &NaiveUsage,
    account: &mut Account,
) -> Option<Ratio> {
    let parts = parts(plan, decks, usage, account)?;
    let zero = Ratio::whole(0);
    Some(parts.iter().fold(zero, |sum, part| sum.plus(&part.amount)))
}

/// The same, line by line.
pub(crate) fn parts(
    plan: &Value,
    decks: &Value,
    usage: &NaiveUsage,
    account: &mut Account,
) -> Option<Vec<Part>> {
    let prices = plan["prices"].as_array().unwrap();
    let fits = |price: &&Value| price["meter"] == usage.meter && price.get("direction").is_none();
    let exact = |price: &&Value| {
        price["meter"] == usage.meter
            && usage
                .direction
                .is_some_and(|direction| price["direction"] == direction)
    };
    let Some(price) = prices
        .iter()
        .find(exact)
        .or_else(|| prices.iter().find(fits))
    else {
        return Some(Vec::new());
    };
    let silent = price["freeSeconds"].as_i64().filter(|_| usage.is_time);
    let begins = usage.at + jiff::SignedDuration::from_secs(silent.unwrap_or(0));
    let entry = deck_entry(rate_at(plan, price, begins).1, decks, usage);
    let mut buckets = Vec::new();
    let billed = if usage.is_time {
        let seconds: u32 = usage.quantity.parse().unwrap();
        spread_time(plan, price, entry, usage, seconds, account, &mut buckets)
    } else {
        spread_count(plan, price, usage, account, &mut buckets);
        Ratio::decimal(&usage.quantity)
    };
    let zero = Ratio::whole(0);
    let covered = |bucket: &Bucket| {
        let covered = bucket.covered.clone()?;
        Some(line(&bucket.key, "allowance", covered, zero.clone()))
    };
    let mut parts: Vec<Part> = buckets.iter().filter_map(covered).collect();
    buckets.retain(|bucket| bucket.units.is_some());
    buckets.sort_by_key(|bucket| bucket.seconds.first().map(|(second, _)| *second));
    if buckets.is_empty() {
        return Some(parts);
    }
    let mut total = Ratio::whole(0);
    let mut unknown = false;
    for (index, bucket) in buckets.iter().enumerate() {
        let model = |bucket: &Bucket| bucket.rate.as_object().unwrap().keys().next().cloned();
        let is_first = (0..index).all(|before| model(&buckets[before]) != model(bucket));
        let kind = if bucket.draws { "overage" } else { "usage" };
        match bucket_cost(bucket, &billed, is_first, decks, usage, account) {
            Some(cost) => {
                total = total.plus(&cost);
                parts.push(line(&bucket.key, kind, bucket.units.clone().unwrap(), cost));
            }
            None => unknown = true,
        }
    }
    if unknown {
        return None;
    }
    parts.extend(adjustments(price, entry, total));
    Some(parts)
}

fn line(key: &str, kind: &str, quantity: Ratio, amount: Ratio) -> Part {
    Part {
        line: format!("{key}/{kind}"),
        quantity,
        amount,
    }
}

/// What is charged beside the units, which come to `total`, and what the least and the most of a usage change of that.
fn adjustments(price: &Value, entry: Option<&Value>, mut total: Ratio) -> Vec<Part> {
    let mut parts = Vec::new();
    let own = price["key"].as_str().unwrap();
    let fee = entry
        .and_then(|entry| entry.get("connectionFee"))
        .or_else(|| price.get("connectionFee"));
    let fee = fee.map_or(Ratio::whole(0), decimal);
    total = total.plus(&fee);
    parts.push(line(own, "connection", Ratio::whole(0), fee));
    let least = price.get("minimumCharge").map(decimal);
    if let Some(least) = least.filter(|least| *least != Ratio::whole(0) && total < *least) {
        parts.push(line(own, "minimum", Ratio::whole(0), least.minus(&total)));
        total = least;
    }
    if let Some(most) = price
        .get("maximumCharge")
        .map(decimal)
        .filter(|most| total > *most)
    {
        parts.push(line(own, "maximum", Ratio::whole(0), most.minus(&total)));
    }
    parts
}

/// Goes through a call second by second; returns the billed seconds.
fn spread_time(
    plan: &Value,
    price: &Value,
    entry: Option<&Value>,
    usage: &NaiveUsage,
    seconds: u32,
    account: &mut Account,
    buckets: &mut Vec<Bucket>,
) -> Ratio {
    let free = u32::try_from(price["freeSeconds"].as_u64().unwrap_or(0)).unwrap();
    if seconds <= free {
        return Ratio::whole(0);
    }
    let charged = seconds - free;
    let increment = entry
        .and_then(|entry| entry.get("increment"))
        .or_else(|| price.get("increment"));
    let (initial, step) = increment
        .and_then(Value::as_str)
        .unwrap_or("1/1")
        .split_once('/')
        .unwrap();
    let (initial, step): (u32, u32) = (initial.parse().unwrap(), step.parse().unwrap());
    let mut starts = vec![0];
    let mut billed = initial;
    while billed < charged {
        starts.push(billed);
        billed += step;
    }
    let (zero, one) = (Ratio::whole(0), Ratio::whole(1));
    let mut usable = usable(plan, usage, account);
    let mut minute = None;
    let by_start = price["bandMode"] == "increment_start";
    for second in 0..billed {
        let clock = if by_start {
            *starts.iter().rev().find(|start| **start <= second).unwrap()
        } else {
            second.min(charged - 1)
        };
        let at = usage.at.as_second() + i64::from(free + clock);
        // Bands of these plans begin on whole minutes, in every zone.
        if minute
            .as_ref()
            .is_none_or(|(known, _)| *known != at.div_euclid(60))
        {
            let found = rate_at(plan, price, Timestamp::from_second(at).unwrap());
            minute = Some((at.div_euclid(60), found));
        }
        let (_, (key, rate, draws)) = minute.as_ref().unwrap();
        // A pool with another meter can leave half a second.
        let taken = if *draws {
            take(account, &mut usable, &one)
        } else {
            zero.clone()
        };
        let bucket = bucket(buckets, key, rate);
        bucket.draws = *draws && is_included(plan, usage);
        if taken != zero {
            let before = bucket.covered.take().unwrap_or(zero.clone());
            bucket.covered = Some(before.plus(&taken));
        }
        if taken != one {
            let rest = if taken == zero {
                None
            } else {
                Some(one.minus(&taken))
            };
            bucket.seconds.push((second, rest));
        }
    }
    for bucket in buckets {
        let is_charged = !bucket.seconds.is_empty();
        bucket.units = is_charged.then(|| count(bucket.seconds.iter()));
    }
    Ratio::whole(i64::from(billed))
}

fn spread_count(
    plan: &Value,
    price: &Value,
    usage: &NaiveUsage,
    account: &mut Account,
    buckets: &mut Vec<Bucket>,
) {
    let wanted = Ratio::decimal(&usage.quantity);
    let (key, rate, draws) = rate_at(plan, price, usage.at);
    let taken = if draws {
        take(account, &mut usable(plan, usage, account), &wanted)
    } else {
        Ratio::whole(0)
    };
    let rest = wanted.minus(&taken);
    let bucket = bucket(buckets, &key, rate);
    bucket.draws = draws && is_included(plan, usage);
    bucket.covered = Some(taken).filter(|taken| *taken != Ratio::whole(0));
    bucket.units = Some(rest).filter(|rest| *rest != Ratio::whole(0));
}

/// Whether the plan includes anything of what is used.
fn is_included(plan: &Value, usage: &NaiveUsage) -> bool {
    let allowances = plan["allowances"].as_array().unwrap();
    let meters = allowances.iter().map(|it| it["meters"].as_array().unwrap());
    meters.flatten().any(|meter| meter == usage.meter)
}

fn bucket<'a>(buckets: &'a mut Vec<Bucket>, key: &str, rate: &Value) -> &'a mut Bucket {
    let index = buckets
        .iter()
        .position(|bucket| bucket.key == key)
        .unwrap_or_else(|| {
            buckets.push(Bucket {
                key: key.to_owned(),
                rate: rate.clone(),
                ..Bucket::default()
            });
            buckets.len() - 1
        });
    &mut buckets[index]
}

/// The grants that a usage may draw on, the one that expires first in front.
fn usable(plan: &Value, usage: &NaiveUsage, account: &Account) -> Vec<usize> {
    let allowances = plan["allowances"].as_array().unwrap();
    let covers = |key: &str| {
        let meters = |allowance: &&Value| {
            allowance["meters"]
                .as_array()
                .unwrap()
                .iter()
                .any(|m| m == usage.meter)
        };
        allowances
            .iter()
            .filter(meters)
            .any(|allowance| allowance["key"] == key)
    };
    let mut grants: Vec<_> = (0..)
        .zip(&account.grants)
        .filter(|(_, grant)| {
            usage.at >= grant.starts && usage.at < grant.expires && covers(&grant.allowance)
        })
        .map(|(index, grant)| (grant.expires, grant.starts, index))
        .collect();
    grants.sort_unstable();
    grants.into_iter().map(|(_, _, index)| index).collect()
}

/// Takes up to `wanted` from the grants; returns what was taken.
fn take(account: &mut Account, usable: &mut Vec<usize>, wanted: &Ratio) -> Ratio {
    let mut taken = Ratio::whole(0);
    while let Some(index) = usable.first()
        && taken != *wanted
    {
        let grant = &mut account.grants[*index];
        let missing = wanted.minus(&taken);
        let part = if grant.left < missing {
            grant.left.clone()
        } else {
            missing
        };
        grant.left = grant.left.minus(&part);
        taken = taken.plus(&part);
        if grant.left == Ratio::whole(0) {
            usable.remove(0);
        }
    }
    taken
}

/// Key, rate and whether it draws on the allowance, at an instant.
fn rate_at<'a>(plan: &Value, price: &'a Value, at: Timestamp) -> (String, &'a Value, bool) {
    let key = price["key"].as_str().unwrap().to_owned();
    let Some(bands) = price.get("bands").and_then(Value::as_array) else {
        return (key, &price["rate"], true);
    };
    let name = band_at(&plan["calendar"], at);
    match bands.iter().find(|band| band["band"] == name.as_str()) {
        Some(band) => (
            format!("{key}:{name}"),
            &band["rate"],
            band["drawsOnAllowance"] != false,
        ),
        None => (key, &price["rate"], true),
    }
}

fn band_at(calendar: &Value, at: Timestamp) -> String {
    let zone = TimeZone::get(calendar["zone"].as_str().unwrap()).unwrap();
    let local = at.to_zoned(zone);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let holidays = calendar["holidays"].as_array().unwrap();
    if holidays.iter().any(|day| *day == local.date().to_string()) {
        return text(
            calendar
                .get("holidayBand")
                .unwrap_or(&calendar["otherwise"]),
        );
    }
    let weekday = format!("{:?}", local.weekday()).to_lowercase()[..3].to_owned();
    for rule in calendar["rules"].as_array().unwrap() {
        let on_day = rule["days"]
            .as_array()
            .unwrap()
            .iter()
            .any(|day| *day == weekday.as_str());
        let begun = local.time() >= text(&rule["from"]).parse::<Time>().unwrap();
        let over =
            rule["to"] != "24:00" && local.time() >= text(&rule["to"]).parse::<Time>().unwrap();
        if on_day && begun && !over {
            return text(&rule["band"]);
        }
    }
    text(&calendar["otherwise"])
}

fn bucket_cost(
    bucket: &Bucket,
    billed: &Ratio,
    is_first: bool,
    decks: &Value,
    usage: &NaiveUsage,
    account: &mut Account,
) -> Option<Ratio> {
    let (model, fields) = bucket.rate.as_object().unwrap().iter().next().unwrap();
    let units = bucket.units.clone().unwrap();
    let per = fields.get("per").map_or(Ratio::whole(1), decimal);
    let once = |field: &str| {
        fields
            .get(field)
            .filter(|_| is_first)
            .map_or(Ratio::whole(0), decimal)
    };
    match model.as_str() {
        "per_unit" => Some(units.times(&decimal(&fields["price"])).over(&per)),
        "deck" => {
            let entry = deck_entry(&bucket.rate, decks, usage).unwrap();
            Some(units.times(&decimal(&entry["price"])).over(&per))
        }
        "by_duration" => Some(by_duration(bucket, fields["steps"].as_array().unwrap()).over(&per)),
        "flat" => Some(once("price")),
        "cost_plus" => {
            let percent = fields.get("percent").map_or(Ratio::whole(0), decimal);
            let factor = Ratio::whole(100).plus(&percent).over(&Ratio::whole(100));
            let cost = Ratio::decimal(usage.cost.as_ref()?);
            Some(
                cost.times(&units)
                    .over(billed)
                    .times(&factor)
                    .plus(&once("fixed")),
            )
        }
        counted => {
            let whole = |quantity: &Ratio| match counted {
                "graduated" => graduated(fields["tiers"].as_array().unwrap(), quantity)
                    .0
                    .over(&per)
                    .plus(&graduated(fields["tiers"].as_array().unwrap(), quantity).1),
                "volume" => volume(fields["tiers"].as_array().unwrap(), &per, quantity),
                "package" => {
                    let packages = quantity.over(&decimal(&fields["size"])).ceil();
                    Ratio::from(packages).times(&decimal(&fields["price"]))
                }
                other => panic!("unknown model {other}"),
            };
            let before = account.counted.iter().find(|(key, _)| *key == bucket.key);
            let before = before.map_or(Ratio::whole(0), |(_, quantity)| quantity.clone());
            let after = before.plus(&units);
            account.counted.retain(|(key, _)| *key != bucket.key);
            account.counted.push((bucket.key.clone(), after.clone()));
            Some(whole(&after).minus(&whole(&before)))
        }
    }
}

/// Sum over seconds of the price in force at each.
fn by_duration(bucket: &Bucket, steps: &[Value]) -> Ratio {
    assert!(
        !bucket.seconds.is_empty(),
        "a price by duration is for time"
    );
    let mut sum = Ratio::whole(0);
    for (index, step) in steps.iter().enumerate() {
        let from = step["fromSecond"].as_u64().unwrap();
        let next = steps
            .get(index + 1)
            .map_or(u64::MAX, |next| next["fromSecond"].as_u64().unwrap());
        let within = bucket
            .seconds
            .iter()
            .filter(|(second, _)| (from..next).contains(&u64::from(*second)));
        sum = sum.plus(&count(within).times(&decimal(&step["price"])));
    }
    sum
}

fn count<'a>(seconds: impl Iterator<Item = &'a (u32, Option<Ratio>)>) -> Ratio {
    let (mut whole, mut parts) = (0, Ratio::whole(0));
    for (_, part) in seconds {
        match part {
            None => whole += 1,
            Some(part) => parts = parts.plus(part),
        }
    }
    Ratio::whole(whole).plus(&parts)
}

/// Cost of all units, before division by `per`, and of the fees of the tiers reached.
fn graduated(tiers: &[Value], quantity: &Ratio) -> (Ratio, Ratio) {
    let (mut units, mut fees) = (Ratio::whole(0), Ratio::whole(0));
    let mut start = Ratio::whole(0);
    for tier in tiers {
        if *quantity > start {
            let end = tier
                .get("upTo")
                .map(decimal)
                .filter(|end| end < quantity)
                .unwrap_or(quantity.clone());
            units = units.plus(&end.minus(&start).times(&decimal(&tier["price"])));
            fees = fees.plus(&tier.get("flatFee").map_or(Ratio::whole(0), decimal));
        }
        start = tier.get("upTo").map_or(quantity.clone(), decimal);
    }
    (units, fees)
}

fn volume(tiers: &[Value], per: &Ratio, quantity: &Ratio) -> Ratio {
    if *quantity == Ratio::whole(0) {
        return Ratio::whole(0);
    }
    let holds = |tier: &&Value| tier.get("upTo").is_none_or(|end| *quantity <= decimal(end));
    let tier = tiers.iter().find(holds).unwrap();
    quantity
        .times(&decimal(&tier["price"]))
        .over(per)
        .plus(&tier.get("flatFee").map_or(Ratio::whole(0), decimal))
}

fn deck_entry<'a>(rate: &Value, decks: &'a Value, usage: &NaiveUsage) -> Option<&'a Value> {
    let entries = decks[rate.get("deck")?["deck"].as_str()?].as_array()?;
    let digits = &usage.to[1..];
    let instant = |field: &Value| field.as_str().unwrap().parse::<Timestamp>().unwrap();
    let matching = entries.iter().filter(|entry| {
        let begun = entry
            .get("startsAt")
            .is_none_or(|start| usage.at >= instant(start));
        let over = entry
            .get("endsAt")
            .is_some_and(|end| usage.at >= instant(end));
        digits.starts_with(entry["prefix"].as_str().unwrap()) && begun && !over
    });
    matching.max_by_key(|entry| entry["prefix"].as_str().unwrap().len())
}

fn decimal(value: &Value) -> Ratio {
    match value {
        Value::String(text) => Ratio::decimal(text),
        Value::Number(number) => Ratio::whole(number.as_i64().unwrap()),
        other => panic!("not a number: {other}"),
    }
}
