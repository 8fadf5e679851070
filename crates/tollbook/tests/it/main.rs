//! The application as its users meet it: over HTTP, on a database of its own for each test.

#![cfg(test)]
#![expect(
    clippy::similar_names,
    clippy::too_many_lines,
    reason = "a test reads as one story, however long, in the words of the trade"
)]

mod acts;
mod alerts;
mod authorize;
mod billing;
mod billing_run;
mod charging;
mod cli;
mod communications;
mod corrections;
mod corrections_random;
mod costs;
mod crashes;
mod credit_notes;
mod curl;
mod customers;
mod decks;
mod disconnects;
mod ends;
mod fraud;
mod histories;
mod identity;
mod indexes;
mod invoices;
mod isolation;
mod lanes;
mod limits;
mod live;
mod lives;
mod lives_random;
mod margin;
mod migrations;
mod minutes;
mod moving;
#[path = "../../../core/tests/it/naive.rs"]
#[expect(dead_code, reason = "`core`'s own tests ask for sums only")]
mod naive;
mod numbers;
mod payments;
mod plans;
mod rate;
mod rate_periods;
mod rating;
#[path = "../../../core/tests/it/ratio.rs"]
#[expect(dead_code, reason = "nothing here is compared with `core`")]
mod ratio;
mod recordings;
mod relations;
mod requests;
mod routes;
mod simulation;
mod statements;
mod supabase;
mod support;
mod tokens;
mod trials;
mod twilio;
mod verify;
mod voids;
mod wallets;
mod webhooks;
mod what_if;
mod whose;
mod writers;
