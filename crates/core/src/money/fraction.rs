//! Exact rational numbers.

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// An exact result does not fit 128 bits. Nothing is lost silently: the calculation stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("amount is too large to calculate exactly")]
pub struct Overflow;

/// An exact rational number in lowest terms, the denominator positive.
///
/// Amounts before the invoice line are fractions of the currency's major unit, so thirds stay thirds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(IntText, IntText)", into = "(IntText, IntText)")]
pub struct Fraction {
    numerator: i128,
    denominator: i128,
}

impl Fraction {
    /// Zero.
    pub const ZERO: Self = Self {
        numerator: 0,
        denominator: 1,
    };
    /// One.
    pub const ONE: Self = Self {
        numerator: 1,
        denominator: 1,
    };

    /// `numerator / denominator` in lowest terms; an error if the denominator is zero or a part is `i128::MIN`.
    pub fn new(numerator: i128, denominator: i128) -> Result<Self, Overflow> {
        if denominator == 0 || numerator == i128::MIN || denominator == i128::MIN {
            return Err(Overflow);
        }
        if denominator < 0 {
            return Ok(Self::reduced(
                numerator.saturating_neg(),
                denominator.saturating_neg(),
            ));
        }
        Ok(Self::reduced(numerator, denominator))
    }

    /// A whole number.
    pub fn from_whole(value: i64) -> Self {
        Self {
            numerator: i128::from(value),
            denominator: 1,
        }
    }

    /// For a positive denominator and a numerator above `i128::MIN`.
    pub(super) fn reduced(numerator: i128, denominator: i128) -> Self {
        let divisor = gcd(numerator.unsigned_abs(), denominator.unsigned_abs());
        if divisor <= 1 {
            return Self {
                numerator,
                denominator,
            };
        }
        // The divisor divides both parts, so it fits i128 and the quotients are exact.
        let divisor = i128::try_from(divisor).unwrap_or(1);
        Self {
            numerator: numerator.checked_div(divisor).unwrap_or(numerator),
            denominator: denominator.checked_div(divisor).unwrap_or(denominator),
        }
    }

    /// The numerator in lowest terms; carries the sign.
    pub fn numerator(self) -> i128 {
        self.numerator
    }

    /// The denominator in lowest terms; at least 1.
    pub fn denominator(self) -> i128 {
        self.denominator
    }

    /// Whether this is zero.
    pub fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// Whether this is below zero.
    pub fn is_negative(self) -> bool {
        self.numerator < 0
    }

    /// The sum.
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        if self.is_zero() {
            return Ok(other);
        }
        if self.denominator == other.denominator {
            let numerator = self
                .numerator
                .checked_add(other.numerator)
                .ok_or(Overflow)?;
            return Self::new(numerator, self.denominator);
        }
        let common = gcd(
            self.denominator.unsigned_abs(),
            other.denominator.unsigned_abs(),
        );
        let common = i128::try_from(common).map_err(|_| Overflow)?;
        let own_scale = other.denominator.checked_div(common).ok_or(Overflow)?;
        let other_scale = self.denominator.checked_div(common).ok_or(Overflow)?;
        let numerator = self
            .numerator
            .checked_mul(own_scale)
            .zip(other.numerator.checked_mul(other_scale))
            .and_then(|(left, right)| left.checked_add(right))
            .ok_or(Overflow)?;
        let denominator = self.denominator.checked_mul(own_scale).ok_or(Overflow)?;
        Self::new(numerator, denominator)
    }

    /// The difference.
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.checked_add(other.negated())
    }

    /// The product.
    pub fn checked_mul(self, other: Self) -> Result<Self, Overflow> {
        // Reducing crosswise first keeps the products small and already in lowest terms.
        let left = Self::reduced(self.numerator, other.denominator);
        let right = Self::reduced(other.numerator, self.denominator);
        let numerator = left
            .numerator
            .checked_mul(right.numerator)
            .ok_or(Overflow)?;
        let denominator = left
            .denominator
            .checked_mul(right.denominator)
            .ok_or(Overflow)?;
        if numerator == i128::MIN {
            return Err(Overflow);
        }
        Ok(Self {
            numerator,
            denominator,
        })
    }

    /// The quotient; dividing by zero is an error.
    pub fn checked_div(self, other: Self) -> Result<Self, Overflow> {
        self.checked_mul(Self::new(other.denominator, other.numerator)?)
    }

    /// The same with the sign changed.
    #[must_use]
    pub fn negated(self) -> Self {
        // `i128::MIN` is never stored, so this is exact.
        Self {
            numerator: self.numerator.saturating_neg(),
            denominator: self.denominator,
        }
    }

    /// The sum of all.
    pub fn sum(items: impl IntoIterator<Item = Self>) -> Result<Self, Overflow> {
        items.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// The largest whole number not above this.
    pub fn floor(self) -> i128 {
        self.numerator.div_euclid(self.denominator)
    }

    /// The smallest whole number not below this.
    pub fn ceil(self) -> i128 {
        self.negated().floor().saturating_neg()
    }

    /// Numerator and denominator for two `numeric` columns; an error beyond 28 digits.
    pub fn to_decimals(self) -> Result<(Decimal, Decimal), Overflow> {
        let numerator =
            Decimal::try_from_i128_with_scale(self.numerator, 0).map_err(|_| Overflow)?;
        let denominator =
            Decimal::try_from_i128_with_scale(self.denominator, 0).map_err(|_| Overflow)?;
        Ok((numerator, denominator))
    }

    /// The fraction of two whole `numeric` values.
    pub fn from_decimals(numerator: Decimal, denominator: Decimal) -> Result<Self, Overflow> {
        if !numerator.is_integer() || !denominator.is_integer() {
            return Err(Overflow);
        }
        Self::new(numerator.trunc().mantissa(), denominator.trunc().mantissa())
    }

    /// Exactly, as a decimal if it has at most twelve fractional digits; otherwise `numerator/denominator`.
    fn write_exact(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut denominator = self.denominator;
        let mut digits: u32 = 0;
        let mut scaled = self.numerator.unsigned_abs();
        while denominator != 1 && digits < 12 {
            let step = gcd(10, denominator.unsigned_abs());
            if step == 1 {
                break;
            }
            let Some(next) = scaled.checked_mul(10_u128.checked_div(step).unwrap_or(1)) else {
                break;
            };
            scaled = next;
            denominator = i128::try_from(step)
                .ok()
                .and_then(|step| denominator.checked_div(step))
                .unwrap_or(1);
            digits = digits.saturating_add(1);
        }
        if denominator != 1 {
            return write!(f, "{}/{}", self.numerator, self.denominator);
        }
        let sign = if self.numerator < 0 { "-" } else { "" };
        let scale = 10_u128.pow(digits);
        let whole = scaled.checked_div(scale).unwrap_or_default();
        if digits == 0 {
            return write!(f, "{sign}{whole}");
        }
        let width = usize::try_from(digits).unwrap_or_default();
        let part = scaled.checked_rem(scale).unwrap_or_default();
        write!(f, "{sign}{whole}.{part:0width$}")
    }
}

impl Default for Fraction {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<i64> for Fraction {
    fn from(value: i64) -> Self {
        Self::from_whole(value)
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    /// Exact for every pair: compares whole parts, then the reciprocals of what is left.
    fn cmp(&self, other: &Self) -> Ordering {
        let mut left = (self.numerator, self.denominator);
        let mut right = (other.numerator, other.denominator);
        let mut reversed = false;
        loop {
            let order = left.0.div_euclid(left.1).cmp(&right.0.div_euclid(right.1));
            let rests = (left.0.rem_euclid(left.1), right.0.rem_euclid(right.1));
            let order = match (order, rests) {
                (Ordering::Equal, (0, 0)) => Ordering::Equal,
                (Ordering::Equal, (0, _)) => Ordering::Less,
                (Ordering::Equal, (_, 0)) => Ordering::Greater,
                (Ordering::Equal, (left_rest, right_rest)) => {
                    left = (left.1, left_rest);
                    right = (right.1, right_rest);
                    reversed = !reversed;
                    continue;
                }
                (different, _) => different,
            };
            return if reversed { order.reverse() } else { order };
        }
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_exact(f)
    }
}

impl fmt::Debug for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.numerator, self.denominator)
    }
}

/// A whole number written as JSON text, since many readers of JSON lose digits beyond 2⁵³.
#[derive(Serialize, Deserialize)]
struct IntText(String);

impl From<Fraction> for (IntText, IntText) {
    fn from(value: Fraction) -> Self {
        (
            IntText(value.numerator.to_string()),
            IntText(value.denominator.to_string()),
        )
    }
}

impl TryFrom<(IntText, IntText)> for Fraction {
    type Error = Overflow;

    fn try_from((numerator, denominator): (IntText, IntText)) -> Result<Self, Self::Error> {
        Self::new(
            numerator.0.parse().map_err(|_| Overflow)?,
            denominator.0.parse().map_err(|_| Overflow)?,
        )
    }
}

/// Greatest common divisor by shifts and subtractions; the 64-bit path is the usual one and far cheaper.
fn gcd(left: u128, right: u128) -> u128 {
    if left == 1 || right == 1 {
        return 1;
    }
    match (u64::try_from(left), u64::try_from(right)) {
        (Ok(left), Ok(right)) => u128::from(gcd_u64(left, right)),
        _ => gcd_u128(left, right),
    }
}

fn gcd_u64(mut left: u64, mut right: u64) -> u64 {
    if left == 0 || right == 0 {
        return left.max(right);
    }
    let twos = (left | right).trailing_zeros();
    left >>= left.trailing_zeros();
    while right != 0 {
        right >>= right.trailing_zeros();
        if left > right {
            std::mem::swap(&mut left, &mut right);
        }
        right = right.saturating_sub(left);
    }
    left << twos
}

fn gcd_u128(mut left: u128, mut right: u128) -> u128 {
    while let (Some(rest), false) = (left.checked_rem(right), right == 0) {
        left = right;
        right = rest;
        if let (Ok(left), Ok(right)) = (u64::try_from(left), u64::try_from(right)) {
            return u128::from(gcd_u64(left, right));
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fraction(numerator: i128, denominator: i128) -> Fraction {
        Fraction::new(numerator, denominator).unwrap()
    }

    #[test]
    fn keeps_lowest_terms_and_sign_on_top() {
        assert_eq!(format!("{:?}", fraction(6, -8)), "-3/4");
        assert_eq!(format!("{:?}", fraction(0, -5)), "0/1");
        assert_eq!(Fraction::new(1, 0), Err(Overflow));
    }

    #[test]
    fn thirds_stay_thirds() {
        let third = fraction(1, 3);
        assert_eq!(Fraction::sum([third, third, third]).unwrap(), Fraction::ONE);
        assert_eq!(third.checked_div(fraction(2, 3)).unwrap(), fraction(1, 2));
        assert_eq!(third.to_string(), "1/3");
    }

    #[test]
    fn shows_a_finite_decimal_as_one() {
        for (numerator, denominator, text) in [
            (3, 100, "0.03"),
            (-5, 4, "-1.25"),
            (7, 1, "7"),
            (1, 8, "0.125"),
            (1, 1_000_000_000_000, "0.000000000001"),
            (1, 60, "1/60"),
        ] {
            assert_eq!(fraction(numerator, denominator).to_string(), text);
        }
    }

    #[test]
    fn overflow_is_an_error() {
        let large = fraction(i128::MAX, 1);
        assert_eq!(large.checked_add(Fraction::ONE), Err(Overflow));
        assert_eq!(large.checked_mul(fraction(2, 1)), Err(Overflow));
        assert_eq!(
            fraction(1, i128::MAX).checked_add(fraction(1, i128::MAX - 1)),
            Err(Overflow)
        );
        assert_eq!(Fraction::new(i128::MIN, 1), Err(Overflow));
        // Crosswise reduction finds the exact result where a plain product would not fit.
        assert_eq!(
            large.checked_mul(fraction(1, i128::MAX)).unwrap(),
            Fraction::ONE
        );
    }

    #[test]
    fn order_is_exact_where_products_would_not_fit() {
        assert!(fraction(i128::MAX, i128::MAX - 1) < fraction(i128::MAX - 1, i128::MAX - 2));
        assert!(fraction(-1, 3) < fraction(-1, 4));
        assert!(fraction(-1, 3) < Fraction::ZERO);
        assert!(fraction(1, 3) > fraction(33, 100));
        assert_eq!(fraction(2, 6).cmp(&fraction(1, 3)), Ordering::Equal);
    }

    #[test]
    fn floor_and_ceil_of_negatives() {
        assert_eq!((fraction(-5, 2).floor(), fraction(-5, 2).ceil()), (-3, -2));
        assert_eq!((fraction(5, 2).floor(), fraction(5, 2).ceil()), (2, 3));
        assert_eq!((fraction(4, 2).floor(), fraction(4, 2).ceil()), (2, 2));
    }

    #[test]
    fn stores_as_two_numerics_or_says_why_not() {
        let amount = fraction(123_456_789_012_345_678, 60_000_000_000_001);
        let (numerator, denominator) = amount.to_decimals().unwrap();
        assert_eq!(
            Fraction::from_decimals(numerator, denominator).unwrap(),
            amount
        );
        assert_eq!(fraction(i128::MAX, 1).to_decimals(), Err(Overflow));
        assert_eq!(
            Fraction::from_decimals(Decimal::new(15, 1), Decimal::ONE),
            Err(Overflow)
        );
    }

    #[test]
    fn json_keeps_every_digit() {
        let json = serde_json::to_string(&fraction(1, 3)).unwrap();
        assert_eq!(json, r#"["1","3"]"#);
        assert_eq!(
            serde_json::from_str::<Fraction>(&json).unwrap(),
            fraction(1, 3)
        );
        assert!(serde_json::from_str::<Fraction>(r#"["1","0"]"#).is_err());
    }

    #[test]
    fn both_ways_to_the_greatest_divisor_agree() {
        for (left, right) in [
            (0, 5),
            (5, 0),
            (12, 18),
            (1 << 40, 1 << 20),
            (u128::MAX, 3),
            (10_u128.pow(30), 10_u128.pow(12) * 7),
        ] {
            let mut pair = (left, right);
            while pair.1 != 0 {
                pair = (pair.1, pair.0 % pair.1);
            }
            assert_eq!(gcd(left, right), pair.0, "{left} {right}");
        }
    }
}
