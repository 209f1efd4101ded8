//! `cargo xtask test`: every test there is, in the order of a reviewer's patience, cheap ones first.

use anyhow::Result;

use crate::{
    compat, layers, python,
    steps::{self, Step},
    workspace::{self, cargo, perform},
};

const DENY_VERSION: &str = "0.20.2";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only this step (may be given more than once), taking what it needs as already there.
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,
}

const STEPS: &[Step] = &[
    Step { name: "fmt", title: "Format", needs: &[], run: format },
    Step { name: "clippy", title: "Lints", needs: &[], run: lint },
    Step { name: "build", title: "Build", needs: &[], run: build },
    Step { name: "test", title: "Rust tests and doctests", needs: &["build"], run: test },
    Step { name: "docs", title: "Documentation", needs: &[], run: document },
    Step { name: "layers", title: "Dependencies point down", needs: &[], run: layers::check },
    Step { name: "deny", title: "Licences, bans, sources", needs: &[], run: deny },
    Step { name: "python", title: "Python package", needs: &["build"], run: python::check },
    Step { name: "compat", title: "Drop-ins", needs: &["build", "python"], run: compat::check },
    Step { name: "system", title: "Whole system", needs: &["build"], run: system },
    Step { name: "demo", title: "Demo", needs: &["build", "python"], run: demo },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let known = STEPS.iter().map(|step| step.name).collect::<Vec<_>>();
    if let Some(unknown) = options.only.iter().find(|name| !known.contains(&name.as_str())) {
        anyhow::bail!("no step is called `{unknown}`; there are {}", known.join(", "));
    }
    let wanted =
        |step: &&Step| options.only.is_empty() || options.only.iter().any(|n| n == step.name);
    let steps: Vec<Step> = STEPS.iter().filter(wanted).copied().collect();
    steps::run(&steps)
}

fn format() -> Result<()> {
    component("fmt", "rustfmt")?;
    perform(&mut cargo("fmt --all --check"))
}

fn lint() -> Result<()> {
    component("clippy", "clippy")?;
    perform(
        cargo("clippy --workspace --all-targets")
            .args(workspace::WITH_EVERYTHING.split(' '))
            .args(["--", "-D", "warnings"]),
    )
}

/// The programs that the later steps start, in the build that the Rust tests share.
fn build() -> Result<()> {
    workspace::build(false)
}

fn test() -> Result<()> {
    perform(cargo("test --workspace --no-fail-fast").args(workspace::WITH_OPTIONAL.split(' ')))
}

fn document() -> Result<()> {
    perform(
        cargo("doc --workspace --no-deps")
            .args(workspace::WITH_OPTIONAL.split(' '))
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Advisories are not asked for: they change from day to day and need the network.
fn deny() -> Result<()> {
    let tools = workspace::target().join("tools");
    let program = tools.join("bin/cargo-deny");
    if !program.exists() {
        println!("installing cargo-deny {DENY_VERSION} into target/tools");
        let mut install = cargo("install --quiet --locked --debug cargo-deny --version");
        perform(install.arg(DENY_VERSION).arg("--root").arg(&tools))?;
    }
    perform(workspace::command(program).args(["check", "licenses", "bans", "sources"]))
}

fn system() -> Result<()> {
    perform(cargo("test --workspace --test system").args(workspace::WITH_EVERYTHING.split(' ')))
}

/// In a process of its own: it takes Ctrl-C over.
fn demo() -> Result<()> {
    perform(&mut cargo("xtask demo --once"))
}

/// Lets rustup add a component that the toolchain lacks.
fn component(subcommand: &str, name: &str) -> Result<()> {
    match workspace::output(&mut cargo(&format!("{subcommand} --version"))) {
        Ok(_) => Ok(()),
        Err(_) => perform(workspace::command("rustup").args(["component", "add", name])),
    }
}
