//! The life of the account's subscription: when it is in force, and when a base fee is due.

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollbook_core::plans::Document;
use tollbook_core::rating::{ChargePart, Terms};
use tollbook_core::subscriptions::{Segment, State, paid_within, share, trial_end};
use tollbook_core::time::{Period, Zone};

/// A subscription as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SubscriptionFile {
    pub(super) starts_at: Timestamp,
    /// First instant at which it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ends_at: Option<Timestamp>,
    /// In order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pauses: Vec<PauseFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PauseFile {
    starts_at: Timestamp,
    /// When it was resumed; not yet if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<Timestamp>,
}

/// A subscription while calls are rated.
#[derive(Debug)]
pub(super) struct Subscription {
    file: SubscriptionFile,
    zone: Zone,
    states: Vec<Segment<State>>,
}

impl Subscription {
    pub(super) fn new(file: SubscriptionFile, document: &Document, zone: Zone) -> Result<Self> {
        let end = file.ends_at.unwrap_or(Timestamp::MAX);
        if end <= file.starts_at {
            bail!("the account's `subscription.endsAt` must be after `startsAt`");
        }
        let paid_from = trial_end(file.starts_at, document.trial_days, &zone)?.min(end);
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
        segment(State::Trial, file.starts_at, paid_from);
        let mut active_from = paid_from;
        for (index, pause) in file.pauses.iter().enumerate() {
            let resumed_at = pause.ends_at.unwrap_or(end);
            if pause.starts_at < active_from || resumed_at <= pause.starts_at || end < resumed_at {
                bail!(
                    "the account's `subscription.pauses[{index}]` must be after the trial and the pause before, and before the end"
                );
            }
            segment(State::Active, active_from, pause.starts_at);
            segment(State::Paused, pause.starts_at, resumed_at);
            active_from = resumed_at;
        }
        segment(State::Active, active_from, end);
        Ok(Self { file, zone, states })
    }

    pub(super) fn file(&self) -> &SubscriptionFile {
        &self.file
    }

    pub(super) fn is_in_force(&self, at: Timestamp) -> bool {
        self.in_force().iter().any(|it| it.contains(at))
    }

    /// The stretches in which usage is rated on its terms.
    pub(super) fn in_force(&self) -> Vec<Period> {
        let of_force = self.states.iter().filter(|it| it.terms.is_in_force());
        let stretch =
            |it: &Segment<State>| Period::new(it.starts_at, it.ends_at.unwrap_or(Timestamp::MAX));
        of_force.filter_map(|it| stretch(it).ok()).collect()
    }

    /// Base fees of a period, each with the instant from which it is due.
    pub(super) fn fees(
        &self,
        period: &Period,
        document: &Document,
        terms: &Terms,
    ) -> Result<Vec<(Timestamp, ChargePart)>> {
        let whole = [Segment {
            terms: (),
            starts_at: self.file.starts_at,
            ends_at: None,
        }];
        let mut fees = Vec::new();
        for ((), part) in paid_within(period, &whole, &self.states) {
            let share = share(period, &part, document.proration, &self.zone)?;
            let fee = terms.base_fee(share)?;
            fees.extend(fee.map(|fee| (part.start(), fee)));
        }
        Ok(fees)
    }

    /// Whether the period has any time that is paid for.
    pub(super) fn is_paid(&self, period: &Period) -> bool {
        self.states
            .iter()
            .filter(|it| it.terms.is_paid())
            .any(|it| {
                Period::new(it.starts_at, it.ends_at.unwrap_or(Timestamp::MAX))
                    .is_ok_and(|it| it.intersect(period).is_some())
            })
    }
}
