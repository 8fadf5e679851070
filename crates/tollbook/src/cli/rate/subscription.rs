//! The life of the account's subscription: when it is in force, and when a base fee is due.

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollbook_core::plans::Document;
use tollbook_core::rating::{ChargePart, Terms, base_fees};
use tollbook_core::subscriptions::{InvalidLife, Life, Pause, Segment, trial_end};
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
    life: Life,
}

impl Subscription {
    pub(super) fn new(file: SubscriptionFile, document: &Document, zone: Zone) -> Result<Self> {
        let pause = |it: &PauseFile| Pause {
            starts_at: it.starts_at,
            ends_at: it.ends_at,
        };
        let life = Life {
            starts_at: file.starts_at,
            trial_ends_at: Some(trial_end(file.starts_at, document.trial_days, &zone)?),
            canceled_at: None,
            ends_at: file.ends_at,
            pauses: file.pauses.iter().map(pause).collect(),
        };
        match life.check() {
            Ok(()) => Ok(Self { file, zone, life }),
            Err(InvalidLife::End) => {
                bail!("the account's `subscription.endsAt` must be after `startsAt`")
            }
            Err(InvalidLife::Pause(index)) => bail!(
                "the account's `subscription.pauses[{index}]` must be after the trial and the pause before, and before the end"
            ),
        }
    }

    pub(super) fn file(&self) -> &SubscriptionFile {
        &self.file
    }

    pub(super) fn is_in_force(&self, at: Timestamp) -> bool {
        self.life.in_force().iter().any(|it| it.contains(at))
    }

    /// The stretches in which usage is rated on its terms.
    pub(super) fn in_force(&self) -> Vec<Period> {
        self.life.in_force()
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
        let states = self.life.states();
        let fees = base_fees(period, &self.zone, &whole, &states, |()| {
            (document.proration, terms)
        })?;
        Ok(fees.into_iter().map(|it| (it.due_at, it.part)).collect())
    }

    /// Whether the period has any time that is paid for.
    pub(super) fn is_paid(&self, period: &Period) -> bool {
        self.life.is_paid(period)
    }
}
