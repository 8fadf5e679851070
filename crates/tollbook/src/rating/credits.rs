//! Charges on final documents that are given back by a credit note.

use std::collections::HashSet;

use tollbook_core::ids::ChargeId;

/// Which charges a credit note gives back if they are taken back whole: their reversals stand on no document, so that
/// nothing is given back twice.
#[derive(Debug, Default)]
pub(crate) struct Credits {
    /// Those that may be.
    pub(crate) charges: HashSet<ChargeId>,
    /// Those that were taken back.
    pub(crate) undone: Vec<ChargeId>,
}
