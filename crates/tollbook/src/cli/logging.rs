//! Logs: plain lines on a terminal, JSON elsewhere, always on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging. A server says what it does, a command only what is wrong; `TOLLBOOK_LOG` says otherwise, in the
/// form of `RUST_LOG`.
pub(super) fn start(is_server: bool) {
    let default = if is_server { "info" } else { "warn" };
    let filter = std::env::var("TOLLBOOK_LOG")
        .ok()
        .and_then(|it| EnvFilter::try_new(it).ok())
        .unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    // Fails only if somebody has started logging before, who then has it.
    if std::io::stderr().is_terminal() {
        let _ = builder.compact().try_init();
    } else {
        let _ = builder.json().flatten_event(true).try_init();
    }
}
