//! What each document does to the ledger.

use std::collections::BTreeMap;

use super::account::{Account, AccountKind};
use super::entry::{Entry, LedgerError};
use crate::money::Money;
use crate::payer::{Payer, PayerKind};

/// The meter of revenue that no meter earned: base fees, connection of numbers, goodwill.
pub const FEE: &str = "fee";

/// A finalized invoice: the payer owes the lines (meter, amount without tax; a discount is negative) and the tax.
pub fn invoice(payer: Payer, lines: &[(&str, Money)], tax: Money) -> Result<Entry, LedgerError> {
    let receivable = Account::of(payer, AccountKind::Receivable, tax.currency());
    let mut entry = Entry::default();
    for (meter, amount) in by_meter(lines)? {
        let revenue =
            Account::metered(payer.kind(), AccountKind::Revenue, meter, amount.currency());
        entry.transfer(receivable.clone(), revenue, amount)?;
    }
    entry.transfer(
        receivable,
        Account::shared(payer.kind(), AccountKind::TaxPayable, tax.currency()),
        tax,
    )?;
    Ok(entry)
}

/// A finalized credit note over lines and tax (positive amounts). `open` is what its invoice still leaves to pay: what
/// the credit note exceeds it by becomes the payer's credit.
pub fn credit_note(
    payer: Payer,
    lines: &[(&str, Money)],
    tax: Money,
    open: Money,
) -> Result<Entry, LedgerError> {
    let mut entry = invoice(payer, lines, tax)?.reversal();
    let mut total = tax;
    for (_, amount) in lines {
        total = total.checked_add(*amount)?;
    }
    let positive = positive("credit note", total)?;
    let beyond = positive.checked_sub(open)?;
    if beyond.minor() > 0 {
        let excess = if open.minor() > 0 { beyond } else { positive };
        let receivable = Account::of(payer, AccountKind::Receivable, total.currency());
        entry.transfer(
            receivable,
            Account::of(payer, AccountKind::CustomerCredit, total.currency()),
            excess,
        )?;
    }
    Ok(entry)
}

/// Money received. `allocated` of it pays invoices; the rest becomes the payer's credit.
pub fn payment(payer: Payer, amount: Money, allocated: Money) -> Result<Entry, LedgerError> {
    let amount = positive("payment", amount)?;
    let rest = at_most(allocated, amount)?;
    let clearing = Account::shared(payer.kind(), AccountKind::Clearing, amount.currency());
    let mut entry = Entry::default();
    let receivable = Account::of(payer, AccountKind::Receivable, amount.currency());
    entry.transfer(clearing.clone(), receivable, allocated)?;
    entry.transfer(
        clearing,
        Account::of(payer, AccountKind::CustomerCredit, amount.currency()),
        rest,
    )?;
    Ok(entry)
}

/// The payer's credit pays an invoice. `available` is the credit that there is.
pub fn apply_credit(payer: Payer, amount: Money, available: Money) -> Result<Entry, LedgerError> {
    at_most(amount, available)?;
    between(
        payer,
        "use of credit",
        (AccountKind::CustomerCredit, AccountKind::Receivable),
        amount,
    )
}

/// A payment turns out not to have been one. `reopened` is what its invoices leave to pay again; the rest is taken from
/// the payer's credit.
pub fn payment_reversal(
    payer: Payer,
    amount: Money,
    reopened: Money,
) -> Result<Entry, LedgerError> {
    Ok(payment(payer, amount, reopened)?.reversal())
}

/// What paid an invoice does so no more: `reopened`, nothing or more, is owed again, and is the payer's credit instead.
pub fn release(payer: Payer, reopened: Money) -> Result<Entry, LedgerError> {
    if reopened.is_zero() {
        return Ok(Entry::default());
    }
    Ok(apply_credit(payer, reopened, reopened)?.reversal())
}

/// Credit that a seller gives out of goodwill, for no document: it is earned less.
pub fn goodwill(payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
    let amount = positive("goodwill", amount)?;
    let earned = Account::metered(payer.kind(), AccountKind::Revenue, FEE, amount.currency());
    let credit = Account::of(payer, AccountKind::CustomerCredit, amount.currency());
    let mut entry = Entry::default();
    entry.transfer(earned, credit, amount)?;
    Ok(entry)
}

/// The payer's credit is paid out. `available` is the credit that there is.
pub fn refund(payer: Payer, amount: Money, available: Money) -> Result<Entry, LedgerError> {
    at_most(amount, available)?;
    between(
        payer,
        "refund",
        (AccountKind::CustomerCredit, AccountKind::Clearing),
        amount,
    )
}

/// Prepaid.
pub fn wallet_top_up(payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
    between(
        payer,
        "top-up",
        (AccountKind::Clearing, AccountKind::Wallet),
        amount,
    )
}

/// Prepaid money pays for usage, which an invoice names as paid.
pub fn wallet_draw(payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
    between(
        payer,
        "draw",
        (AccountKind::Wallet, AccountKind::Receivable),
        amount,
    )
}

/// Prepaid money is paid back.
pub fn wallet_refund(payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
    between(
        payer,
        "wallet refund",
        (AccountKind::Wallet, AccountKind::Clearing),
        amount,
    )
}

/// Prepaid money was not used in time, and is earned.
pub fn wallet_expiry(payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
    let amount = positive("expiry", amount)?;
    let wallet = Account::of(payer, AccountKind::Wallet, amount.currency());
    let mut entry = Entry::default();
    let earned = Account::metered(payer.kind(), AccountKind::Revenue, FEE, amount.currency());
    entry.transfer(wallet, earned, amount)?;
    Ok(entry)
}

/// What is open on an invoice of another system.
pub fn opening_invoice(payer: Payer, open: Money) -> Result<Entry, LedgerError> {
    between(
        payer,
        "opening invoice",
        (AccountKind::Receivable, AccountKind::Opening),
        open,
    )
}

/// What a payer had paid beyond what they owed when they came from another system.
pub fn opening_credit(payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
    between(
        payer,
        "opening credit",
        (AccountKind::Opening, AccountKind::CustomerCredit),
        amount,
    )
}

/// What a payer had prepaid in another system.
pub fn opening_wallet(payer: Payer, amount: Money) -> Result<Entry, LedgerError> {
    between(
        payer,
        "opening lot",
        (AccountKind::Opening, AccountKind::Wallet),
        amount,
    )
}

/// What a provider charges for a day of one meter, borne by the seller of the sale. A provider's refund is negative.
pub fn cost(payer: PayerKind, meter: &str, amount: Money) -> Result<Entry, LedgerError> {
    let mut entry = Entry::default();
    let cost = Account::metered(payer, AccountKind::ProviderCost, meter, amount.currency());
    entry.transfer(
        cost,
        Account::shared(payer, AccountKind::ProviderPayable, amount.currency()),
        amount,
    )?;
    Ok(entry)
}

fn between(
    payer: Payer,
    what: &'static str,
    (debit, credit): (AccountKind, AccountKind),
    amount: Money,
) -> Result<Entry, LedgerError> {
    let amount = positive(what, amount)?;
    let account = |kind| match kind {
        AccountKind::Clearing | AccountKind::Opening => {
            Account::shared(payer.kind(), kind, amount.currency())
        }
        AccountKind::Receivable
        | AccountKind::Revenue
        | AccountKind::TaxPayable
        | AccountKind::CustomerCredit
        | AccountKind::Wallet
        | AccountKind::ProviderCost
        | AccountKind::ProviderPayable => Account::of(payer, kind, amount.currency()),
    };
    let mut entry = Entry::default();
    entry.transfer(account(debit), account(credit), amount)?;
    Ok(entry)
}

fn by_meter<'a>(lines: &[(&'a str, Money)]) -> Result<BTreeMap<&'a str, Money>, LedgerError> {
    let mut sums: BTreeMap<&str, Money> = BTreeMap::new();
    for (meter, amount) in lines {
        let sum = sums.entry(meter).or_insert(Money::zero(amount.currency()));
        *sum = sum.checked_add(*amount)?;
    }
    Ok(sums)
}

fn positive(what: &'static str, amount: Money) -> Result<Money, LedgerError> {
    if amount.minor() > 0 {
        Ok(amount)
    } else {
        Err(LedgerError::NotPositive(what, amount))
    }
}

/// What is left of `available` after `amount`, which may not be negative.
fn at_most(amount: Money, available: Money) -> Result<Money, LedgerError> {
    let rest = available.checked_sub(amount)?;
    if rest.minor() < 0 || amount.minor() < 0 {
        Err(LedgerError::TooMuch(amount, available))
    } else {
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::money::Currency;

    const PAYER: Payer = Payer::Customer(crate::ids::CustomerId::new(Uuid::from_u128(1)));

    fn usd(minor: i64) -> Money {
        Money::from_minor(minor, Currency::USD)
    }

    fn shown(entry: &Entry) -> Vec<String> {
        let name = |account: &Account| format!("{}{}", account.kind, account.meter);
        let line = |transfer: &super::super::Transfer| {
            format!(
                "{} from {} to {}",
                transfer.amount.minor(),
                name(&transfer.credit),
                name(&transfer.debit)
            )
        };
        entry.transfers().iter().map(line).collect()
    }

    #[test]
    fn an_invoice_is_owed_by_meter_and_tax() {
        let lines = [
            ("SMS_SENT", usd(300)),
            (FEE, usd(4900)),
            ("SMS_SENT", usd(50)),
            ("API_REQUEST", usd(0)),
        ];
        let entry = invoice(PAYER, &lines, usd(525)).unwrap();
        let owed = [
            "350 from revenueSMS_SENT to receivable",
            "4900 from revenuefee to receivable",
            "525 from tax_payable to receivable",
        ];
        assert_eq!(shown(&entry), owed);
        let discount = invoice(PAYER, &[(FEE, usd(-100))], usd(0)).unwrap();
        assert_eq!(shown(&discount), ["100 from receivable to revenuefee"]);
    }

    #[test]
    fn a_credit_note_beyond_what_is_open_becomes_credit() {
        let note =
            |open| shown(&credit_note(PAYER, &[(FEE, usd(1000))], usd(100), usd(open)).unwrap());
        let reversed = [
            "1000 from receivable to revenuefee",
            "100 from receivable to tax_payable",
        ];
        assert_eq!(note(5000), reversed);
        assert_eq!(note(300)[2], "800 from customer_credit to receivable");
        assert_eq!(note(0)[2], "1100 from customer_credit to receivable");
        assert!(credit_note(PAYER, &[(FEE, usd(0))], usd(0), usd(0)).is_err());
    }

    #[test]
    fn an_overpayment_becomes_credit_and_can_be_paid_out_once() {
        let entry = payment(PAYER, usd(1000), usd(700)).unwrap();
        assert_eq!(
            shown(&entry),
            [
                "700 from receivable to clearing",
                "300 from customer_credit to clearing"
            ]
        );
        assert!(payment(PAYER, usd(1000), usd(1001)).is_err());
        assert!(payment(PAYER, usd(1000), usd(-1)).is_err());
        assert!(payment(PAYER, usd(0), usd(0)).is_err());
        assert_eq!(
            shown(&refund(PAYER, usd(300), usd(300)).unwrap()),
            ["300 from clearing to customer_credit"]
        );
        let error = refund(PAYER, usd(301), usd(300)).unwrap_err();
        assert_eq!(error, LedgerError::TooMuch(usd(301), usd(300)));
        let euros = Money::from_minor(1, Currency::EUR);
        assert!(payment(PAYER, usd(10), euros).is_err());
    }

    #[test]
    fn what_paid_an_invoice_is_taken_back() {
        assert_eq!(
            shown(&payment_reversal(PAYER, usd(1000), usd(700)).unwrap()),
            [
                "700 from clearing to receivable",
                "300 from clearing to customer_credit"
            ]
        );
        assert!(payment_reversal(PAYER, usd(1000), usd(1001)).is_err());
        assert_eq!(
            shown(&release(PAYER, usd(700)).unwrap()),
            ["700 from customer_credit to receivable"]
        );
        assert_eq!(release(PAYER, usd(0)).unwrap(), Entry::default());
        assert!(release(PAYER, usd(-1)).is_err());
    }

    #[test]
    fn what_is_brought_along_stands_against_the_opening_account() {
        assert_eq!(
            shown(&opening_invoice(PAYER, usd(50)).unwrap()),
            ["50 from opening to receivable"]
        );
        assert_eq!(
            shown(&opening_credit(PAYER, usd(50)).unwrap()),
            ["50 from customer_credit to opening"]
        );
        assert_eq!(
            shown(&opening_wallet(PAYER, usd(50)).unwrap()),
            ["50 from wallet to opening"]
        );
        assert!(opening_invoice(PAYER, usd(0)).is_err());
    }

    #[test]
    fn prepaid_money_goes_in_and_out() {
        assert_eq!(
            shown(&wallet_top_up(PAYER, usd(50)).unwrap()),
            ["50 from wallet to clearing"]
        );
        assert_eq!(
            shown(&wallet_draw(PAYER, usd(50)).unwrap()),
            ["50 from receivable to wallet"]
        );
        assert_eq!(
            shown(&wallet_refund(PAYER, usd(50)).unwrap()),
            ["50 from clearing to wallet"]
        );
        assert_eq!(
            shown(&wallet_expiry(PAYER, usd(50)).unwrap()),
            ["50 from revenuefee to wallet"]
        );
        assert_eq!(
            shown(&goodwill(PAYER, usd(50)).unwrap()),
            ["50 from customer_credit to revenuefee"]
        );
        assert_eq!(
            shown(&goodwill(PAYER, usd(50)).unwrap().reversal()),
            ["50 from revenuefee to customer_credit"]
        );
        assert!(goodwill(PAYER, usd(0)).is_err());
        let cost = cost(PayerKind::Customer, "SMS_SENT", usd(7)).unwrap();
        assert_eq!(
            shown(&cost),
            ["7 from provider_payable to provider_costSMS_SENT"]
        );
    }
}
