//! The `tollbook` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollbook::cli::run(std::env::args_os())
}
