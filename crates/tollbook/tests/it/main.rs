//! The application as its users meet it: over HTTP, on a database of its own for each test.

#![cfg(test)]

mod cli;
mod identity;
mod requests;
mod routes;
mod support;
