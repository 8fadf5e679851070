//! The life of a subscription: when it starts and ends, its trial, and its pauses.

use jiff::Timestamp;

use super::lifecycle::State;
use super::segments::Segment;
use crate::time::Period;

/// The times that decide how a subscription stands. What lies behind its end does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// First instant.
    pub starts_at: Timestamp,
    /// First instant for which a base fee is due, if it begins with a trial.
    pub trial_ends_at: Option<Timestamp>,
    /// When somebody canceled it, if that stands; it is in force until its end.
    pub canceled_at: Option<Timestamp>,
    /// First instant at which it is over.
    pub ends_at: Option<Timestamp>,
    /// In order of time; none touches another.
    pub pauses: Vec<Pause>,
}

/// A time without base fee and allowance, in which usage is charged as if there were no subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// First instant.
    pub starts_at: Timestamp,
    /// When it goes on; not known yet if absent.
    pub ends_at: Option<Timestamp>,
}

/// A life that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLife {
    /// The end is not behind the start.
    #[error("a subscription ends after it starts")]
    End,
    /// The pause with this index, from 0.
    #[error("a pause is behind the trial and the pause before it, and not behind the end")]
    Pause(usize),
}

impl Pause {
    /// Whether `at` lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.starts_at <= at && self.ends_at.is_none_or(|end| at < end)
    }
}

impl Life {
    /// First instant for which a base fee is due.
    pub fn paid_from(&self) -> Timestamp {
        self.trial_ends_at.unwrap_or(self.starts_at)
    }

    /// Whether its times fit together: pauses lie between the trial and the end, one behind the other.
    pub fn check(&self) -> Result<(), InvalidLife> {
        let end = self.ends_at.unwrap_or(Timestamp::MAX);
        if end <= self.starts_at {
            return Err(InvalidLife::End);
        }
        let mut active_from = self.paid_from().min(end);
        for (index, pause) in self.pauses.iter().enumerate() {
            let resumed_at = pause.ends_at.unwrap_or(end);
            if pause.starts_at < active_from || resumed_at <= pause.starts_at || end < resumed_at {
                return Err(InvalidLife::Pause(index));
            }
            active_from = resumed_at;
        }
        Ok(())
    }

    /// The states one after another, from the start to the end. A cancellation makes no segment of its own: until the end
    /// it changes nothing.
    pub fn states(&self) -> Vec<Segment<State>> {
        let end = self.ends_at.unwrap_or(Timestamp::MAX);
        let paid_from = self.paid_from().min(end);
        let mut states = Vec::new();
        let mut segment = |terms, starts_at, ends_at| {
            if starts_at < ends_at {
                let ends_at = Some(ends_at);
                states.push(Segment {
                    terms,
                    starts_at,
                    ends_at,
                });
            }
        };
        segment(State::Trial, self.starts_at, paid_from);
        let mut active_from = paid_from;
        for pause in &self.pauses {
            let paused_from = pause.starts_at.max(active_from).min(end);
            let resumed_at = pause.ends_at.map_or(end, |at| at.min(end)).max(paused_from);
            segment(State::Active, active_from, paused_from);
            segment(State::Paused, paused_from, resumed_at);
            active_from = resumed_at;
        }
        segment(State::Active, active_from, end);
        states
    }

    /// How it stands at a time; before its start as it will begin.
    pub fn state_at(&self, at: Timestamp) -> State {
        if self.ends_at.is_some_and(|end| end <= at) {
            State::Ended
        } else if self.pauses.iter().any(|pause| pause.contains(at)) {
            State::Paused
        } else if self.canceled_at.is_some() {
            State::Canceled
        } else if at < self.paid_from() {
            State::Trial
        } else {
            State::Active
        }
    }

    /// The stretches in which usage is rated on its terms.
    pub fn in_force(&self) -> Vec<Period> {
        self.stretches(State::is_in_force)
    }

    /// Whether a base fee is due for any time of a period.
    pub fn is_paid(&self, period: &Period) -> bool {
        let paid = self.stretches(State::is_paid);
        paid.iter().any(|it| it.intersect(period).is_some())
    }

    fn stretches(&self, is_wanted: fn(State) -> bool) -> Vec<Period> {
        let wanted = self
            .states()
            .into_iter()
            .filter(|state| is_wanted(state.terms));
        let stretch = |it: Segment<State>| {
            Period::new(it.starts_at, it.ends_at.unwrap_or(Timestamp::MAX)).ok()
        };
        wanted.filter_map(stretch).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i8) -> Timestamp {
        format!("2026-04-{day:02}T00:00:00Z").parse().unwrap()
    }

    fn life() -> Life {
        Life {
            starts_at: day(1),
            trial_ends_at: Some(day(5)),
            canceled_at: None,
            ends_at: Some(day(25)),
            pauses: vec![
                Pause {
                    starts_at: day(8),
                    ends_at: Some(day(10)),
                },
                Pause {
                    starts_at: day(20),
                    ends_at: None,
                },
            ],
        }
    }

    fn shown(life: &Life) -> Vec<String> {
        let day = |at: Timestamp| at.to_string()[8..10].to_owned();
        let states = life.states();
        states
            .iter()
            .map(|it| {
                format!(
                    "{} {}-{}",
                    it.terms,
                    day(it.starts_at),
                    day(it.ends_at.unwrap())
                )
            })
            .collect()
    }

    #[test]
    fn the_states_tile_the_time_from_start_to_end() {
        let whole = [
            "trial 01-05",
            "active 05-08",
            "paused 08-10",
            "active 10-20",
            "paused 20-25",
        ];
        assert_eq!(shown(&life()), whole);
        // What lies behind the end does not count, whatever is said of it.
        let ended = Life {
            ends_at: Some(day(9)),
            ..life()
        };
        assert_eq!(
            shown(&ended),
            ["trial 01-05", "active 05-08", "paused 08-09"]
        );
        let in_trial = Life {
            ends_at: Some(day(3)),
            ..life()
        };
        assert_eq!(shown(&in_trial), ["trial 01-03"]);
    }

    #[test]
    fn it_stands_as_its_times_say() {
        let mut life = life();
        let state = |life: &Life, at| life.state_at(day(at)).to_string();
        let days = [1, 4, 5, 8, 9, 10, 20, 24, 25];
        assert_eq!(
            days.map(|at| state(&life, at)),
            [
                "trial", "trial", "active", "paused", "paused", "active", "paused", "paused",
                "ended"
            ]
        );
        life.canceled_at = Some(day(6));
        assert_eq!(state(&life, 7), "canceled");
        assert_eq!(state(&life, 8), "paused");
        let period = |from, to| Period::new(day(from), day(to)).unwrap();
        assert!(!life.is_paid(&period(1, 5)));
        assert!(life.is_paid(&period(1, 6)));
        assert!(!life.is_paid(&period(20, 30)));
        assert_eq!(
            life.in_force(),
            [period(1, 5), period(5, 8), period(10, 20)]
        );
    }

    #[test]
    fn times_that_do_not_fit_are_named() {
        assert_eq!(life().check(), Ok(()));
        let ends_at_once = Life {
            ends_at: Some(day(1)),
            ..life()
        };
        assert_eq!(ends_at_once.check(), Err(InvalidLife::End));
        let pause = |from, to: Option<i8>| {
            let mut life = life();
            life.pauses[1] = Pause {
                starts_at: day(from),
                ends_at: to.map(day),
            };
            life.check()
        };
        for wrong in [(9, None), (12, Some(12)), (12, Some(26)), (26, None)] {
            assert_eq!(
                pause(wrong.0, wrong.1),
                Err(InvalidLife::Pause(1)),
                "{wrong:?}"
            );
        }
        assert_eq!(pause(10, Some(25)), Ok(()));
        let mut in_trial = life();
        in_trial.pauses[0].starts_at = day(4);
        assert_eq!(in_trial.check(), Err(InvalidLife::Pause(0)));
    }
}
