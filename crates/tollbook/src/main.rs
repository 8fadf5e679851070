//! The `tollbook` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Requests are many small pieces that live shortly.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tollbook::cli::run(std::env::args_os())
}
