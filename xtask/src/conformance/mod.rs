//! Runs providers' own client libraries against a real server, so that "compatible" is what they say and not what we
//! believe. One file per library: what it needs is installed here, what it does is a script in `xtask/conformance`.
//!
//! A script prints one line per check, `ok …` or `not ok …`; whatever else it prints is for people.

mod ground;
mod supabase;
mod twilio;

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use ground::Ground;

/// Runs the script of a library.
type Suite = fn(&Ground) -> Result<Counts>;

/// Each library, and what runs its script on a ground.
const SUITES: [(&str, Suite); 2] = [
    ("twilio-python", twilio::run),
    ("supabase-js", supabase::run),
];

/// How many checks came out how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
}

/// Starts the server on data of its own, runs every suite against it, and fails if a check did.
pub(crate) fn run() -> Result<()> {
    let ground = Ground::start()?;
    let mut total = Counts::default();
    for (name, suite) in SUITES {
        println!("{name}");
        let counts = suite(&ground).with_context(|| format!("{name} did not run"))?;
        if counts.passed + counts.failed == 0 {
            bail!("{name} checked nothing");
        }
        total.passed += counts.passed;
        total.failed += counts.failed;
    }
    drop(ground);
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!(
            "{} checks of {} failed",
            total.failed,
            total.passed + total.failed
        );
    }
    Ok(())
}

/// Runs a script, shows what it prints, and counts its checks. A script that ends badly without saying why has failed.
fn count(script: &mut Command) -> Result<Counts> {
    let mut child = script
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {script:?}"))?;
    let output = child.stdout.take().context("a script has no output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("  {line}");
        counts.add(&line);
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        counts.failed = 1;
        println!("  not ok the script ended with {status}");
    }
    Ok(counts)
}

impl Counts {
    fn add(&mut self, line: &str) {
        if line.starts_with("ok ") {
            self.passed += 1;
        } else if line.starts_with("not ok ") {
            self.failed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(script: &str) -> (u32, u32) {
        let counts = count(Command::new("sh").args(["-c", script])).unwrap();
        (counts.passed, counts.failed)
    }

    #[test]
    fn checks_are_counted_and_a_bad_end_is_a_failure() {
        assert_eq!(
            counted("echo ok one; echo note; echo not ok two; echo ok three"),
            (2, 1)
        );
        assert_eq!(counted("echo ok one; exit 3"), (1, 1));
        assert_eq!(counted("echo not ok one; exit 1"), (0, 1));
    }
}
