//! Checks the rules that neither the compiler nor clippy knows: file sizes, forbidden words, the direction of
//! dependencies, and that each query on an organization's rows names the organization.

mod edges;
mod files;
mod layers;
mod queries;
mod tokens;
mod words;

use std::{fmt, fs, path::Path};

use anyhow::{Result, bail};

use crate::workspace;

/// A source file, read and split into tokens.
pub(crate) struct Source {
    /// Below the workspace, with `/`.
    path: String,
    text: String,
    tokens: Vec<tokens::Token>,
}

/// A broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: String,
    /// Counted from 1.
    line: usize,
    rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

impl Source {
    /// Only Rust has tokens; other files are text.
    fn new(path: &str, text: &str) -> Result<Self> {
        let tokens = if has_extension(path, "rs") {
            tokens::tokens(path, text)?
        } else {
            Vec::new()
        };
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens,
        })
    }

    fn finding(&self, line: usize, rule: impl Into<String>) -> Finding {
        Finding {
            path: self.path.clone(),
            line,
            rule: rule.into(),
        }
    }

    fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }

    /// Whether the file holds nothing but tests.
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.starts_with("e2e/")
    }
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

/// Checks the workspace and lists everything that is wrong.
pub(crate) fn run() -> Result<()> {
    let sources = sources(&workspace::root()?)?;
    let tables = queries::tenant_tables(&sources);
    let mut findings = edges::check()?;
    for source in &sources {
        findings.extend(files::check(source));
        findings.extend(words::check(source));
        findings.extend(layers::check(source));
        findings.extend(queries::check(source, &tables, &sources));
    }
    if findings.is_empty() {
        println!("tidy: {} files are in order", sources.len());
        return Ok(());
    }
    for finding in &findings {
        println!("{finding}");
    }
    bail!("tidy: {} findings", findings.len())
}

fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for folder in ["crates", "e2e", "xtask"]
        .map(|name| root.join(name))
        .iter()
        .filter(|folder| folder.exists())
    {
        for path in workspace::files(folder)? {
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            if ["rs", "sql", "js", "mjs", "css", "html"]
                .iter()
                .any(|extension| has_extension(&name, extension))
            {
                sources.push(Source::new(&name, &fs::read_to_string(&path)?)?);
            }
        }
    }
    Ok(sources)
}

#[cfg(test)]
fn findings_of(
    check: impl Fn(&Source) -> Vec<Finding>,
    path: &str,
    text: &str,
) -> Vec<(usize, String)> {
    let findings = check(&Source::new(path, text).unwrap());
    findings
        .into_iter()
        .map(|finding| (finding.line, finding.rule))
        .collect()
}
