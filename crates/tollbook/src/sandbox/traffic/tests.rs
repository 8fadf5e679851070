//! The day is the same for a seed, and its shares are what the profile says.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::date;
use sha2::{Digest as _, Sha256};
use tollbook_core::phone::{E164, Party};

use super::*;

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

fn profile(calls_per_day: u32) -> Profile {
    let line = |n: u32| OurLine {
        number: number(&format!("+1202555010{n}")),
        users: (0..4).map(|user| format!("agent{n}{user}")).collect(),
        forwards_to: number("+12025550199"),
    };
    let customers = (0..900_u32)
        .map(|n| number(&format!("+1{}5550{}", 301 + n / 100, 100 + n % 100)))
        .collect();
    Profile::support((1..4).map(line).collect(), customers, calls_per_day)
}

fn zone() -> Zone {
    "America/New_York".parse().unwrap()
}

fn digest(planned: &[Planned]) -> String {
    let digest = Sha256::digest(serde_json::to_vec(planned).unwrap());
    hex::encode(&digest[..8])
}

fn calls(planned: &[Planned]) -> Vec<&PlannedCall> {
    planned
        .iter()
        .filter_map(|planned| match planned {
            Planned::Call(call) => Some(call),
            Planned::Message(_) => None,
        })
        .collect()
}

#[test]
fn one_seed_gives_one_day_to_the_byte() {
    let plan =
        |seed, day| digest(&super::day(seed, date(2026, 3, day), &zone(), &profile(400)).unwrap());
    assert_eq!(plan(7, 3), "9867421922ca5322");
    assert_ne!(plan(8, 3), plan(7, 3));
    assert_ne!(plan(7, 4), plan(7, 3));
}

#[test]
fn the_shares_are_those_of_the_profile() {
    let profile = profile(1000);
    let days: Vec<Vec<Planned>> = (1..=20)
        .map(|seed| day(seed, date(2026, 3, 3), &zone(), &profile).unwrap())
        .collect();
    let closes_at: Timestamp = "2026-03-03T23:00:00Z".parse().unwrap();
    let midnight: Timestamp = "2026-03-04T05:00:00Z".parse().unwrap();
    let (mut all, mut lengths) = (0, Vec::new());
    let (mut unanswered, mut repeated, mut anonymous, mut across) = (0, 0, 0, 0);
    let (mut voicemail, mut transferred, mut forwarded) = (0, 0, 0);
    for planned in &days {
        let mut seen = BTreeSet::new();
        for call in calls(planned) {
            all += 1;
            match &call.ending {
                Ending::Answered => lengths.push(call.talk_seconds),
                Ending::Transferred { after_seconds, .. } => {
                    assert!(*after_seconds < call.talk_seconds);
                    transferred += 1;
                    lengths.push(call.talk_seconds);
                }
                Ending::Forwarded { .. } => forwarded += 1,
                Ending::Voicemail { .. } => voicemail += 1,
                Ending::Missed | Ending::Abandoned | Ending::Failed => {}
            }
            unanswered +=
                u32::from(!call.is_answered() && !matches!(call.ending, Ending::Forwarded { .. }));
            anonymous += u32::from(call.external == Party::Anonymous);
            repeated += u32::from(
                call.external
                    .number()
                    .is_some_and(|number| !seen.insert(number.clone())),
            );
            let spans = |at| call.at < at && at < call.ends_at() && call.is_answered();
            across += u32::from(spans(closes_at) || spans(midnight));
        }
    }
    let permille = |count: u32| count * 1000 / all;
    assert!((19_000..21_000).contains(&all), "{all} calls");
    assert!(
        (240..=260).contains(&permille(unanswered)),
        "{} ‰ unanswered",
        permille(unanswered)
    );
    assert!(
        (140..=160).contains(&permille(repeated)),
        "{} ‰ repeated",
        permille(repeated)
    );
    assert!(
        (45..=55).contains(&permille(anonymous)),
        "{} ‰ anonymous",
        permille(anonymous)
    );
    // The drawn ones, and those that happen to be on the phone when the office closes.
    assert!(
        (18..=40).contains(&permille(across)),
        "{} ‰ across a boundary",
        permille(across)
    );
    assert!(voicemail > 500 && transferred > 100 && forwarded > 100);
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(
        (132..=150).contains(&median),
        "half of the calls are shorter than {median} s"
    );
    let long = lengths.iter().filter(|seconds| **seconds > 3600).count();
    assert!(
        (20..=120).contains(&long),
        "{long} calls are longer than an hour"
    );
}

#[test]
fn mornings_are_busy_and_nights_are_not() {
    let planned = day(1, date(2026, 3, 3), &zone(), &profile(2000)).unwrap();
    let at_hour = |hour: i8| {
        let local = |call: &&&PlannedCall| call.at.to_zoned(zone().rules().clone()).hour() == hour;
        calls(&planned).iter().filter(local).count()
    };
    assert!(at_hour(10) > 10 * at_hour(5).max(1) && at_hour(3) < 20);
    assert!(planned.is_sorted_by_key(Planned::at));
    let messages = planned.len() - calls(&planned).len();
    assert!((550..=780).contains(&messages), "{messages} messages");
}

#[test]
fn a_day_keeps_to_its_zone() {
    // The clocks go forward: 23 hours, none of them the third.
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let mut flat = profile(24_000);
    flat.calls_by_hour = [1; 24];
    let planned = day(1, date(2026, 3, 29), &berlin, &flat).unwrap();
    let count = calls(&planned).len();
    assert!(
        (22_500..=23_500).contains(&count),
        "{count} calls in 23 hours"
    );
    let start: Timestamp = "2026-03-28T23:00:00Z".parse().unwrap();
    let end: Timestamp = "2026-03-29T22:00:00Z".parse().unwrap();
    assert!(
        planned
            .iter()
            .all(|planned| start <= planned.at() && planned.at() < end)
    );
}

#[test]
fn without_a_number_nothing_happens() {
    let nobody = Profile::support(vec![], vec![], 1000);
    assert_eq!(day(1, date(2026, 3, 3), &zone(), &nobody).unwrap(), []);
}
