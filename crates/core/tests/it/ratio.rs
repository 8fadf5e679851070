//! Fractions of unlimited size, for checking what the crate calculates with limited ones.

use std::fmt;

use num_bigint::BigInt;

/// A rational number in lowest terms, the bottom above zero.
#[derive(Clone, PartialEq)]
pub(crate) struct Ratio {
    top: BigInt,
    bottom: BigInt,
}

impl Ratio {
    pub(crate) fn whole(value: i64) -> Self {
        Self::new(value.into(), 1.into())
    }

    fn new(top: BigInt, bottom: BigInt) -> Self {
        assert!(bottom > BigInt::ZERO, "division by zero");
        if bottom == BigInt::from(1) {
            return Self { top, bottom };
        }
        let (mut divisor, mut rest) = (bottom.clone(), top.clone());
        while rest != BigInt::ZERO {
            (divisor, rest) = (rest.clone(), divisor % rest);
        }
        let divisor = if divisor < BigInt::ZERO {
            -divisor
        } else {
            divisor
        };
        Self {
            top: top / &divisor,
            bottom: bottom / divisor,
        }
    }

    /// Reads a decimal text.
    pub(crate) fn decimal(text: &str) -> Self {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{part}");
        Self::new(
            digits.parse().unwrap(),
            BigInt::from(10).pow(u32::try_from(part.len()).unwrap()),
        )
    }

    /// The value of one of the crate's fractions.
    pub(crate) fn of(value: tollbook_core::money::Fraction) -> Self {
        Self::new(value.numerator().into(), value.denominator().into())
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self::new(
            &self.top * &other.bottom + &other.top * &self.bottom,
            &self.bottom * &other.bottom,
        )
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.plus(&Self::new(-&other.top, other.bottom.clone()))
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        Self::new(&self.top * &other.top, &self.bottom * &other.bottom)
    }

    /// The smallest whole number not below a value that is not negative.
    pub(crate) fn ceil(&self) -> BigInt {
        let quotient = &self.top / &self.bottom;
        if &quotient * &self.bottom < self.top {
            quotient + 1
        } else {
            quotient
        }
    }

    pub(crate) fn over(&self, other: &Self) -> Self {
        let sign = if other.top < BigInt::ZERO { -1 } else { 1 };
        Self::new(
            &self.top * &other.bottom * sign,
            &self.bottom * &other.top * sign,
        )
    }
}

impl From<BigInt> for Ratio {
    fn from(value: BigInt) -> Self {
        Self::new(value, 1.into())
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.top * &other.bottom).partial_cmp(&(&other.top * &self.bottom))
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.top, self.bottom)
    }
}
