//! Corrections by people: whose a call or a number is, who a customer is, what is not billed, what is given out of goodwill.
//!
//! An act changes what usage is attributed to, or whether it is billed, and has it rated anew in the same transaction, so
//! that it can be tried first. What is taken back of a draft is reversed there; what is taken back of a final document is
//! given back by a credit note over its share of the line. Undoing is an act too.

mod act;
pub(crate) mod api;
mod credits;
mod effect;
mod perform;
mod read;
mod store;
mod undo;
pub(crate) mod view;
pub(crate) mod web;
mod work;

pub(crate) use credits::taken_off;
pub(crate) use read::why_waived;
