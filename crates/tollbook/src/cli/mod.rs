//! The command line: one file per command. Exits with 0 on success, 1 on failure with one sentence on standard error,
//! 2 on wrong usage.

mod billing;
mod config;
mod database;
mod db;
mod deck;
mod demo;
mod doctor;
mod import;
mod logging;
mod migrate;
mod output;
mod progress;
mod rate;
mod sandbox;
mod secret_key;
mod serve;
mod token;
mod user;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{ConfigFile, Effective, Settings, effective};

/// Phone operations and billing in one binary on `PostgreSQL`
#[derive(Debug, Parser)]
#[command(name = "tollbook", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Read settings from this file instead of `tollbook.toml`
    #[arg(
        long,
        env = "TOLLBOOK_CONFIG",
        value_name = "FILE",
        global = true,
        hide_short_help = true
    )]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Sandbox(sandbox::Sandbox),
    Serve(serve::Serve),
    Migrate(migrate::Migrate),
    Rate(rate::Rate),
    Config(config::Config),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    User(user::User),
    Token(token::Token),
    Verify(verify::Verify),
    #[command(subcommand)]
    Billing(billing::Billing),
    #[command(subcommand)]
    Deck(deck::Deck),
    #[command(subcommand)]
    Import(import::Import),
    #[command(subcommand)]
    Db(db::Db),
}

/// What a command is given beside its own arguments.
struct Given {
    settings: Settings,
    effective: Vec<Effective>,
}

/// Runs a command line, its first word being the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let (cli, effective) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(Refused::Usage(error)) => {
            // Help and version are no errors and say so themselves.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(Refused::File(error)) => {
            output::complain(&error.into());
            return ExitCode::from(2);
        }
    };
    logging::start(matches!(cli.command, Command::Serve(_)));
    let given = Given {
        settings: cli.settings.without_empty(),
        effective,
    };
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(execute(cli.command, given)));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command, given: Given) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(demo) => demo.run(given).await?,
        Command::Sandbox(sandbox) => sandbox.run(given).await?,
        Command::Serve(serve) => serve.run(given).await?,
        Command::Migrate(migrate) => migrate.run(given).await?,
        Command::Rate(rate) => return rate.run(),
        Command::Config(config) => config.run(&given)?,
        Command::Doctor(doctor) => return doctor.run(given).await,
        Command::User(user) => user.run(given).await?,
        Command::Token(token) => token.run(given).await?,
        Command::Verify(verify) => return verify.run(given).await,
        Command::Billing(billing) => return billing.run(given).await,
        Command::Deck(deck) => return deck.run(given).await,
        Command::Import(import) => return import.run(given).await,
        Command::Db(db) => return db.run(given).await,
    }
    Ok(ExitCode::SUCCESS)
}

enum Refused {
    Usage(clap::Error),
    File(crate::config::ConfigFileError),
}

fn parse(arguments: &[OsString]) -> Result<(Cli, Vec<Effective>), Refused> {
    let file = ConfigFile::read(config_path(arguments).as_deref()).map_err(Refused::File)?;
    let command = Cli::command().mut_args(|arg| file.become_default(arg));
    let matches = command
        .try_get_matches_from(arguments)
        .map_err(Refused::Usage)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Refused::Usage)?;
    Ok((cli, effective(&matches, &file)))
}

/// The file named on the command line or in the environment, looked up before the rest is read.
fn config_path(arguments: &[OsString]) -> Option<PathBuf> {
    let only = clap::Command::new("tollbook").arg(
        Arg::new("config")
            .long("config")
            .value_parser(clap::value_parser!(PathBuf)),
    );
    // Everything else on the line is for the second reading.
    let position = arguments.iter().position(|it| {
        let text = it.to_string_lossy();
        text == "--config" || text.starts_with("--config=")
    });
    let named = position.and_then(|at| {
        let words = arguments.iter().skip(at).take(2).cloned();
        let matches = only
            .no_binary_name(true)
            .ignore_errors(true)
            .try_get_matches_from(words)
            .ok()?;
        matches.get_one::<PathBuf>("config").cloned()
    });
    named.or_else(|| {
        std::env::var_os("TOLLBOOK_CONFIG")
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        fn check(command: &clap::Command) {
            for sub in command
                .get_subcommands()
                .filter(|it| it.get_name() != "help")
            {
                if sub.has_subcommands() {
                    check(sub);
                } else {
                    let help = sub
                        .get_after_help()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    assert!(help.contains("tollbook "), "{}", sub.get_name());
                }
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn the_file_is_found_wherever_it_is_named() {
        let path = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            config_path(&words)
        };
        let expected = Some(PathBuf::from("a.toml"));
        assert_eq!(path(&["tollbook", "--config", "a.toml", "serve"]), expected);
        assert_eq!(path(&["tollbook", "serve", "--config=a.toml"]), expected);
    }
}
