//! Search over people, numbers, invoices and calls.

pub(crate) mod view;
