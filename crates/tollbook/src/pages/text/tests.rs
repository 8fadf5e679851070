//! Every message that a template or source uses exists, with the values it needs, and every message is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fluent_bundle::FluentResource;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};

use super::{LANGUAGES, SOURCES, Text};

/// The text of all templates and sources of the application, but not of this file.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let extension = path
                .extension()
                .and_then(|it| it.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                walk(&path, found);
            } else if matches!(extension, "html" | "rs") && !path.ends_with("text/tests.rs") {
                found.push((path.clone(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    found
}

/// Keys with the values given right behind them: `say("key").with("name", …).number("count", …)`.
fn uses(source: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut uses = Vec::new();
    for rest in source.split(".say(").skip(1) {
        let Some(rest) = rest.trim_start().strip_prefix('"') else {
            continue;
        };
        let key = rest.split('"').next().unwrap_or_default().to_owned();
        let mut values = BTreeSet::new();
        let mut chain = rest
            .split_once(')')
            .map(|it| it.1)
            .unwrap_or_default()
            .trim_start();
        while let Some(call) = chain
            .strip_prefix(".with(")
            .or_else(|| chain.strip_prefix(".number("))
        {
            let name = call
                .trim_start()
                .trim_start_matches('"')
                .split('"')
                .next()
                .unwrap_or_default();
            values.insert(name.to_owned());
            chain = after_call(call).trim_start();
        }
        uses.push((key, values));
    }
    uses
}

/// What follows the parenthesis that closes a call.
fn after_call(inside: &str) -> &str {
    let mut depth = 1;
    for (at, letter) in inside.char_indices() {
        depth += match letter {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return &inside[at + 1..];
        }
    }
    ""
}

/// The values that each message of a file needs.
fn messages(source: &str) -> BTreeMap<String, BTreeSet<String>> {
    let resource = FluentResource::try_new(source.to_owned()).unwrap();
    let entries = resource.entries().filter_map(|entry| match entry {
        Entry::Message(message) => {
            let mut values = BTreeSet::new();
            collect(message.value.as_ref().unwrap(), &mut values);
            Some((message.id.name.to_owned(), values))
        }
        _ => None,
    });
    entries.collect()
}

fn collect(pattern: &Pattern<&str>, values: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        let PatternElement::Placeable { expression } = element else {
            continue;
        };
        let selector = match expression {
            Expression::Select { selector, variants } => {
                for variant in variants {
                    collect(&variant.value, values);
                }
                selector
            }
            Expression::Inline(inline) => inline,
        };
        if let InlineExpression::VariableReference { id } = selector {
            values.insert(id.name.to_owned());
        }
    }
}

#[test]
fn every_language_has_the_messages_that_pages_use() {
    let uses: Vec<_> = sources()
        .into_iter()
        .flat_map(|(path, source)| uses(&source).into_iter().map(move |it| (path.clone(), it)))
        .collect();
    assert!(
        uses.len() > 150,
        "the search found only {} uses",
        uses.len()
    );
    for (tag, source) in SOURCES {
        let messages = messages(source);
        for (path, (key, given)) in &uses {
            let needed = messages
                .get(key)
                .unwrap_or_else(|| panic!("{}: `{key}` is missing in {tag}", path.display()));
            assert_eq!(
                given,
                needed,
                "{}: values of `{key}` in {tag}",
                path.display()
            );
        }
    }
}

#[test]
fn no_message_is_left_over() {
    let mut used: BTreeSet<String> = sources()
        .iter()
        .flat_map(|(_, source)| uses(source))
        .map(|it| it.0)
        .collect();
    used.extend(["number-decimal-mark", "number-group-mark"].map(str::to_owned));
    for (tag, source) in SOURCES {
        let left_over: Vec<_> = messages(source)
            .into_keys()
            .filter(|it| !used.contains(it))
            .collect();
        assert!(left_over.is_empty(), "{tag}: {left_over:?}");
    }
}

#[test]
fn every_language_loads_without_a_mistake() {
    assert_eq!(LANGUAGES.len(), SOURCES.len());
    for (tag, source) in SOURCES {
        FluentResource::try_new(source.to_owned())
            .unwrap_or_else(|(_, errors)| panic!("{tag}: {errors:?}"));
    }
}

#[test]
fn a_number_chooses_the_plural() {
    let say = |count: u64| {
        Text::default()
            .say("card-invoices")
            .number("count", count)
            .to_string()
    };
    assert_eq!(
        [0, 1, 2].map(say),
        ["Invoices", "One open invoice", "2 open invoices"]
    );
}

#[test]
fn english_is_spoken_to_everybody_else() {
    for wanted in ["", "en-GB, de;q=0.5", "tlh", "*", ";;;", "de-AT"] {
        assert_eq!(Text::negotiate(wanted).tag(), "en");
    }
}

#[test]
fn values_keep_their_text() {
    let message = Text::default().say("notice-rate").with("rate", "$1.20");
    assert_eq!(message.to_string(), "$1.20 per minute");
}
