//! Pricing the pieces of one usage.

use super::charge::{ChargePart, PartKind, TierDelta};
use super::rate::{Error, Measured, Piece, destination};
use super::state::State;
use super::terms::{PriceTerms, RateTerms, Terms};
use super::trace::{BandTrace, DestinationTrace, FixedFee, Item, TierTrace, TimeTrace, Trace};
use super::usage::{ProviderCost, Usage};
use crate::money::{Fraction, Overflow, Price, Quantity};
use crate::phone::E164;
use crate::plans::{DurationStep, Key, Rate};
use crate::pricing::{DeckEntry, model};

/// Turns pieces into charge parts, one after another.
pub(super) struct Pricer<'a> {
    usage: &'a Usage,
    terms: &'a Terms,
    price: &'a PriceTerms,
    state: &'a State,
    measured: Measured<'a>,
    /// What is due once per usage and was charged already, such as a flat price.
    once_charged: Vec<FixedFee>,
    parts: Vec<ChargePart>,
    tier_deltas: Vec<TierDelta>,
}

/// What a piece costs, and why.
#[derive(Default)]
struct Priced {
    items: Vec<Item>,
    unit_price: Option<Price>,
    divisor: Option<Quantity>,
    tier: Option<TierTrace>,
    destination: Option<DestinationTrace>,
}

impl<'a> Pricer<'a> {
    pub(super) fn new(
        usage: &'a Usage,
        terms: &'a Terms,
        price: &'a PriceTerms,
        state: &'a State,
        measured: Measured<'a>,
    ) -> Self {
        let (parts, tier_deltas) = (Vec::new(), Vec::new());
        Self {
            usage,
            terms,
            price,
            state,
            measured,
            once_charged: Vec::new(),
            parts,
            tier_deltas,
        }
    }

    /// Whether a piece that is charged needs the provider's price, and it is not known. Then all that is charged
    /// waits, since minimum and maximum depend on the whole.
    pub(super) fn is_pending(&self, pieces: &[Piece]) -> bool {
        let needs_cost = |piece: &Piece| {
            let rate = self.price.rates.get(piece.rate).map(|rate| &rate.rate);
            piece.covered.is_none() && matches!(rate, Some(Rate::CostPlus { .. }))
        };
        self.usage.provider_cost == ProviderCost::Pending && pieces.iter().any(needs_cost)
    }

    pub(super) fn finish(self) -> (Vec<ChargePart>, Vec<TierDelta>) {
        (self.parts, self.tier_deltas)
    }

    /// Adds the part of a piece; its amount stays open if `pending`.
    pub(super) fn add(&mut self, piece: &Piece, pending: bool) -> Result<(), Error> {
        let Some(rate) = self.price.rates.get(piece.rate) else {
            return Ok(());
        };
        let Some(covered) = piece.covered else {
            return self.add_charged(piece, rate, pending);
        };
        let mut part = self.part(piece, rate, PartKind::Allowance, Some(Fraction::ZERO));
        part.grant_id = Some(covered.grant_id);
        part.trace.grant_left_before = Some(covered.left_before);
        self.parts.push(part);
        Ok(())
    }

    fn add_charged(
        &mut self,
        piece: &Piece,
        rate: &'a RateTerms,
        pending: bool,
    ) -> Result<(), Error> {
        let kind = if self.price.is_included && rate.draws_on_allowance {
            PartKind::Overage
        } else {
            PartKind::Usage
        };
        let priced = self.priced(piece, rate)?;
        let mut part = self.part(piece, rate, kind, None);
        part.unit_price = priced.unit_price;
        part.divisor = priced.divisor;
        part.trace.tier = priced.tier;
        part.trace.destination = priced.destination;
        part.trace.items = priced.items;
        if !pending {
            part.amount = match &rate.rate {
                Rate::PerUnit { .. } => Some(piece.quantity.to_fraction().checked_mul(rate.unit)?),
                Rate::ByDuration { .. }
                | Rate::Graduated { .. }
                | Rate::Volume { .. }
                | Rate::Package { .. }
                | Rate::Flat { .. }
                | Rate::CostPlus { .. }
                | Rate::Deck { .. } => part.trace.amount(self.usage.provider_cost)?,
            };
        }
        self.parts.push(part);
        Ok(())
    }

    fn part(
        &self,
        piece: &Piece,
        rate: &RateTerms,
        kind: PartKind,
        amount: Option<Fraction>,
    ) -> ChargePart {
        let band = self.band(piece);
        ChargePart {
            part: 0,
            kind,
            price_key: Some(rate.key.clone()),
            band: band.as_ref().map(|band| band.band.clone()),
            quantity: piece.quantity,
            unit_price: None,
            divisor: None,
            amount,
            currency: self.terms.currency,
            grant_id: None,
            trace: Trace {
                time: self.time_of(piece),
                band,
                ..Trace::new()
            },
        }
    }

    fn time_of(&self, piece: &Piece) -> Option<TimeTrace> {
        let from_second = second_of(piece);
        self.measured.time.map(|time| TimeTrace {
            from_second,
            ..time
        })
    }

    fn band(&self, piece: &Piece) -> Option<BandTrace> {
        let calendar = self.terms.calendar.as_ref()?;
        let band = calendar.name(piece.band?)?.clone();
        let seconds = self.measured.time.map_or(0, |time| {
            i64::from(time.free_seconds) + i64::from(second_of(piece))
        });
        let starts_at = self
            .usage
            .occurred_at
            .checked_add(jiff::SignedDuration::from_secs(seconds))
            .ok()?;
        Some(BandTrace {
            band,
            mode: self.price.band_mode,
            zone: calendar.zone().clone(),
            starts_at,
        })
    }

    fn priced(&mut self, piece: &Piece, rate: &'a RateTerms) -> Result<Priced, Error> {
        let quantity = piece.quantity;
        match &rate.rate {
            Rate::PerUnit { price, per } => Ok(Priced::per_unit(quantity, *price, *per)),
            Rate::Deck { per, deck } => {
                let entry = self.destination(piece, rate, deck)?;
                let destination = Some(DestinationTrace {
                    deck: deck.clone(),
                    prefix: self.prefix(entry),
                });
                Ok(Priced {
                    destination,
                    ..Priced::per_unit(quantity, entry.price, *per)
                })
            }
            Rate::ByDuration { per, steps } => Ok(Priced {
                items: by_duration(steps, *per, piece)?,
                ..Priced::default()
            }),
            Rate::Graduated { per, tiers } => {
                let tier = self.count(&rate.key, quantity)?;
                let items = model::graduated(tiers, *per, tier.before, tier.after)?;
                Ok(Priced {
                    items,
                    tier: Some(tier),
                    ..Priced::default()
                })
            }
            Rate::Volume { per, tiers } => {
                let tier = self.count(&rate.key, quantity)?;
                let items = model::volume(tiers, *per, tier.before, tier.after);
                Ok(Priced {
                    items,
                    tier: Some(tier),
                    ..Priced::default()
                })
            }
            Rate::Package { price, size } => {
                let tier = self.count(&rate.key, quantity)?;
                let items = model::package(*price, *size, tier.before, tier.after)?;
                let (unit_price, divisor) = (Some(*price), Some(*size));
                Ok(Priced {
                    items,
                    unit_price,
                    divisor,
                    tier: Some(tier),
                    ..Priced::default()
                })
            }
            Rate::Flat { price } => {
                let items = self.once(FixedFee::Usage, *price);
                Ok(Priced {
                    items,
                    unit_price: Some(*price),
                    ..Priced::default()
                })
            }
            Rate::CostPlus { percent, fixed } => {
                let mut items = vec![Item::Cost {
                    quantity,
                    of: self.measured.billed,
                    percent: *percent,
                }];
                items.extend(self.once(FixedFee::MarkUp, *fixed));
                Ok(Priced {
                    items,
                    ..Priced::default()
                })
            }
        }
    }

    fn destination(
        &self,
        piece: &Piece,
        rate: &'a RateTerms,
        deck: &Key,
    ) -> Result<&'a DeckEntry, Error> {
        let entry = if piece.rate == self.measured.opening.rate {
            self.measured.opening.entry
        } else {
            destination(self.usage, rate)?
        };
        entry.ok_or_else(|| Error::NoDestination(deck.clone()))
    }

    /// The entry's prefix, which is how the number begins: that is at hand already, the text of one of many entries is not.
    fn prefix(&self, entry: &DeckEntry) -> String {
        let digits = self.usage.destination.as_ref().map(E164::digits);
        let prefix = digits.and_then(|digits| digits.get(..entry.prefix.len()));
        prefix.unwrap_or_default().to_owned()
    }

    /// What is due once per usage, with the first piece that is charged in this way. A piece that is priced otherwise,
    /// such as by the minute in the band before, has paid nothing of it.
    fn once(&mut self, fee: FixedFee, price: Price) -> Vec<Item> {
        if self.once_charged.contains(&fee) {
            return Vec::new();
        }
        self.once_charged.push(fee);
        if price == Price::ZERO {
            return Vec::new();
        }
        vec![Item::Fixed { fee, price }]
    }

    /// Counts a quantity under a price with tiers or packages.
    fn count(&mut self, key: &Key, quantity: Quantity) -> Result<TierTrace, Overflow> {
        let counted = self
            .tier_deltas
            .iter_mut()
            .find(|delta| delta.price_key == *key);
        let total = self.state.tier_total(key);
        let before = if let Some(delta) = counted {
            let before = total.checked_add(delta.quantity)?;
            delta.quantity = delta.quantity.checked_add(quantity)?;
            before
        } else {
            self.tier_deltas.push(TierDelta {
                price_key: key.clone(),
                quantity,
            });
            total
        };
        Ok(TierTrace {
            before,
            after: before.checked_add(quantity)?,
        })
    }
}

impl Priced {
    fn per_unit(quantity: Quantity, price: Price, per: Quantity) -> Self {
        let items = vec![Item::Units {
            quantity,
            price,
            per,
            tier: None,
        }];
        Self {
            items,
            unit_price: Some(price),
            divisor: Some(per),
            ..Self::default()
        }
    }
}

/// The billed second in which a piece begins.
fn second_of(piece: &Piece) -> u32 {
    piece
        .from
        .floor_units()
        .and_then(|from| u32::try_from(from).ok())
        .unwrap_or_default()
}

/// Cuts a piece at the seconds where another step begins.
fn by_duration(
    steps: &[DurationStep],
    per: Quantity,
    piece: &Piece,
) -> Result<Vec<Item>, Overflow> {
    let end = piece.from.checked_add(piece.quantity)?;
    let ends = steps
        .iter()
        .skip(1)
        .map(|step| Quantity::from_units(step.from_second))
        .chain([end]);
    let mut items = Vec::new();
    for ((step, step_end), number) in steps.iter().zip(ends).zip(1_u32..) {
        let from = piece.from.max(Quantity::from_units(step.from_second));
        let to = end.min(step_end);
        if from < to {
            items.push(Item::Units {
                quantity: to.checked_sub(from)?,
                price: step.price,
                per,
                tier: Some(number),
            });
        }
    }
    Ok(items)
}
