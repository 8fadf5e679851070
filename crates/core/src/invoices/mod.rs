//! Documents that are paid: lines rounded once, tax per rate, numbers without gaps, corrections that never exceed.

mod credit;
mod discount;
mod line;
mod number;
mod state;
mod tax;

pub use credit::{CreditError, Creditable, credit};
pub use discount::{Discount, DiscountError, apply_discount, commitment_gap};
pub use line::LineAmount;
pub use number::{InvalidInvoiceNumber, InvoiceNumber, NumberPrefix};
pub use state::{Event, IllegalTransition, State, transition};
pub use tax::{TaxRate, TaxTotal, TaxTreatment, TaxedLine, Totals, totals};
