//! The examples, as programs of their own: `cargo test` builds them, unless it is told which tests to run, and each is
//! run as its reader would run it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails panics"
)]

mod support;
#[path = "support/web.rs"]
mod web;

use std::{
    env,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use support::Server;
use web::{Web, ok};

/// The program, without the variables of whoever runs the tests.
fn example(name: &str) -> Command {
    let deps = env::current_exe().unwrap().parent().unwrap().to_owned();
    let program = format!("{name}{}", env::consts::EXE_SUFFIX);
    let program: PathBuf = deps.with_file_name("examples").join(program);
    assert!(program.exists(), "{program:?} is missing: run `cargo build -p millpond --examples`");
    let mut command = Command::new(program);
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("MILLPOND_") {
            command.env_remove(variable);
        }
    }
    command.env("NO_COLOR", "1");
    command
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

fn lines(output: &[u8]) -> Vec<String> {
    String::from_utf8(output.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn quickstart_prints_what_a_server_would_get() {
    let output = succeed(&mut example("quickstart"));
    let stdout = lines(&output.stdout);
    assert!(stdout[0].contains("Z INFO     shop started version="), "{stdout:?}");
    let placed = "shop order placed number=4711 total=19.99 request_id=r-1 user_id=u-1";
    assert!(stdout[1].ends_with(placed), "{stdout:?}");
    let stderr = lines(&output.stderr);
    assert!(stderr[0].contains("shop order failed number=4712 card_number=[REDACTED]"));
    assert!(stderr[0].contains("cart checked"));
    assert!(stderr[1].contains("ParseFloatError: invalid float literal"), "{stderr:?}");
}

#[test]
fn spool_delivers_what_an_earlier_run_could_not() {
    let directory = tempfile::tempdir().unwrap();
    let run = |address| {
        let mut command = example("spool");
        command
            .env("MILLPOND_ENDPOINT", format!("http://{address}"))
            .env("MILLPOND_SPOOL_DIR", directory.path());
        lines(&succeed(&mut command).stdout)
    };
    let offline = run(Server::nowhere());
    assert_eq!(offline[0], "0 of 3 records are not safe");
    assert_eq!(offline[1], "delivered 0, 0 of them for earlier runs; 3 wait for the next run");

    let server = Server::start();
    let online = run(server.address);
    assert_eq!(online[1], "delivered 6, 3 of them for earlier runs; 0 wait for the next run");
    let stored: Vec<Value> =
        server.stored().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let recovered = stored.iter().filter(|record| record["recovered"] == true).count();
    assert_eq!((stored.len(), recovered), (6, 3));
}

#[test]
fn reading_shows_the_newest_error_and_how_it_came_to_that() {
    let log = |id: u32, level: &str, message: &str| {
        format!(
            r#"{{"id":"{id}","time":"2026-01-31T12:00:0{id}Z","level":"{level}","service":"api","message":"{message}","trace_id":"t1"}}"#
        )
    };
    let (failed, taken) = (log(2, "critical", "failed"), log(1, "info", "taken"));
    let web = Web::start([
        ok(r#"{"interval":"1h","total":3,"timeseries":[
            {"bucket":"2026-01-31T11:00:00Z","total":0,"by_level":{}},
            {"bucket":"2026-01-31T12:00:00Z","total":3,"by_level":{"error":2,"critical":1}}],
            "top_services":[],"top_errors":[]}"#),
        ok(&format!(r#"{{"logs":[{failed}],"has_more":false}}"#)),
        ok(&format!(r#"{{"logs":[{taken},{failed}]}}"#)),
    ]);
    let mut command = example("reading");
    command.env("MILLPOND_ENDPOINT", format!("http://{}", web.address));
    let shown = |id, rest: &str| format!("2026-01-31T12:00:0{id}.000000000Z {rest}");
    assert_eq!(
        lines(&succeed(&mut command).stdout),
        [
            "3 errors".to_owned(),
            format!("  {}", shown(0, "3, 1 critical")),
            shown(2, "critical api failed"),
            format!("  {}", shown(1, "info     api taken")),
            format!("  {}", shown(2, "critical api failed")),
        ]
    );
}
