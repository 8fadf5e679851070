//! Words that may not appear: unfinished work, tests that do not test, inexact numbers near money.

use super::{Finding, Source, tokens::occurrences};

/// Code that says that something is missing, or tests that do not count.
const UNFINISHED: &[(&[&str], &str)] = &[
    (&["todo", "!"], "`todo!`: what is not done is not there"),
    (
        &["unimplemented", "!"],
        "`unimplemented!`: what is not done is not there",
    ),
    (&["dbg", "!"], "`dbg!` is for the desk"),
    (&["#", "[", "ignore"], "`#[ignore]`: a test runs or goes"),
    (
        &["#", "[", "should_panic"],
        "`#[should_panic]`: test the error that a caller gets",
    ),
];

/// Calls that compute on decimals. `core::money` does that, in one place.
const DECIMAL_ARITHMETIC: &[&str] = &[
    "round_dp",
    "round_dp_with_strategy",
    "round_sf",
    "trunc_with_scale",
    "rescale",
    "RoundingStrategy",
    "MathematicalOps",
];

pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut forbid = |pattern: &[&str], rule: &str| {
        findings
            .extend(occurrences(&source.tokens, pattern).map(|line| source.finding(line, rule)));
    };
    for (pattern, rule) in UNFINISHED {
        forbid(pattern, rule);
    }
    if source.path.starts_with("crates/core/src/") {
        for name in ["f32", "f64"] {
            forbid(&[name], "no float near money or time");
        }
    }
    if source.path.starts_with("crates/")
        && !source.path.starts_with("crates/core/src/money/")
        && !source.is_test()
    {
        for name in DECIMAL_ARITHMETIC {
            forbid(
                &[name],
                "decimals are computed and rounded in `core::money` alone",
            );
        }
    }
    if source.path.starts_with("crates/tollbook/src/") && !is_command_line(&source.path) {
        forbid(
            &["anyhow"],
            "`anyhow` appears only in `main`, `cli` and `xtask`",
        );
    }
    findings.extend(decimal_operators(source));
    findings.extend(sleeps(source));
    findings.extend(marks(source));
    findings
}

fn is_command_line(path: &str) -> bool {
    path == "crates/tollbook/src/main.rs" || path.starts_with("crates/tollbook/src/cli/")
}

/// Operators beside `Decimal`, as in `Decimal::ONE + tax`, as far as the text can tell.
fn decimal_operators(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/")
        || source.path.starts_with("crates/core/src/money/")
        || source.is_test()
    {
        return Vec::new();
    }
    let is_operator = |text: &str| ["+", "-", "*", "/"].contains(&text);
    let constants = source.tokens.windows(5).filter_map(|window| match window {
        [before, name, first, second, _]
            if name.is("Decimal") && first.is(":") && second.is(":") =>
        {
            is_operator(&before.text).then_some(name.line)
        }
        [name, first, second, _, after]
            if name.is("Decimal") && first.is(":") && second.is(":") =>
        {
            is_operator(&after.text).then_some(name.line)
        }
        _ => None,
    });
    constants
        .map(|line| source.finding(line, "decimals are computed in `core::money` alone"))
        .collect()
}

/// A test that sleeps is slow when it passes and wrong when the machine is slower. The pause of a loop that polls on
/// a condition is marked as one.
fn sleeps(source: &Source) -> Vec<Finding> {
    let first_test = occurrences(&source.tokens, &["cfg", "(", "test", ")"]).next();
    let tests_from = if source.path.contains("/tests/") {
        Some(0)
    } else {
        first_test
    };
    let Some(tests_from) = tests_from else {
        return Vec::new();
    };
    let lines: Vec<&str> = source.text.lines().collect();
    let is_poll = |line: usize| {
        let above = line.saturating_sub(2);
        lines
            .iter()
            .skip(above)
            .take(2)
            .any(|text| text.contains("// poll:"))
    };
    occurrences(&source.tokens, &["sleep", "("])
        .filter(|line| *line >= tests_from && !is_poll(*line))
        .map(|line| source.finding(line, "a test waits for a condition with a deadline; mark the pause of a poll with `// poll: <condition>`"))
        .collect()
}

/// Notes to oneself, in any language.
fn marks(source: &Source) -> Vec<Finding> {
    let marks =
        ["FIX", "TO"].map(|start| format!("{start}{}", if start == "TO" { "DO" } else { "ME" }));
    let has_mark = |line: &str| {
        line.split(|character: char| !character.is_alphanumeric())
            .any(|word| marks.iter().any(|mark| word == mark))
    };
    let numbered = source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| has_mark(line));
    numbered
        .map(|(index, _)| source.finding(index + 1, "a note to oneself: do it, or open an issue"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::findings_of;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        findings_of(super::check, path, text)
            .into_iter()
            .map(|(line, _)| line)
            .collect()
    }

    #[test]
    fn unfinished_work_is_found_in_code_and_not_in_texts() {
        let text =
            "fn a() { todo!() }\nfn b() { dbg!(1); unimplemented!() }\nconst C: &str = \"todo!\";";
        assert_eq!(lines("crates/core/src/a.rs", text), [1, 2, 2]);
        assert_eq!(
            lines(
                "crates/core/src/a.rs",
                "#[test]\n#[ignore]\nfn a() {}\n#[should_panic(expected = \"x\")]\nfn b() {}"
            ),
            [2, 4]
        );
    }

    #[test]
    fn notes_to_oneself_are_found_in_comments() {
        let mark = ["FIX", "ME"].concat();
        assert_eq!(
            lines(
                "crates/tollbook/assets/a.css",
                &format!("a {{}}\n/* {mark}: later */")
            ),
            [2]
        );
        assert_eq!(
            lines(
                "crates/core/src/a.rs",
                &format!("// {mark}S is another word")
            ),
            [0_usize; 0]
        );
    }

    #[test]
    fn floats_stay_out_of_the_core() {
        assert_eq!(lines("crates/core/src/a.rs", "fn a(b: f64) {}"), [1]);
        assert!(lines("crates/tollbook/src/a.rs", "fn a(b: f64) {}").is_empty());
    }

    #[test]
    fn decimals_are_computed_in_one_place() {
        assert_eq!(
            lines(
                "crates/tollbook/src/a.rs",
                "fn a() { b.round_dp(2) }\nfn c() { Decimal::ONE + d }\nfn e() { d * Decimal::TEN }"
            ),
            [1, 2, 3]
        );
        assert!(
            lines(
                "crates/tollbook/src/a.rs",
                "fn a(b: &Decimal) -> Decimal { Decimal::ZERO }"
            )
            .is_empty()
        );
        assert!(lines("crates/core/src/money/a.rs", "fn a() { b.round_dp(2) }").is_empty());
    }

    #[test]
    fn tests_poll_and_do_not_sleep() {
        assert_eq!(
            lines("crates/tollbook/tests/it/a.rs", "fn a() { sleep(b) }"),
            [1]
        );
        assert!(
            lines(
                "crates/tollbook/tests/it/a.rs",
                "// poll: until it answers\nfn a() { sleep(b) }"
            )
            .is_empty()
        );
        assert_eq!(
            lines(
                "crates/tollbook/src/a.rs",
                "fn a() { sleep(b) }\n#[cfg(test)]\nmod tests { fn c() { sleep(d) } }"
            ),
            [3]
        );
    }

    #[test]
    fn anyhow_is_for_the_command_line() {
        assert_eq!(
            lines("crates/tollbook/src/calls/ops.rs", "use anyhow::Result;"),
            [1]
        );
        assert!(lines("crates/tollbook/src/cli/serve.rs", "use anyhow::Result;").is_empty());
    }
}
