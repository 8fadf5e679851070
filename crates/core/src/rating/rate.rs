//! The rating of one usage.

use super::charge::{ChargePart, PartKind, Rated};
use super::draw::{Covered, Drawer};
use super::pricer::Pricer;
use super::segments::{Segment, divide};
use super::state::State;
use super::terms::{PriceTerms, RateTerms, Terms};
use super::trace::{FixedFee, Item, NotChargedReason, TimeTrace, Trace};
use super::usage::Usage;
use crate::money::{Fraction, Overflow, Price, Quantity};
use crate::plans::{Key, Rate};
use crate::pricing::{Calendar, DeckEntry};

/// Why a usage cannot be rated. It stays, visible, until its cause is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A correction is a reversal and a new usage, never a negative quantity.
    #[error("a usage of less than nothing cannot be rated")]
    Negative,
    /// No prefix of the deck fits the number, or there is no number.
    #[error("price deck `{0}` has no price for the destination")]
    NoDestination(Key),
    /// An amount or a time is too large.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// Rates one usage on the terms in force, given what the account has used before.
///
/// The account's state is not changed; see [`State::apply`].
pub fn rate(usage: &Usage, terms: &Terms, state: &State) -> Result<Rated, Error> {
    if usage.quantity.is_negative() {
        return Err(Error::Negative);
    }
    let Some(price) = terms.price(&usage.meter, usage.direction) else {
        return Ok(not_charged(terms, None, NotChargedReason::NoPrice));
    };
    let key = price.rates.first().map(|rate| rate.key.clone());
    if usage.quantity.is_zero() {
        return Ok(not_charged(terms, key, NotChargedReason::NothingUsed));
    }
    let used_seconds = used_seconds(usage)?;
    if used_seconds.is_some_and(|used| used <= price.free_seconds) {
        return Ok(not_charged(terms, key, NotChargedReason::WithinFreeSeconds));
    }
    let opening = Opening::new(usage, price, terms.calendar.as_ref())?;
    let time = used_seconds
        .map(|used| billed_time(used, price, opening))
        .transpose()?;
    let billed = time.map_or(usage.quantity, |time| {
        Quantity::from_units(time.billed_seconds)
    });
    let segments = divide(usage, billed, time.as_ref(), price, terms.calendar.as_ref())?;
    let mut drawer = Drawer::new(usage, terms, state)?;
    let pieces = cover(&segments, price, &mut drawer)?;
    let mut pricer = Pricer::new(
        usage,
        terms,
        price,
        state,
        Measured {
            billed,
            time,
            opening,
        },
    );
    let pending = pricer.is_pending(&pieces);
    for piece in &pieces {
        pricer.add(piece, pending)?;
    }
    let charged = pieces.iter().any(|piece| piece.covered.is_none());
    let (mut parts, tier_deltas) = pricer.finish();
    if charged && !pending {
        let fee = opening
            .entry
            .and_then(|entry| entry.connection_fee)
            .or(price.connection_fee);
        add_fees(&mut parts, terms, price, fee)?;
    }
    number(&mut parts)?;
    Ok(Rated {
        parts,
        grant_draws: drawer.into_draws(),
        tier_deltas,
    })
}

/// The longest call that is priced exactly like one of `seconds` seconds: up to the end of its last increment, or to
/// where the next band begins. `call` is time; its quantity is not looked at.
pub(crate) fn priced_alike_until(call: &Usage, terms: &Terms, seconds: u32) -> Result<u32, Error> {
    let Some(price) = terms.price(&call.meter, call.direction) else {
        return Ok(u32::MAX);
    };
    let free = price.free_seconds;
    if seconds <= free {
        return Ok(free);
    }
    let opening = Opening::new(call, price, terms.calendar.as_ref())?;
    let mut charged = billed_time(seconds, price, opening)?.billed_seconds;
    if let Some(calendar) = terms
        .calendar
        .as_ref()
        .filter(|_| !price.rate_of_band.is_empty())
    {
        let start = call.occurred_at.as_second().saturating_add(free.into());
        let last = i64::from(seconds.saturating_sub(free)).saturating_sub(1);
        let until = calendar.band_at(start.saturating_add(last)).until;
        charged = charged.min(u32::try_from(until.saturating_sub(start)).unwrap_or(u32::MAX));
    }
    Ok(free.saturating_add(charged).max(seconds))
}

/// What is known of a usage before it is divided.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured<'a> {
    /// Units to be covered or charged.
    pub(super) billed: Quantity,
    /// How time became them.
    pub(super) time: Option<TimeTrace>,
    /// The rate under which the usage begins.
    pub(super) opening: Opening<'a>,
}

/// The rate of a usage's first charged second, or of all of it where it is not time.
///
/// Increments and the connection fee are those of the whole call, so one rate decides on them: the one under which the
/// call begins, whether or not the allowance covers its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    /// Index of the price's rate.
    pub(super) rate: usize,
    /// The deck's line for the destination, if the rate is by destination.
    pub(super) entry: Option<&'a DeckEntry>,
}

impl<'a> Opening<'a> {
    fn new(
        usage: &Usage,
        price: &'a PriceTerms,
        calendar: Option<&Calendar>,
    ) -> Result<Self, Error> {
        let free_seconds = if usage.is_time { price.free_seconds } else { 0 };
        let begins_at = usage
            .occurred_at
            .as_second()
            .saturating_add(free_seconds.into());
        let band = calendar
            .filter(|_| !price.rate_of_band.is_empty())
            .map(|calendar| calendar.band_at(begins_at).band);
        let rate = price.rate_in(band);
        let entry = match price.rates.get(rate) {
            Some(terms) => destination(usage, terms)?,
            None => None,
        };
        Ok(Self { rate, entry })
    }
}

/// The deck's line for a usage, if the rate is by destination.
pub(super) fn destination<'a>(
    usage: &Usage,
    rate: &'a RateTerms,
) -> Result<Option<&'a DeckEntry>, Error> {
    let (Rate::Deck { deck: name, .. }, Some(deck)) = (&rate.rate, &rate.deck) else {
        return Ok(None);
    };
    let entry = usage
        .destination
        .as_ref()
        .and_then(|number| deck.find(number, usage.occurred_at));
    entry
        .map(Some)
        .ok_or_else(|| Error::NoDestination(name.clone()))
}

/// Seconds that were used, a begun one whole; `None` if the quantity is not time.
fn used_seconds(usage: &Usage) -> Result<Option<u32>, Overflow> {
    if !usage.is_time {
        return Ok(None);
    }
    let seconds = u32::try_from(usage.quantity.to_fraction().ceil()).map_err(|_| Overflow)?;
    Ok(Some(seconds))
}

/// Rounds time up to increments, less the free seconds.
fn billed_time(
    used_seconds: u32,
    price: &PriceTerms,
    opening: Opening<'_>,
) -> Result<TimeTrace, Overflow> {
    let increment = opening
        .entry
        .and_then(|entry| entry.increment)
        .unwrap_or(price.increment);
    let charged = used_seconds.saturating_sub(price.free_seconds);
    Ok(TimeTrace {
        used_seconds,
        free_seconds: price.free_seconds,
        increment,
        billed_seconds: increment.billed(charged).ok_or(Overflow)?,
        from_second: 0,
    })
}

/// A stretch of a usage in one band that one grant covers, or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// Billed units before it.
    pub(super) from: Quantity,
    /// Billed units of it.
    pub(super) quantity: Quantity,
    /// Index of the calendar's band, if the price has bands.
    pub(super) band: Option<usize>,
    /// Index of the price's rate.
    pub(super) rate: usize,
    /// The grant.
    pub(super) covered: Option<Covered>,
}

/// Cuts segments at the ends of grants, in order of time.
fn cover(
    segments: &[Segment],
    price: &PriceTerms,
    drawer: &mut Drawer<'_>,
) -> Result<Vec<Piece>, Overflow> {
    let mut pieces = Vec::with_capacity(segments.len());
    for segment in segments {
        let rate = price.rate_in(segment.band);
        let draws = price.is_included
            && price
                .rates
                .get(rate)
                .is_some_and(|rate| rate.draws_on_allowance);
        let (mut from, mut left) = (segment.from, segment.quantity);
        while !left.is_zero() {
            let covered = if draws { drawer.cover(left)? } else { None };
            let quantity = covered.map_or(left, |covered| covered.quantity);
            pieces.push(Piece {
                from,
                quantity,
                band: segment.band,
                rate,
                covered,
            });
            from = from.checked_add(quantity)?;
            left = left.checked_sub(quantity)?;
        }
    }
    Ok(pieces)
}

/// Connection fee, minimum and maximum, for a usage of which something is charged.
fn add_fees(
    parts: &mut Vec<ChargePart>,
    terms: &Terms,
    price: &PriceTerms,
    connection_fee: Option<Price>,
) -> Result<(), Overflow> {
    let key = price.rates.first().map(|rate| rate.key.clone());
    if let Some(fee) = connection_fee.filter(|fee| *fee != Price::ZERO) {
        let items = vec![Item::Fixed {
            fee: FixedFee::Connection,
            price: fee,
        }];
        let mut part = fee_part(
            terms,
            key.clone(),
            PartKind::Connection,
            fee.to_fraction(),
            items,
        );
        part.unit_price = Some(fee);
        parts.push(part);
    }
    if price.minimum_charge.is_none() && price.maximum_charge.is_none() {
        return Ok(());
    }
    let total = Fraction::sum(parts.iter().filter_map(|part| part.amount))?;
    let limits = [
        (
            price
                .minimum_charge
                .filter(|minimum| total < minimum.to_fraction()),
            PartKind::Minimum,
            FixedFee::Minimum,
        ),
        (
            price
                .maximum_charge
                .filter(|maximum| total > maximum.to_fraction()),
            PartKind::Maximum,
            FixedFee::Maximum,
        ),
    ];
    for (limit, kind, fee) in limits {
        let Some(limit) = limit else { continue };
        let amount = limit.to_fraction().checked_sub(total)?;
        let items = vec![
            Item::Fixed { fee, price: limit },
            Item::ChargedBefore { amount: total },
        ];
        parts.push(fee_part(terms, key.clone(), kind, amount, items));
    }
    Ok(())
}

fn fee_part(
    terms: &Terms,
    price_key: Option<Key>,
    kind: PartKind,
    amount: Fraction,
    items: Vec<Item>,
) -> ChargePart {
    ChargePart {
        part: 0,
        kind,
        price_key,
        band: None,
        quantity: Quantity::ZERO,
        unit_price: None,
        divisor: None,
        amount: Some(amount),
        currency: terms.currency,
        grant_id: None,
        trace: Trace {
            items,
            ..Trace::new()
        },
    }
}

/// What one usage comes to that its payer is not billed for: nothing, and it draws on nothing.
pub fn waive(usage: &Usage, terms: &Terms) -> Rated {
    let Some(price) = terms.price(&usage.meter, usage.direction) else {
        return not_charged(terms, None, NotChargedReason::NoPrice);
    };
    let key = price.rates.first().map(|rate| rate.key.clone());
    let reason = if usage.quantity.is_zero() {
        NotChargedReason::NothingUsed
    } else {
        NotChargedReason::Waived
    };
    not_charged(terms, key, reason)
}

fn not_charged(terms: &Terms, price_key: Option<Key>, reason: NotChargedReason) -> Rated {
    let mut part = fee_part(
        terms,
        price_key,
        PartKind::NotCharged,
        Fraction::ZERO,
        Vec::new(),
    );
    part.trace.reason = Some(reason);
    Rated {
        parts: vec![part],
        grant_draws: Vec::new(),
        tier_deltas: Vec::new(),
    }
}

fn number(parts: &mut [ChargePart]) -> Result<(), Overflow> {
    for (index, part) in parts.iter_mut().enumerate() {
        part.part = u16::try_from(index).map_err(|_| Overflow)?;
    }
    Ok(())
}
