//! What happens in a year, drawn from a seed: plain data, from which both the play and the expected bills follow.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::plans::Plans;

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Clocks of one zone go forward in March and of the other in October.
const ZONES: [[&str; 3]; 2] = [
    ["America/New_York", "Europe/Berlin", "America/St_Johns"],
    [
        "Australia/Lord_Howe",
        "America/Santiago",
        "Pacific/Auckland",
    ],
];
/// Days on which more happens: clocks change, months and the year end, a leap of February.
const BUSY: [&str; 14] = [
    "2026-03-08",
    "2026-03-29",
    "2026-03-31",
    "2026-04-04",
    "2026-04-05",
    "2026-04-30",
    "2026-06-15",
    "2026-08-31",
    "2026-09-06",
    "2026-10-04",
    "2026-10-25",
    "2026-11-01",
    "2026-12-31",
    "2027-02-28",
];

/// A year of some organizations.
pub(super) struct Script {
    pub(super) seed: u64,
    pub(super) firms: Vec<Firm>,
    pub(super) payers: Vec<Payer>,
    /// What the platform sells to organizations.
    pub(super) platform: Vec<Plan>,
    pub(super) steps: Vec<Step>,
}

/// An organization that sells.
pub(super) struct Firm {
    pub(super) name: String,
    pub(super) zone: &'static str,
    pub(super) currency: &'static str,
    /// Digits of its minor unit.
    pub(super) digits: u32,
    pub(super) is_half_even: bool,
    pub(super) grace: SignedDuration,
    /// Calls of who has no subscription are invoiced one by one.
    pub(super) is_per_call: bool,
    /// Its number.
    pub(super) line: String,
    /// The first is for who has no subscription.
    pub(super) plans: Vec<Plan>,
}

/// A plan as it is published.
pub(super) struct Plan {
    pub(super) document: Value,
    pub(super) months: i64,
}

/// Who pays an organization, or the organization itself, which pays the platform for all that its customers use.
pub(super) struct Payer {
    pub(super) firm: usize,
    pub(super) is_firm: bool,
    /// Empty of one who is known by the number only.
    pub(super) name: String,
    pub(super) phone: String,
    /// In percent, and whether prices hold it already.
    pub(super) tax: Option<(&'static str, bool)>,
}

/// What happens at a time, in any order.
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) deeds: Vec<Deed>,
}

#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) payer: usize,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A call rang and nobody answered, as far as is told.
    Missed(Call),
    /// It was talked for so many seconds; the last word about it stands.
    Talked(Call, i64),
    /// It rang, and no end is told of: the provider's record says it when it is asked.
    Lost(Call, i64),
    /// A text message to the organization.
    Texted(String, Timestamp),
    /// Another service tells of what was used, under a key.
    Reported(String, Timestamp, i64),
    Act(Act),
    /// The payer's newest document is paid, if anything is open of it.
    Pay,
    /// The payer's newest document is withdrawn, if it is not paid.
    Void,
    /// A billing run on every node.
    Close,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) sid: String,
    pub(super) at: Timestamp,
}

/// What is done to a subscription.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// To a plan, with the day of the month on which periods begin, from the beginning of so many days ago or from now.
    Subscribe {
        plan: usize,
        day: i8,
        days_ago: Option<i64>,
    },
    Change {
        plan: usize,
        is_at_end: bool,
    },
    Pause {
        until: Option<Timestamp>,
    },
    /// A pause ends, or a cancellation is taken back.
    Resume,
    Cancel {
        is_at_end: bool,
    },
}

/// How a payer's subscription stands while the script is drawn.
#[derive(Clone, Copy)]
enum Standing {
    None,
    On { plan: usize },
    Paused { plan: usize },
    Canceled { plan: usize },
}

struct Author {
    rng: ChaCha8Rng,
    script: Script,
    deeds: Vec<(Timestamp, Deed)>,
    /// Moments at which something of a firm was used: no two, so that their order is theirs.
    used: BTreeSet<(usize, Timestamp)>,
    sids: usize,
}

impl Script {
    /// The year of a seed.
    pub(super) fn new(seed: u64) -> Self {
        let script = Self {
            seed,
            firms: Vec::new(),
            payers: Vec::new(),
            platform: Vec::new(),
            steps: Vec::new(),
        };
        let (rng, deeds) = (ChaCha8Rng::seed_from_u64(seed), Vec::new());
        let mut author = Author {
            rng,
            script,
            deeds,
            used: BTreeSet::new(),
            sids: 0,
        };
        author.cast();
        for payer in 0..author.script.payers.len() {
            author.live(payer);
        }
        author.days();
        author.close();
        author.gather();
        author.script
    }

    pub(super) fn firm(&self, payer: usize) -> &Firm {
        &self.firms[self.payers[payer].firm]
    }

    /// What is sold to a payer.
    pub(super) fn plans(&self, payer: usize) -> &[Plan] {
        if self.payers[payer].is_firm {
            &self.platform
        } else {
            &self.firm(payer).plans
        }
    }
}

impl Author {
    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        *items.choose(&mut self.rng).unwrap()
    }

    fn chance(&mut self, of: f64) -> bool {
        self.rng.random_bool(of)
    }

    fn cast(&mut self) {
        let (zone, currency) = ("UTC", "USD");
        let mut draw = Plans {
            rng: &mut self.rng,
            zone,
            currency,
            made: 100,
        };
        self.script.platform = vec![draw.subscription(1), draw.subscription(1)];
        for (n, zones) in ZONES.iter().enumerate() {
            let (zone, (currency, digits)) = (
                self.pick(zones),
                self.pick(&[("USD", 2), ("USD", 2), ("JPY", 0), ("KWD", 3)]),
            );
            let mut draw = Plans {
                rng: &mut self.rng,
                zone,
                currency,
                made: n * 10,
            };
            let plans = vec![
                draw.per_call(),
                draw.subscription(1),
                draw.subscription(1),
                draw.subscription(1),
                draw.subscription(12),
            ];
            let firm = Firm {
                name: format!("Firm {n}"),
                zone,
                currency,
                digits,
                is_half_even: self.chance(0.5),
                grace: HOUR * self.pick(&[1, 24, 72]),
                is_per_call: self.chance(0.4),
                line: format!("+1212555014{n}"),
                plans,
            };
            self.script.firms.push(firm);
            for m in 0..3 {
                let payer = Payer {
                    firm: n,
                    is_firm: false,
                    // The last one is nobody's customer yet.
                    name: if m < 2 {
                        format!("Payer {n}{m}")
                    } else {
                        String::new()
                    },
                    phone: format!("+130355501{n}{m}"),
                    tax: if m < 2 {
                        self.pick(&[None, Some(("19", false)), Some(("9.975", true))])
                    } else {
                        None
                    },
                };
                self.script.payers.push(payer);
            }
            self.script.payers.push(Payer {
                firm: n,
                is_firm: true,
                name: String::new(),
                phone: format!("itself {n}"),
                tax: None,
            });
        }
    }

    fn start() -> Timestamp {
        "2026-03-03T00:00:00Z".parse().unwrap()
    }

    fn end() -> Timestamp {
        "2027-03-03T00:00:00Z".parse().unwrap()
    }

    fn tell(&mut self, at: Timestamp, payer: usize, what: What) {
        self.deeds.push((at, Deed { payer, what }));
    }

    /// An organization buys of the platform, and changes its plan once.
    fn live_on_platform(&mut self, payer: usize) {
        let (day, hours) = (self.pick(&[1, 31]), self.rng.random_range(1..200));
        let (plan, days_ago) = (0, None);
        let act = Act::Subscribe {
            plan,
            day,
            days_ago,
        };
        self.tell(Self::start() + HOUR * hours, payer, What::Act(act));
        let (plan, is_at_end) = (1, self.chance(0.5));
        let at = Self::start() + HOUR * self.rng.random_range(2000..7000);
        self.tell(at, payer, What::Act(Act::Change { plan, is_at_end }));
    }

    /// The acts of a payer's year.
    fn live(&mut self, payer: usize) {
        if self.script.payers[payer].is_firm {
            return self.live_on_platform(payer);
        }
        if self.script.payers[payer].name.is_empty() {
            return;
        }
        let (mut at, mut standing) = (
            Self::start() + HOUR * self.rng.random_range(120..400),
            Standing::None,
        );
        let mut is_first = true;
        while at < Self::end() - DAY {
            let (act, next, days) = self.act(standing, is_first, at);
            is_first = false;
            self.tell(at, payer, What::Act(act));
            standing = next;
            at += HOUR * self.rng.random_range(24 * days..24 * days + 1500);
            // Never at the moment of another act.
            at += SignedDuration::from_secs(self.rng.random_range(1..3000));
        }
        for _ in 0..2 {
            let at = Self::start()
                + SignedDuration::from_secs(self.rng.random_range(50 * 86400..360 * 86400));
            let what = if self.chance(0.5) {
                What::Pay
            } else {
                What::Void
            };
            self.tell(at, payer, what);
        }
    }

    /// What is done next, how the subscription stands then, and how many days that has to last.
    fn act(&mut self, standing: Standing, is_first: bool, at: Timestamp) -> (Act, Standing, i32) {
        let monthly = |plan: usize| plan < 4;
        match standing {
            Standing::None => {
                let plan = self.pick(&[1, 1, 2, 2, 3, 3, 4]);
                let (day, days_ago) = (
                    self.pick(&[1, 15, 28, 30, 31]),
                    is_first && self.chance(0.5),
                );
                let days_ago = days_ago.then(|| self.rng.random_range(0..12));
                (
                    Act::Subscribe {
                        plan,
                        day,
                        days_ago,
                    },
                    Standing::On { plan },
                    15,
                )
            }
            Standing::Paused { plan } | Standing::Canceled { plan } => {
                (Act::Resume, Standing::On { plan }, 1)
            }
            Standing::On { plan } => match self.rng.random_range(0..10) {
                0..=3 if monthly(plan) => {
                    let plan = (plan + self.rng.random_range(0..2)) % 3 + 1;
                    let is_at_end = self.chance(0.4);
                    // What was to come at the end has come before the next act.
                    (
                        Act::Change { plan, is_at_end },
                        Standing::On { plan },
                        if is_at_end { 33 } else { 0 },
                    )
                }
                0..=3 => {
                    let until = Some(at + HOUR * self.rng.random_range(1..600));
                    (Act::Pause { until }, Standing::On { plan }, 26)
                }
                4 | 5 => (Act::Pause { until: None }, Standing::Paused { plan }, 0),
                6 => (Act::Cancel { is_at_end: false }, Standing::None, 5),
                7 | 8 if monthly(plan) => {
                    // It lasts to the end, or is taken back within the month if that comes later.
                    (Act::Cancel { is_at_end: true }, Standing::None, 33)
                }
                _ => (
                    Act::Cancel { is_at_end: true },
                    Standing::Canceled { plan },
                    0,
                ),
            },
        }
    }

    /// Days on which something is used. What happens on a day is told in its evening, so nothing of it is late; some is
    /// told or corrected later, each by itself.
    fn days(&mut self) {
        for firm in 0..self.script.firms.len() {
            let zone = TimeZone::get(self.script.firms[firm].zone).unwrap();
            let mut days = BTreeSet::new();
            for _ in 0..7 {
                days.insert(self.pick(&BUSY).parse().unwrap());
            }
            for _ in 0..8 {
                let days_in = self.rng.random_range(0..360).days();
                days.insert(jiff::civil::date(2026, 3, 4) + days_in);
            }
            for day in days {
                let midnight = day.to_zoned(zone.clone()).unwrap().timestamp();
                let next = day
                    .tomorrow()
                    .unwrap()
                    .to_zoned(zone.clone())
                    .unwrap()
                    .timestamp();
                let evening = next - SignedDuration::from_mins(9);
                for _ in 0..self.rng.random_range(2..7) {
                    let of_firm: Vec<usize> = (0..self.script.payers.len())
                        .filter(|it| {
                            let payer = &self.script.payers[*it];
                            payer.firm == firm && !payer.is_firm
                        })
                        .collect();
                    let payer = self.pick(&of_firm);
                    self.usage(payer, midnight, evening);
                }
            }
        }
    }

    /// A moment of the day at which the payer does nothing else, some time before its evening.
    fn moment(&mut self, payer: usize, midnight: Timestamp, evening: Timestamp) -> Timestamp {
        loop {
            let seconds = self
                .rng
                .random_range(0..evening.duration_since(midnight).as_secs() - 3600);
            // Often around the hours at which clocks change and bands begin.
            let seconds = if self.rng.random_bool(0.3) {
                3000 + seconds % 9000
            } else {
                seconds
            };
            let at = midnight + SignedDuration::from_secs(seconds);
            // A call counts from its answer.
            let firm = self.script.payers[payer].firm;
            let is_free = |at: Timestamp| !self.used.contains(&(firm, at));
            if is_free(at) && is_free(at + SignedDuration::from_secs(5)) {
                self.used.insert((firm, at));
                self.used.insert((firm, at + SignedDuration::from_secs(5)));
                return at;
            }
        }
    }

    fn usage(&mut self, payer: usize, midnight: Timestamp, evening: Timestamp) {
        let at = self.moment(payer, midnight, evening);
        self.sids += 1;
        let (sid, is_known) = (
            format!("AC{}", self.sids),
            !self.script.payers[payer].name.is_empty(),
        );
        let call = Call {
            sid: sid.clone(),
            at,
        };
        let talked = match self.rng.random_range(0..6) {
            0 => self.pick(&[40, 59, 60, 61, 90, 91]),
            1 => self.rng.random_range(600..1500),
            _ => self.rng.random_range(40..300),
        };
        // More, at times by so little that it is billed as before.
        let (late, more) = (
            evening + SignedDuration::from_secs(self.rng.random_range(3600..45 * 86400)),
            self.rng.random_range(1..400),
        );
        match self.rng.random_range(0..12) {
            0 => {
                self.tell(evening, payer, What::Missed(call.clone()));
                if self.chance(0.5) {
                    self.tell(late, payer, What::Talked(call, talked));
                }
            }
            1 => {
                self.tell(evening, payer, What::Talked(call.clone(), talked));
                self.tell(late, payer, What::Talked(call, talked + more));
            }
            2 => self.tell(late, payer, What::Talked(call, talked)),
            3 => {
                // Told so late that it is asked for at once.
                let told = call.at + SignedDuration::from_secs(talked + 200);
                self.tell(told, payer, What::Lost(call, talked));
            }
            4 => self.tell(evening, payer, What::Texted(sid, at)),
            5 | 6 if is_known => {
                let quantity = self.pick(&[1, 2, 12, 150]);
                let told = if self.chance(0.2) { late } else { evening };
                self.tell(told, payer, What::Reported(sid, at, quantity));
            }
            _ => self.tell(evening, payer, What::Talked(call, talked)),
        }
    }

    /// A billing run in every month, and one when all is over.
    fn close(&mut self) {
        for month in 0..12 {
            let first = jiff::civil::date(2026, 4, 1) + month.months();
            let at = first
                .at(13, 0, 0, 0)
                .to_zoned(TimeZone::UTC)
                .unwrap()
                .timestamp();
            self.tell(at, 0, What::Close);
        }
        self.tell(Self::end() + DAY * 60, 0, What::Close);
    }

    fn gather(&mut self) {
        let end = Self::end() + DAY * 70;
        self.deeds.sort_by_key(|(at, _)| *at);
        for (at, deed) in self.deeds.drain(..).filter(|(at, _)| *at < end) {
            match self.script.steps.last_mut() {
                Some(step) if step.at == at => step.deeds.push(deed),
                _ => self.script.steps.push(Step {
                    at,
                    deeds: vec![deed],
                }),
            }
        }
    }
}
