//! Where things are, and how cargo is called: always for the whole workspace, so that features unify in one way and
//! every step shares one build.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};

/// The root of the repository: as `cargo run` says now, for a clone may have moved since we were compiled.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().unwrap_or(&here).to_owned()
}

/// A path below the root.
pub(crate) fn path(relative: &str) -> PathBuf {
    root().join(relative)
}

/// Cargo's target directory, where everything goes that is not source.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => path("target"),
    }
}

/// A command that runs in the root.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Cargo, with words as arguments.
pub(crate) fn cargo(words: &str) -> Command {
    let mut cargo = command("cargo");
    cargo.args(words.split_whitespace());
    // Set by the `cargo run` that started us; inherited, they would make cargo rebuild what reads them.
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy();
        if ours.starts_with("CARGO_PKG_") || ours.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs a command with our output and input; an error if it fails.
pub(crate) fn perform(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("start `{shown}`"))?;
    ensure!(status.success(), "`{shown}`: {status}");
    Ok(())
}

/// Runs a command and returns what it prints; an error, with what it said, if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("start `{shown}`"))?;
    ensure!(
        output.status.success(),
        "`{shown}`: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// A command as a person would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ").replace(&format!("{}/", root().display()), "")
}

/// A program that [`cargo`] has built.
pub(crate) fn program(name: &str, release: bool) -> PathBuf {
    target().join(if release { "release" } else { "debug" }).join(name)
}

/// What is built only for those who ask for it is tested nevertheless.
pub(crate) const WITH_OPTIONAL: &str =
    "--features millpond/async,millpond/opentelemetry,millpond-tracing/log,millpond-tower/axum";

/// And the whole-system tests.
pub(crate) const WITH_EVERYTHING: &str = "--features millpond/async,millpond/opentelemetry,\
     millpond-tracing/log,millpond-tower/axum,millpond-system-tests/system";

/// Builds every program of the workspace, with cargo's own progress; for debugging, as the tests need it: features are
/// unified over all that is built at once, and DataFusion, built again for other ones, takes minutes.
pub(crate) fn build(release: bool) -> Result<()> {
    if release {
        return perform(&mut cargo("build --workspace --release"));
    }
    perform(cargo("build --workspace --all-targets").args(WITH_EVERYTHING.split(' ')))
}
