//! Dependencies point down only. Which crate of ours may know which, and who may have an async runtime.
//! Pure but for the call of `cargo metadata`; dependencies of tests alone are free.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::workspace;

/// Each crate, lowest first, and the crates of ours that it may know. A new crate gets a line here, with a reason in
/// its commit.
const LAYERS: &[(&str, &[&str])] = &[
    ("millpond-record", &[]),
    ("millpond-query", &["millpond-record"]),
    ("millpond-wire", &["millpond-record"]),
    ("millpond-protocols", &["millpond-record", "millpond-wire"]),
    ("millpond-queue", &["millpond-record"]),
    ("millpond", &["millpond-queue", "millpond-wire", "millpond-record"]),
    ("millpond-tracing", &["millpond", "millpond-record"]),
    ("millpond-tower", &["millpond", "millpond-record"]),
    ("millpond-python", &["millpond", "millpond-record"]),
    ("millpond-store", &["millpond-query", "millpond-wire", "millpond-record"]),
    ("millpond-sql", &["millpond-store", "millpond-query", "millpond-record"]),
    (
        "millpond-server",
        &[
            "millpond-protocols",
            "millpond-query",
            "millpond-wire",
            "millpond-store",
            "millpond-sql",
            "millpond-record",
        ],
    ),
    (
        "millpond-cli",
        &[
            "millpond-server",
            "millpond-query",
            "millpond-wire",
            "millpond-store",
            "millpond-record",
        ],
    ),
    ("millpond-example-axum", &["millpond", "millpond-tracing", "millpond-tower"]),
    ("millpond-system-tests", &[]),
    ("xtask", &["millpond-system-tests"]),
];

/// Crates that are bytes in, values out, and the client, whose engine has no async runtime: none of them may even
/// name one of `RUNTIMES`.
const WITHOUT_RUNTIME: &[&str] = &[
    "millpond-record",
    "millpond-query",
    "millpond-protocols",
    "millpond-wire",
    "millpond-queue",
    "millpond",
    "millpond-tracing",
    "millpond-tower",
    "millpond-python",
];
const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "hyper", "reqwest"];

/// The step: reads the workspace and names every edge that points up.
pub(crate) fn check() -> Result<()> {
    let metadata =
        workspace::output(&mut workspace::cargo("metadata --format-version 1 --no-deps"))?;
    let edges = edges(&serde_json::from_str(&metadata)?)?;
    let wrong = violations(&edges);
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} dependencies between crates point down", edges.len());
    Ok(())
}

/// (crate, dependency) of normal and build dependencies.
fn edges(metadata: &Value) -> Result<Vec<(String, String)>> {
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let mut edges = Vec::new();
    for package in packages {
        let name = package["name"].as_str().context("a package has no name")?;
        let dependencies = package["dependencies"].as_array().context("no dependencies")?;
        let kept = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
        edges.extend(kept.filter_map(|dependency| {
            Some((name.to_owned(), dependency["name"].as_str()?.to_owned()))
        }));
    }
    Ok(edges)
}

fn violations(edges: &[(String, String)]) -> Vec<String> {
    let ours = |name: &str| name == "xtask" || name.starts_with("millpond");
    let wrong = edges.iter().filter_map(|(from, to)| {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| name == from) else {
            return Some(format!("{from} has no line in xtask/src/layers.rs"));
        };
        if ours(to) && !allowed.contains(&to.as_str()) {
            return Some(format!("{from} depends on {to}, which is not below it"));
        }
        let runtime = RUNTIMES.contains(&to.as_str());
        (runtime && WITHOUT_RUNTIME.contains(&from.as_str()))
            .then(|| format!("{from} depends on {to}; it has no async runtime"))
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(from: &str, to: &str) -> bool {
        !violations(&[(from.to_owned(), to.to_owned())]).is_empty()
    }

    #[test]
    fn a_dependency_that_points_up_or_sideways_is_named() {
        assert!(wrong("millpond-record", "millpond-query"));
        assert!(wrong("millpond-store", "millpond-server"));
        assert!(wrong("millpond", "millpond-store"));
        assert!(!wrong("millpond-server", "millpond-store"));
    }

    #[test]
    fn a_crate_without_a_line_is_named() {
        assert!(wrong("millpond-unheard-of", "serde"));
    }

    #[test]
    fn the_client_has_no_async_runtime() {
        assert!(wrong("millpond", "tokio"));
        assert!(!wrong("millpond-server", "tokio"));
    }

    #[test]
    fn every_crate_may_only_know_crates_on_lines_above_its_own() {
        for (index, (_, allowed)) in LAYERS.iter().enumerate() {
            let above: Vec<_> = LAYERS.iter().take(index).map(|(name, _)| *name).collect();
            assert!(allowed.iter().all(|name| above.contains(name)));
        }
    }

    #[test]
    fn dependencies_of_tests_alone_are_free() {
        let metadata = serde_json::json!({ "packages": [{ "name": "a", "dependencies": [
            { "name": "b", "kind": null }, { "name": "c", "kind": "dev" }, { "name": "d", "kind": "build" } ] }] });
        let found = edges(&metadata).unwrap();
        let found: Vec<_> = found.iter().map(|(_, to)| to.as_str()).collect();
        assert_eq!(found, ["b", "d"]);
    }
}
