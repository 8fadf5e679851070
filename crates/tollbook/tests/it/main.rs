//! The application as its users meet it: over HTTP, on a database of its own for each test.

#![cfg(test)]
#![expect(
    clippy::similar_names,
    clippy::too_many_lines,
    reason = "a test reads as one story, however long, in the words of the trade"
)]

mod acts;
mod authorize;
mod billing;
mod billing_run;
mod charging;
mod cli;
mod communications;
mod costs;
mod crashes;
mod credit_notes;
mod curl;
mod customers;
mod disconnects;
mod ends;
mod histories;
mod identity;
mod indexes;
mod invoices;
mod isolation;
mod lanes;
mod live;
mod lives;
mod lives_random;
mod margin;
mod migrations;
mod minutes;
mod moving;
mod numbers;
mod payments;
mod rate;
mod rate_periods;
mod rating;
mod recordings;
mod relations;
mod requests;
mod routes;
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
mod whose;
mod writers;
