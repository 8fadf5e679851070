//! Trying everything out without any account: made-up traffic for the provider sandboxes.

pub mod traffic;
