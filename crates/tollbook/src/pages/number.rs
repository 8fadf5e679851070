//! Numbers and money as text. All of it works on decimal text, so that no digit can change on the way to the page.

use std::fmt;

use askama::filters::HtmlSafe;

use tollbook_core::money::{Currency, Money};

use super::text::Text;

/// A decimal such as `-1234.5` with the language's marks and at least `fraction_digits_min` digits after the mark.
pub(crate) fn decimal(text: Text, plain: &str, fraction_digits_min: usize) -> String {
    let (sign, unsigned) = match plain.strip_prefix('-') {
        Some(rest) => ("\u{2212}", rest),
        None => ("", plain),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut out = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        let digits_left = whole.len().saturating_sub(index);
        if index > 0 && digits_left.is_multiple_of(3) {
            out.push_str(text.group_mark());
        }
        out.push(digit);
    }
    let kept = significant_fraction(fraction, fraction_digits_min);
    if !kept.is_empty() {
        out.push_str(text.decimal_mark());
        out.push_str(&kept);
    }
    out
}

/// The fraction without needless zeros: `1000` with a minimum of 2 is `10`, and `5` is `50`.
fn significant_fraction(fraction: &str, digits_min: usize) -> String {
    let mut kept = fraction.trim_end_matches('0').to_owned();
    while kept.len() < digits_min {
        kept.push('0');
    }
    kept
}

/// A count with thousands separated.
pub(crate) fn count(text: Text, n: u64) -> String {
    decimal(text, &n.to_string(), 0)
}

/// An amount of money as a page shows it: `$1,234.50`, with `1234.50 USD` as its exact value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Amount {
    text: String,
    exact: String,
    is_zero: bool,
    is_negative: bool,
}

impl Amount {
    /// From a plain decimal and an ISO 4217 code. `exponent` is the number of digits of the currency's minor unit;
    /// further digits, as prices per minute have them, are kept.
    fn new(text: Text, plain: &str, currency: &str, exponent: usize) -> Self {
        let is_negative = plain.starts_with('-');
        let number = decimal(text, plain.trim_start_matches('-'), exponent);
        let sign = if is_negative { "\u{2212}" } else { "" };
        let shown = match symbol(currency) {
            Some(symbol) => format!("{sign}{symbol}{number}"),
            None => format!("{sign}{currency}\u{a0}{number}"),
        };
        let is_zero = !plain.bytes().any(|it| it.is_ascii_digit() && it != b'0');
        Self {
            text: shown,
            exact: format!("{plain} {currency}"),
            is_zero,
            is_negative,
        }
    }

    /// What is owed or paid, with the digits of its currency.
    pub(crate) fn of(text: Text, money: Money) -> Self {
        Self::price(text, &money.amount(), money.currency())
    }

    /// A price per unit, or a charge that is not rounded yet: a plain decimal with as many digits as it has.
    pub(crate) fn price(text: Text, plain: &str, currency: Currency) -> Self {
        let exponent = usize::try_from(currency.exponent()).unwrap_or_default();
        Self::new(text, plain, currency.code(), exponent)
    }

    /// The amount as plain text, for use inside a sentence.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The exact value with its currency, for programs: `1234.50 USD`.
    pub(crate) fn exact(&self) -> &str {
        &self.exact
    }

    /// Whether nothing is owed.
    pub(crate) fn is_zero(&self) -> bool {
        self.is_zero
    }

    /// Whether it is a credit.
    pub(crate) fn is_negative(&self) -> bool {
        self.is_negative
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both parts consist of digits, marks and letters of a currency; nothing in them needs escaping.
        write!(
            f,
            r#"<data class="amount" value="{0}" title="{0}">{1}</data>"#,
            self.exact, self.text
        )
    }
}

impl HtmlSafe for Amount {}

/// The usual sign of a currency in running text. Dollars other than the American carry their country.
fn symbol(currency: &str) -> Option<&'static str> {
    Some(match currency {
        "USD" => "$",
        "EUR" => "€",
        "GBP" => "£",
        "JPY" => "¥",
        "CAD" => "CA$",
        "AUD" => "A$",
        "NZD" => "NZ$",
        "MXN" => "MX$",
        "INR" => "₹",
        "KRW" => "₩",
        "ILS" => "₪",
        "BRL" => "R$",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(plain: &str, currency: &str, exponent: usize) -> String {
        Amount::new(Text::default(), plain, currency, exponent)
            .text()
            .to_owned()
    }

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        assert_eq!(shown("1234567", "JPY", 0), "¥1,234,567");
        assert_eq!(shown("10.6", "USD", 2), "$10.60");
        assert_eq!(shown("1234", "EUR", 2), "€1,234.00");
        assert_eq!(shown("0.5", "KWD", 3), "KWD\u{a0}0.500");
        assert_eq!(shown("-12.30", "USD", 2), "\u{2212}$12.30");
    }

    #[test]
    fn core_money_keeps_its_digits() {
        let text = Text::default();
        assert_eq!(
            Amount::of(text, Money::from_minor(123_450, Currency::USD)).text(),
            "$1,234.50"
        );
        assert_eq!(
            Amount::of(text, Money::from_minor(1_200, Currency::JPY)).text(),
            "¥1,200"
        );
        assert_eq!(
            Amount::price(text, "0.006500000000", Currency::USD).text(),
            "$0.0065"
        );
    }

    #[test]
    fn a_price_keeps_its_own_precision() {
        assert_eq!(shown("0.0125", "USD", 2), "$0.0125");
        assert_eq!(shown("0.012500000000", "USD", 2), "$0.0125");
        assert_eq!(shown("1.200000000000", "USD", 2), "$1.20");
    }

    #[test]
    fn thousands_are_grouped() {
        let grouped = ["0", "12", "123", "1234", "123456", "1234567"]
            .map(|it| decimal(Text::default(), it, 0));
        assert_eq!(grouped, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }

    #[test]
    fn zero_and_credit_are_known() {
        assert!(Amount::new(Text::default(), "0.00", "USD", 2).is_zero());
        assert!(!Amount::new(Text::default(), "0.01", "USD", 2).is_zero());
        assert!(Amount::new(Text::default(), "-0.01", "USD", 2).is_negative());
    }

    #[test]
    fn the_exact_value_is_beside_the_shown_one() {
        let html = Amount::new(Text::default(), "1234.50", "USD", 2).to_string();
        assert_eq!(
            html,
            r#"<data class="amount" value="1234.50 USD" title="1234.50 USD">$1,234.50</data>"#
        );
    }
}
