//! Files: not too long, and each module says what it is responsible for.

use super::{Finding, Source};

/// The number of lines that a file may have. Tests, templates and statements are not split to please a number.
const LINES_MAX: usize = 600;

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    let is_exempt = source.is_test()
        || ["html", "sql"]
            .iter()
            .any(|extension| super::has_extension(&source.path, extension));
    if lines > LINES_MAX && !is_exempt {
        findings.push(source.finding(
            LINES_MAX + 1,
            format!("{lines} lines, and {LINES_MAX} are the limit: split the file by subject"),
        ));
    }
    if source.is_rust() && !source.text.starts_with("//! ") {
        findings.push(source.finding(
            1,
            "a module opens with `//!` and what it is responsible for",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    #[test]
    fn a_module_says_what_it_is_for() {
        assert!(
            findings_of(
                super::check,
                "crates/core/src/a.rs",
                "//! Counts.\n\nfn a() {}"
            )
            .is_empty()
        );
        assert_eq!(
            findings_of(super::check, "crates/core/src/a.rs", "fn a() {}").len(),
            1
        );
        assert!(findings_of(super::check, "crates/tollbook/schema/a.sql", "select 1").is_empty());
    }

    #[test]
    fn a_file_has_at_most_600_lines_unless_it_is_a_test() {
        let text = |lines: usize| format!("//! Long.{}", "\n".repeat(lines));
        assert!(findings_of(super::check, "crates/core/src/a.rs", &text(600)).is_empty());
        assert_eq!(
            findings_of(super::check, "crates/core/src/a.rs", &text(601))[0].0,
            601
        );
        assert!(findings_of(super::check, "crates/core/tests/it/a.rs", &text(601)).is_empty());
        assert!(
            findings_of(
                super::check,
                "crates/tollbook/src/calls/page.html",
                &text(601)
            )
            .is_empty()
        );
    }
}
