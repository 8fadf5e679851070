//! Developer tasks: `cargo xtask <task>`. One file per task.
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tasks talk to the person who runs them"
)]

mod bench;
mod conformance;
mod e2e;
mod fill;
mod prepare;
mod tidy;
mod workspace;

use std::{env, process::ExitCode};

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask <task>

  tidy              check the rules that neither the compiler nor clippy knows
  prepare           refresh crates/tollbook/.sqlx from the migrations and the queries
  prepare --check   fail if crates/tollbook/.sqlx is not fresh
  bench [name…]     measure, and print quantiles and ratios
  fill              fill a database with a year of calls, to measure on
  e2e [pattern…]    run the browser tests against a debug build
  conformance       run providers' own client libraries against a debug build";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["tidy"] => tidy::run(),
        ["prepare"] => prepare::run(prepare::Mode::Write),
        ["prepare", "--check"] => prepare::run(prepare::Mode::Check),
        ["bench", names @ ..] => bench::run(names),
        ["fill", rest @ ..] => fill::run(rest),
        ["e2e", patterns @ ..] => e2e::run(patterns),
        ["conformance"] => conformance::run(),
        _ => bail!("{USAGE}"),
    }
}
