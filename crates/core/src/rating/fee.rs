//! The base fees of a billing period.

use jiff::Timestamp;

use super::charge::{ChargePart, PartKind};
use super::terms::Terms;
use super::trace::{Item, Trace};
use crate::money::{Overflow, Price, Quantity};
use crate::plans::Proration;
use crate::subscriptions::{Segment, Share, State, paid_within, share};
use crate::time::{Period, TimeError, Zone};

/// The base fee of a stretch of a billing period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueFee<'a, T> {
    /// The terms that it is due on.
    pub terms: &'a T,
    /// The first instant that it is for.
    pub due_at: Timestamp,
    /// What is charged; numbered within the period.
    pub part: ChargePart,
}

/// Why fees cannot be worked out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// Days beyond the calendar.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// Too large.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// The base fees of a whole billing period: one for each stretch on the same terms for which one is due, in order of time.
/// `prorated` says of terms how they share their fee, and prices it.
///
/// Where nothing interrupts them, the shares of terms with one basis add up to exactly one. Without proration terms are
/// charged whole, once in the period, however often they were left and taken up again.
pub fn base_fees<'a, T: PartialEq>(
    full: &Period,
    zone: &Zone,
    terms: &'a [Segment<T>],
    states: &[Segment<State>],
    prorated: impl Fn(&'a T) -> (Proration, &'a Terms),
) -> Result<Vec<DueFee<'a, T>>, FeeError> {
    let mut fees: Vec<DueFee<'a, T>> = Vec::new();
    for (own, stretch) in paid_within(full, terms, states) {
        let (basis, priced) = prorated(own);
        if basis == Proration::None && fees.iter().any(|fee| fee.terms == own) {
            continue;
        }
        let share = share(full, &stretch, basis, zone)?;
        let Some(mut part) = priced.base_fee(share)? else {
            continue;
        };
        part.part = u16::try_from(fees.len()).map_err(|_| Overflow)?;
        fees.push(DueFee {
            terms: own,
            due_at: stretch.start(),
            part,
        });
    }
    Ok(fees)
}

impl Terms {
    /// The base fee for a share of a billing period; `None` if the plan has none or the share is nothing.
    ///
    /// The fees of parts that tile a period sum to exactly the whole fee.
    pub fn base_fee(&self, share: Share) -> Result<Option<ChargePart>, Overflow> {
        if self.base_fee == Price::ZERO || share.part == 0 {
            return Ok(None);
        }
        let quantity = Quantity::try_from_units(share.part).map_err(|_| Overflow)?;
        let per = Quantity::try_from_units(share.whole).map_err(|_| Overflow)?;
        let items = vec![Item::Units {
            quantity,
            price: self.base_fee,
            per,
            tier: None,
        }];
        Ok(Some(ChargePart {
            part: 0,
            kind: PartKind::Fee,
            price_key: None,
            band: None,
            quantity,
            unit_price: Some(self.base_fee),
            divisor: Some(per),
            amount: Some(
                self.base_fee
                    .to_fraction()
                    .checked_mul(share.to_fraction()?)?,
            ),
            currency: self.currency,
            grant_id: None,
            trace: Trace {
                items,
                ..Trace::new()
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Fraction;
    use crate::plans::Offer;
    use crate::rating::{ProviderCost, Surroundings};

    fn terms(fee: &str) -> Terms {
        let json = format!(r#"{{"currency":"USD","baseFee":"{fee}"}}"#);
        Terms::new(
            &Offer::read(json.as_bytes()).unwrap().document,
            &Surroundings::default(),
        )
        .unwrap()
    }

    #[test]
    fn parts_of_a_period_sum_to_the_whole_fee() {
        let fee = |part| {
            terms("49")
                .base_fee(Share { part, whole: 31 })
                .unwrap()
                .unwrap()
        };
        let parts = [fee(10), fee(14), fee(7)];
        let sum = Fraction::sum(parts.iter().filter_map(|part| part.amount)).unwrap();
        assert_eq!(sum, Fraction::from_whole(49));
        for part in &parts {
            assert_eq!(
                part.trace.amount(ProviderCost::Pending).unwrap(),
                part.amount
            );
            assert_eq!(part.line_group(), "base/fee");
        }
    }

    /// Fees of April 2026: a change on the 11th, a pause from the 21st to the 26th.
    fn of_april(proration: [Proration; 2]) -> Vec<String> {
        let at = |day: i8| -> Timestamp { format!("2026-04-{day:02}T09:00:00Z").parse().unwrap() };
        let full = Period::new(
            "2026-04-01T00:00:00Z".parse().unwrap(),
            "2026-05-01T00:00:00Z".parse().unwrap(),
        )
        .unwrap();
        let plans = [terms("30"), terms("60")];
        let segment = |terms: usize, from, to: Option<i8>| Segment {
            terms,
            starts_at: at(from),
            ends_at: to.map(at),
        };
        let segments = [segment(0, 1, Some(11)), segment(1, 11, None)];
        let state = |terms, from, to: Option<i8>| Segment {
            terms,
            starts_at: at(from),
            ends_at: to.map(at),
        };
        let states = [
            state(State::Active, 1, Some(21)),
            state(State::Paused, 21, Some(26)),
            state(State::Active, 26, None),
        ];
        let fees = base_fees(&full, &Zone::UTC, &segments, &states, |it| {
            (proration[*it], &plans[*it])
        });
        let shown = |fee: DueFee<'_, usize>| {
            let part = fee.part;
            format!(
                "{} {} {} of {}: {}",
                part.part,
                &fee.due_at.to_string()[8..10],
                part.quantity,
                part.divisor.unwrap(),
                part.amount.unwrap()
            )
        };
        fees.unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn each_stretch_has_its_fee() {
        assert_eq!(
            of_april([Proration::Days; 2]),
            ["0 01 10 of 30: 10", "1 11 10 of 30: 20", "2 26 5 of 30: 10",]
        );
        // Without proration what was left and taken up again is charged once.
        assert_eq!(
            of_april([Proration::Days, Proration::None]),
            ["0 01 10 of 30: 10", "1 11 1 of 1: 60"]
        );
    }

    #[test]
    fn nothing_is_no_charge() {
        assert_eq!(
            terms("0")
                .base_fee(Share {
                    part: 31,
                    whole: 31
                })
                .unwrap(),
            None
        );
        assert_eq!(
            terms("49").base_fee(Share { part: 0, whole: 31 }).unwrap(),
            None
        );
    }
}
