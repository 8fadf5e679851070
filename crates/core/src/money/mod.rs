//! Exact money: prices, quantities, fractions, and the one place where an amount is rounded.
//!
//! Before the invoice line every amount is an exact [`Fraction`]; from the line on it is [`Money`] in the
//! currency's minor unit. Nothing else in the product multiplies, divides or rounds an amount.

mod currency;
mod decimal;
mod fraction;
mod minor;
mod rounding;
mod split;

pub use currency::Currency;
pub use decimal::{DecimalError, FRACTIONAL_DIGITS_MAX, Percent, Price, Quantity};
pub use fraction::{Fraction, Overflow};
pub use minor::{Money, MoneyError};
pub use rounding::{Rounded, Rounding, round_to_minor};
pub use split::{SplitError, split_largest_remainder};
