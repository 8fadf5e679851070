//! Inside the application: statements belong to their capability, and others call its operations.

use super::{Finding, Source};

const APPLICATION: &str = "crates/tollbook/src/";

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let Some(below) = source.path.strip_prefix(APPLICATION) else {
        return Vec::new();
    };
    let capability = below.split('/').next().unwrap_or_default();
    let rule = "`sql` is private to its capability: call the operation";
    let tokens = &source.tokens;
    let opened = tokens.windows(3).filter(|window| match window {
        // `pub mod sql`, `pub(crate) mod sql`, `pub use sql::…`
        [before, keyword, name] => {
            (before.is("pub") || before.is(")"))
                && (keyword.is("mod") || keyword.is("use"))
                && name.is("sql")
        }
        _ => false,
    });
    let entered = tokens.windows(4).filter(|window| match window {
        [owner, first, second, name] => {
            first.is(":")
                && second.is(":")
                && name.is("sql")
                && !["self", "super", "crate", capability]
                    .iter()
                    .any(|own| owner.is(own))
        }
        _ => false,
    });
    let lines = opened
        .chain(entered)
        .filter_map(|window| Some(window.first()?.line));
    lines.map(|line| source.finding(line, rule)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn lines(text: &str) -> Vec<usize> {
        findings_of(super::check, "crates/tollbook/src/calls/ops.rs", text)
            .into_iter()
            .map(|(line, _)| line)
            .collect()
    }

    #[test]
    fn another_capability_s_statements_are_out_of_reach() {
        assert!(lines("use super::sql;\nuse crate::calls::sql::find;\nmod sql;").is_empty());
        assert_eq!(
            lines("use crate::invoices::sql;\nfn a() { customers::sql::find() }"),
            [1, 2]
        );
    }

    #[test]
    fn statements_are_not_handed_out() {
        assert_eq!(
            lines("pub(crate) mod sql;\npub mod sql;\npub(crate) use sql::find;"),
            [1, 2, 3]
        );
    }
}
