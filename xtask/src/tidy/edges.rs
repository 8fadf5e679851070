//! The direction of dependencies between the crates, and the purity of the core.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Finding;
use crate::workspace;

/// Which members each member may depend on. A member that is not listed may depend on none.
const EDGES: &[(&str, &[&str])] = &[
    ("tollbook-core", &[]),
    ("tollbook-postgres", &[]),
    ("tollbook-providers", &["tollbook-core"]),
    (
        "tollbook",
        &["tollbook-core", "tollbook-postgres", "tollbook-providers"],
    ),
    ("xtask", &["tollbook-core", "tollbook-postgres"]),
];

/// Crates that read a clock, a socket, a file or randomness, or need a runtime for it.
const IO_CRATES: &[&str] = &[
    "async-std",
    "axum",
    "futures-executor",
    "getrandom",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rustix",
    "smol",
    "socket2",
    "sqlx",
    "sqlx-core",
    "tempfile",
    "tokio",
    "tracing",
    "ureq",
];

pub(crate) fn check() -> Result<Vec<Finding>> {
    let mut findings = wrong_edges(&workspace::metadata()?)?;
    // `cargo tree` and not the resolved graph of `cargo metadata`: that one joins the features of all members.
    let mut command = workspace::cargo()?;
    command.args([
        "tree",
        "--package",
        "tollbook-core",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let tree = workspace::output(&mut command)?;
    findings.extend(
        io_crates(&tree)
            .into_iter()
            .map(|name| finding("core", format!("`{name}` in its tree does input or output"))),
    );
    Ok(findings)
}

fn finding(folder: &str, rule: String) -> Finding {
    Finding {
        path: format!("crates/{folder}/Cargo.toml"),
        line: 1,
        rule,
    }
}

fn wrong_edges(metadata: &Value) -> Result<Vec<Finding>> {
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("no packages")?;
    let name = |value: &Value| {
        value
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let mut findings = Vec::new();
    for package in packages {
        let from = name(package);
        let allowed = EDGES
            .iter()
            .find(|(member, _)| *member == from)
            .map_or(&[][..], |(_, allowed)| allowed);
        let dependencies = package["dependencies"]
            .as_array()
            .into_iter()
            .flatten()
            .map(name);
        let wrong =
            dependencies.filter(|to| members.contains(to) && !allowed.contains(&to.as_str()));
        let folder = from.strip_prefix("tollbook-").unwrap_or(&from).to_owned();
        findings
            .extend(wrong.map(|to| finding(&folder, format!("`{from}` may not depend on `{to}`"))));
    }
    Ok(findings)
}

fn io_crates(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| IO_CRATES.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn providers_do_not_know_the_application() {
        let package = |name: &str, dependency: &str| json!({ "name": name, "dependencies": [{ "name": dependency }] });
        let metadata = json!({ "packages": [package("tollbook", "tollbook-providers"), package("tollbook-providers", "tollbook")] });
        let findings = wrong_edges(&metadata).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].to_string(),
            "crates/providers/Cargo.toml:1: `tollbook-providers` may not depend on `tollbook`"
        );
    }

    #[test]
    fn a_runtime_in_the_core_is_found() {
        let tree = "tollbook-core v0.1.0 (/srv)\njiff v0.2.1\ntokio v1.0.0\ntokio v1.0.0 (*)";
        assert_eq!(io_crates(tree).into_iter().collect::<Vec<_>>(), ["tokio"]);
    }
}
