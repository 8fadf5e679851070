//! Documents that are paid: lines rounded once, tax per rate, numbers without gaps, corrections that never exceed.

mod credit;
mod discount;
mod line;
mod note;
mod number;
mod preview;
mod settle;
mod state;
mod taken_back;
mod tax;
mod trace;

pub use credit::{CreditError, Creditable, credit};
pub use discount::{Discount, DiscountError, apply_discount, commitment_gap};
pub use line::LineAmount;
pub use note::{Give, LineLeft, NoteError, NoteParts, TaxLeft, note};
pub use number::{InvalidInvoiceNumber, InvoiceNumber, NumberPrefix};
pub use preview::{Conditions, Gathering, Preview, PreviewLine};
pub use settle::{AllocationError, Standing, Wanted, allocate};
pub use state::{Event, IllegalTransition, State, transition};
pub use taken_back::{TakenBackError, taken_back};
pub use tax::{TaxRate, TaxTotal, TaxTreatment, TaxedLine, Totals, totals};
pub use trace::{LINE_TRACE_VERSION, LineItem, LineTrace};
