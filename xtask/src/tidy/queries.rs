//! Each statement on a table of organizations' rows names the organization itself: row-level security is the
//! referee, the explicit filter is what the planner, and a router of shards, see.
//!
//! An insert may leave it to the column's default. A statement that is meant for all organizations says so in a
//! comment of its own: `-- all organizations: <reason>`.

use std::collections::BTreeSet;

use super::{Finding, Source, tokens::Token};

const APPLICATION: &str = "crates/tollbook/";
const EXEMPTION: &str = "-- all organizations: ";

/// The tables that the migrations give an `organization_id`.
pub(crate) fn tenant_tables(sources: &[Source]) -> BTreeSet<String> {
    let migrations = sources.iter().filter(|source| {
        source.path.contains("/migrations/") && super::has_extension(&source.path, "sql")
    });
    migrations
        .flat_map(|source| tables_in(&source.text))
        .collect()
}

fn tables_in(sql: &str) -> Vec<String> {
    let mut tables = Vec::new();
    let mut current = None;
    for line in sql.lines() {
        if let Some(rest) = line.strip_prefix("create table ") {
            current = rest.split([' ', '(']).next();
        }
        if line.trim_start().starts_with("organization_id ") {
            tables.extend(current.take().map(str::to_owned));
        }
        if line.starts_with(')') {
            current = None;
        }
    }
    tables
}

/// Checks the statements in a file of the application.
pub(crate) fn check(
    source: &Source,
    tables: &BTreeSet<String>,
    sources: &[Source],
) -> Vec<Finding> {
    if !source.path.starts_with("crates/tollbook/src/") {
        return Vec::new();
    }
    let statements = statements(&source.tokens).into_iter();
    let wrong = statements.filter_map(|(line, is_file, text)| {
        let sql = if is_file {
            sql_file(&text, sources)?
        } else {
            text
        };
        let table = unnamed(&sql, tables)?;
        Some((line, table))
    });
    let rule = |table| {
        format!(
            "a statement on `{table}` names `organization_id`, or says why not: `{EXEMPTION}<reason>`"
        )
    };
    wrong
        .map(|(line, table)| source.finding(line, rule(table)))
        .collect()
}

fn sql_file(literal: &str, sources: &[Source]) -> Option<String> {
    let path = format!("{APPLICATION}{}", literal.trim_matches('"'));
    sources
        .iter()
        .find(|source| source.path == path)
        .map(|source| source.text.clone())
}

/// The statements in calls of sqlx, checked or not: line, whether the text names a file, text.
fn statements(tokens: &[Token]) -> Vec<(usize, bool, String)> {
    let starts = tokens.iter().enumerate().filter(|(_, token)| {
        !token.is_literal
            && (token.text == "raw_sql"
                || token.text == "query"
                || token.text.starts_with("query_"))
    });
    starts
        .filter_map(|(index, token)| {
            let rest = tokens.get(index + 1..)?;
            let open = rest.iter().position(|token| token.is("("))?;
            // Between the name and the bracket: `!`, or the types of an unchecked call.
            if rest.iter().take(open).any(|token| {
                [";", "{", "}", ")", "=", "."]
                    .iter()
                    .any(|end| token.is(end))
            }) {
                return None;
            }
            let arguments = rest.get(open + 1..)?;
            let texts = arguments
                .iter()
                .take_while(|token| !token.is(")"))
                .filter(|token| token.is_literal && token.text.contains('"'));
            let is_text = |token: &&Token| !token.text.starts_with('\'');
            // `query_as!(Type, "…")`: the first text, and those added to it with `+`.
            let text = texts
                .filter(is_text)
                .map(|token| token.text.as_str())
                .collect::<Vec<_>>()
                .join(" ");
            (!text.is_empty()).then(|| (token.line, token.text.starts_with("query_file"), text))
        })
        .collect()
}

/// The tenant table that a statement reads or changes without naming the organization.
fn unnamed<'a>(sql: &str, tables: &'a BTreeSet<String>) -> Option<&'a str> {
    let reason = sql
        .split_once(EXEMPTION)
        .map(|(_, reason)| reason.lines().next().unwrap_or_default());
    if reason.is_some_and(|reason| reason.trim().len() > 2) {
        return None;
    }
    let code: String = sql
        .lines()
        .filter_map(|line| line.split("--").next())
        .collect::<Vec<_>>()
        .join(" ");
    let code = code.replace("\\n", " ").to_lowercase();
    let words: Vec<&str> = code
        .split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    if words.contains(&"organization_id") {
        return None;
    }
    let used = words.windows(2).filter_map(|pair| match pair {
        ["from" | "join" | "update" | "using", table] => Some(*table),
        _ => None,
    });
    used.filter_map(|table| tables.get(table))
        .map(String::as_str)
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> BTreeSet<String> {
        let sql = "create table calls (\n    organization_id uuid not null,\n    id uuid not null\n);\ncreate table users (\n    id uuid\n);\n";
        tables_in(sql).into_iter().collect()
    }

    fn lines(text: &str) -> Vec<usize> {
        let file = Source::new(
            "crates/tollbook/src/calls/find.sql",
            "select id from calls where id = $1",
        )
        .unwrap();
        let source = Source::new("crates/tollbook/src/calls/sql.rs", text).unwrap();
        check(&source, &tables(), &[file])
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn tenant_tables_are_those_with_an_organization() {
        assert_eq!(tables().into_iter().collect::<Vec<_>>(), ["calls"]);
    }

    #[test]
    fn a_statement_on_a_tenant_table_names_the_organization() {
        assert_eq!(
            lines(r#"fn a() { sqlx::query!("select id from calls where id = $1", id) }"#),
            [1]
        );
        assert_eq!(
            lines("fn a() {\n query_as!(Row, \"update calls\n set state = $1\") }"),
            [2]
        );
        assert_eq!(
            lines(r#"fn a() { sqlx::query_scalar::<_, Uuid>("delete from calls").fetch_one(tx) }"#),
            [1]
        );
        assert_eq!(
            lines(r#"fn a() { sqlx::query_file!("src/calls/find.sql", id) }"#),
            [1]
        );
        assert!(
            lines(r#"fn a() { sqlx::query!("select id from calls where organization_id = $1") }"#)
                .is_empty()
        );
        assert!(lines(r#"fn a() { sqlx::query!("select id from users") }"#).is_empty());
    }

    #[test]
    fn an_insert_leaves_it_to_the_default() {
        assert!(
            lines(r#"fn a() { sqlx::query!("insert into calls (id) values ($1)", id) }"#)
                .is_empty()
        );
    }

    #[test]
    fn an_exemption_gives_its_reason() {
        assert!(
            lines(
                r#"fn a() { sqlx::query!("select id from calls -- all organizations: the sweep") }"#
            )
            .is_empty()
        );
        assert_eq!(
            lines(r#"fn a() { sqlx::query!("select id from calls -- all organizations: ") }"#),
            [1]
        );
        assert_eq!(
            lines(r#"fn a() { sqlx::query!("select id from calls -- organization_id") }"#),
            [1]
        );
    }
}
