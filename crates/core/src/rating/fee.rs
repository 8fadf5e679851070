//! The base fee of a billing period.

use super::charge::{ChargePart, PartKind};
use super::terms::Terms;
use super::trace::{Item, Trace};
use crate::money::{Overflow, Price, Quantity};
use crate::subscriptions::Share;

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
