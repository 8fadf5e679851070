//! Draws what happens, one call or message at a time.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;
use tollbook_core::phone::Party;
use tollbook_core::time::{TimeError, Zone};

use super::call::{self, Ending, Fate, PlannedCall, PlannedMessage};
use super::phrases;
use super::profile::{OurLine, Profile};

/// A day in the making.
pub(super) struct Planner<'a> {
    rng: ChaCha8Rng,
    zone: &'a Zone,
    profile: &'a Profile,
    /// From midnight to midnight.
    start: Timestamp,
    end: Timestamp,
    /// When the office closes, unless it is closed all day.
    closes_at: Option<Timestamp>,
    /// Who has not called yet, in the order in which they will.
    fresh: Vec<Party>,
    /// Who has called.
    called: Vec<Party>,
    /// Customers, and whoever else was made up.
    used: BTreeSet<Party>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(
        seed: u64,
        date: Date,
        zone: &'a Zone,
        profile: &'a Profile,
    ) -> Result<Self, TimeError> {
        let mut rng = generator(seed, date);
        let closes_at = (!profile.is_closed_on(date))
            .then(|| {
                date.at(profile.closes_hour, 0, 0, 0)
                    .to_zoned(zone.rules().clone())
            })
            .transpose()?
            .map(|closes| closes.timestamp());
        let mut fresh: Vec<Party> = profile.customers.iter().cloned().map(Party::from).collect();
        let used = fresh.iter().cloned().collect();
        fresh.shuffle(&mut rng);
        Ok(Self {
            rng,
            zone,
            profile,
            start: zone.day_start(date)?,
            end: zone.day_start(date.checked_add(1.day())?)?,
            closes_at,
            fresh,
            called: Vec::new(),
            used,
        })
    }

    /// Instants of a Poisson process whose rate depends on the local hour; `per_day` is its mean on a day of 24 hours.
    /// An hour that the clock repeats is as busy twice, and one that it skips is not there.
    pub(super) fn arrivals(
        &mut self,
        per_day: u32,
        by_hour: &[u32; 24],
    ) -> Result<Vec<Timestamp>, TimeError> {
        let weights: u32 = by_hour.iter().sum();
        let mut arrivals = Vec::new();
        let mut from = self.start;
        while from < self.end {
            let to = from
                .checked_add(SignedDuration::from_hours(1))?
                .min(self.end);
            let local = from.to_zoned(self.zone.rules().clone());
            let weight = usize::try_from(local.hour())
                .ok()
                .and_then(|hour| by_hour.get(hour));
            let rate = f64::from(per_day) * f64::from(*weight.unwrap_or(&0))
                / f64::from(weights.max(1))
                / 3600.0;
            if rate <= 0.0 {
                from = to;
                continue;
            }
            let mut at = from;
            loop {
                let gap = self.rng.sample::<f64, _>(Exp1) / rate;
                at = at.checked_add(call::seconds_f64(gap))?;
                if at >= to {
                    break;
                }
                arrivals.push(at);
            }
            from = to;
        }
        Ok(arrivals)
    }

    pub(super) fn call(&mut self, at: Timestamp) -> Option<PlannedCall> {
        let shares = self.profile.shares;
        let line = self.profile.lines.choose(&mut self.rng)?.clone();
        let is_incoming = !self.rng.random_bool(shares.outgoing);
        let external = self.external(is_incoming);
        let crosses = self.rng.random_bool(shares.across_boundary);
        let mut call = PlannedCall {
            at,
            is_incoming,
            our_number: line.number.clone(),
            external,
            ring_seconds: self.rng.random_range(2..=28),
            talk_seconds: call::talk_seconds(&mut self.rng, &shares),
            user: line.users.choose(&mut self.rng).cloned(),
            ending: Ending::Answered,
            is_recorded: false,
            transcript: Vec::new(),
            summary: Vec::new(),
        };
        if crosses && self.move_across(&mut call) {
            return Some(call);
        }
        self.finish(&mut call, &line);
        Some(call)
    }

    /// Who is on the other side: somebody new, somebody who called today already, or somebody who does not say.
    fn external(&mut self, is_incoming: bool) -> Party {
        let shares = self.profile.shares;
        // Shares are of all calls; only those who call can withhold their number.
        let anonymous = shares.anonymous / (1.0 - shares.outgoing);
        if is_incoming && self.rng.random_bool(anonymous.clamp(0.0, 1.0)) {
            return Party::Anonymous;
        }
        let repeats = self
            .rng
            .random_bool((shares.repeated / (1.0 - shares.anonymous)).clamp(0.0, 1.0));
        if let Some(known) = self.called.choose(&mut self.rng).filter(|_| repeats) {
            return known.clone();
        }
        let is_stranger = self.rng.random_bool(shares.strangers);
        let customer = if is_stranger { None } else { self.fresh.pop() };
        let number = customer.unwrap_or_else(|| self.stranger());
        self.called.push(number.clone());
        number
    }

    /// A number that nobody has: 555-01xx is kept for fiction in every North American area code.
    fn stranger(&mut self) -> Party {
        let mut number = self.fictional();
        // There are 78,900 of them; on a day with more strangers, some are the same.
        for _ in 0..100 {
            if self.used.insert(number.clone()) {
                break;
            }
            number = self.fictional();
        }
        number
    }

    fn fictional(&mut self) -> Party {
        let (area, last) = (
            self.rng.random_range(201..=989),
            self.rng.random_range(100..=199),
        );
        Party::read(&format!("+1{area}5550{last}"))
    }

    /// Moves the call so that it is being talked when the day or the business hours end.
    fn move_across(&mut self, call: &mut PlannedCall) -> bool {
        let boundary = match self.closes_at {
            Some(closes_at) if self.rng.random_bool(0.7) => closes_at,
            Some(_) | None => self.end,
        };
        call.talk_seconds = call.talk_seconds.max(30);
        let before = self
            .rng
            .random_range(5..call.talk_seconds.saturating_sub(5));
        let back = SignedDuration::from_secs((before.saturating_add(call.ring_seconds)).into());
        match boundary.checked_sub(back) {
            Ok(at) if at >= self.start => {
                call.at = at;
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    fn finish(&mut self, call: &mut PlannedCall, line: &OurLine) {
        let shares = self.profile.shares;
        let drawn: f64 = self.rng.random();
        // What crosses a boundary is always answered, so the others make up for it.
        let rest = 1.0 - shares.across_boundary;
        let unanswered = shares.unanswered / rest;
        let forwarded = unanswered + shares.forwarded / rest;
        if drawn < unanswered {
            call.talk_seconds = 0;
            call.user = if call.is_incoming {
                None
            } else {
                call.user.take()
            };
            call.ending = self.unanswered(call.is_incoming);
        } else if drawn < forwarded && call.is_incoming {
            call.talk_seconds = 0;
            call.user = None;
            call.ending = Ending::Forwarded {
                to: line.forwards_to.clone(),
            };
        } else {
            self.talk(call, line);
        }
    }

    fn unanswered(&mut self, is_incoming: bool) -> Ending {
        match (is_incoming, self.rng.random_range(0..100)) {
            (true, 0..=44) => Ending::Voicemail {
                seconds: self.rng.random_range(4..=75),
                transcript: phrases::VOICEMAILS
                    .choose(&mut self.rng)
                    .map(|text| (*text).to_owned()),
            },
            (true, 45..=84) | (false, 0..=79) => Ending::Missed,
            (true, _) => Ending::Abandoned,
            (false, _) => Ending::Failed,
        }
    }

    fn talk(&mut self, call: &mut PlannedCall, line: &OurLine) {
        let shares = self.profile.shares;
        let colleagues: Vec<&String> = line
            .users
            .iter()
            .filter(|user| Some(*user) != call.user.as_ref())
            .collect();
        if let Some(colleague) = colleagues.choose(&mut self.rng)
            && call.talk_seconds > 60
            && call.is_incoming
            && self.rng.random_bool(shares.transferred)
        {
            let after_seconds = self.rng.random_range(15..call.talk_seconds / 2);
            call.ending = Ending::Transferred {
                to: (*colleague).clone(),
                after_seconds,
            };
        }
        call.is_recorded = self.rng.random_bool(shares.recorded);
        if call.is_recorded
            && let Some(topic) = phrases::TOPICS.choose(&mut self.rng)
        {
            call.transcript = topic.lines();
            call.summary = topic
                .summary
                .iter()
                .map(|point| (*point).to_owned())
                .collect();
        }
    }

    pub(super) fn message(&mut self, at: Timestamp) -> Option<PlannedMessage> {
        let line = self.profile.lines.choose(&mut self.rng)?.clone();
        let is_incoming = self.rng.random_bool(0.55);
        let customer = self
            .profile
            .customers
            .choose(&mut self.rng)
            .cloned()
            .map(Party::from);
        let external = customer.unwrap_or_else(|| self.stranger());
        let texts = if is_incoming {
            phrases::RECEIVED
        } else {
            phrases::SENT
        };
        let fate = match self.rng.random_range(0..100) {
            0..=1 if !is_incoming => Fate::Undelivered,
            2 if !is_incoming => Fate::Failed,
            _ => Fate::Delivered,
        };
        let text = (*texts.choose(&mut self.rng)?).to_owned();
        Some(PlannedMessage {
            at,
            is_incoming,
            our_number: line.number,
            external,
            text,
            fate,
        })
    }
}

/// A generator of its own for each seed and day.
fn generator(seed: u64, date: Date) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    let year = date.year().to_le_bytes();
    let parts = seed
        .to_le_bytes()
        .into_iter()
        .chain(year)
        .chain(date.month().to_le_bytes())
        .chain(date.day().to_le_bytes());
    for (byte, part) in bytes.iter_mut().zip(parts) {
        *byte = part;
    }
    ChaCha8Rng::from_seed(bytes)
}
