//! Pure rules of phone billing.
