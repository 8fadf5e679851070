//! What came of a book, for people and programs.

use serde::Serialize;
use tollbook_core::ids::ImportId;

/// What a book brings in, or would.
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Brought {
    /// The import, by which it is taken back; absent of a preview, and if the book had nothing new.
    #[schema(value_type = Option<String>)]
    pub(crate) id: Option<ImportId>,
    /// Nothing was written.
    pub(crate) is_preview: bool,
    /// New customers.
    pub(crate) customers: usize,
    /// Subscriptions that go on here.
    pub(crate) subscriptions: usize,
    /// Open invoices.
    pub(crate) invoices: usize,
    /// What was paid beyond what is owed.
    pub(crate) credits: usize,
    /// Prepaid credits.
    pub(crate) lots: usize,
    /// What the next invoice is called, if the book says so.
    pub(crate) next_invoice_number: Option<String>,
    /// What is new of it in each currency.
    pub(crate) sums: Vec<Sum>,
    /// How much of the book is here already as it says.
    pub(crate) unchanged: usize,
    /// What is here otherwise than the book says, and stays as it is.
    pub(crate) differs: Vec<Remark>,
    /// What else somebody should know.
    pub(crate) notes: Vec<Remark>,
}

/// Amounts in major units.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sum {
    pub(crate) currency: String,
    /// Open on invoices.
    pub(crate) open: String,
    /// Paid beyond what is owed.
    pub(crate) credit: String,
    /// Prepaid.
    pub(crate) prepaid: String,
}

/// Something about a place of a book.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remark {
    /// Such as `customers[3].subscription`.
    pub(crate) path: String,
    pub(crate) message: String,
}
