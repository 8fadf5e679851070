//! The application as its users meet it: over HTTP, on a database of its own for each test.

#![cfg(test)]

mod cli;
mod communications;
mod customers;
mod identity;
mod live;
mod numbers;
mod requests;
mod routes;
mod support;
