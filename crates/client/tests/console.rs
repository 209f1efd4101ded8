//! What a client prints. The records are logged by a child process, this test's own program again, so that stdout and
//! stderr can be looked at.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails panics")]

mod support;

use std::{
    env,
    process::{Command, Output},
};

use millpond::{Builder, Level, Mode};
use serde_json::Value;
use support::{Server, builder};

/// The variable that tells the child what it is.
const ROLE: &str = "MILLPOND_TEST_ROLE";

/// How a child ends that has no stdout to say so.
const SURVIVED: i32 = 42;

/// Not a test unless a parent says so: logs what the tests look at, then tells its metrics.
#[test]
fn child() {
    let Ok(role) = env::var(ROLE) else { return };
    #[cfg(unix)]
    if role == "loses its stdout" {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        rustix::stdio::dup2_stdout(&writer).unwrap();
    }
    let client = Builder::from_env().service("shop").build().unwrap();
    client.info("order placed").field("order", 4711).field("token", "t").logger("cart").send();
    client.warn("slow\x1b[2J").send();
    client.error("failed").error(&std::io::Error::other("no luck")).local_only().send();
    support::flush(&client);
    let metrics = client.metrics();
    let expected = match role.as_str() {
        "is silent" => (0, 0),
        "sends" => (2, 1),
        _ => (0, 3),
    };
    assert_eq!((metrics.delivered, metrics.filtered), expected);
    if role == "loses its stdout" {
        // The runner could not say that all went well.
        std::process::exit(SURVIVED);
    }
}

fn command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["child", "--exact", "--nocapture", "--quiet"]);
    for name in ["MODE", "CONSOLE", "MIN_LEVEL", "REDACTION", "ENDPOINT", "API_KEY"] {
        command.env_remove(format!("MILLPOND_{name}"));
    }
    command.env(ROLE, "prints").envs(variables.iter().copied());
    command
}

fn run(variables: &[(&str, &str)]) -> Output {
    let output = command(variables).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// The lines of the client; around them the test's own runner says something.
fn lines(output: &[u8], is_ours: impl Fn(&str) -> bool) -> Vec<String> {
    let text = String::from_utf8(output.to_vec()).unwrap();
    text.lines().filter(|line| is_ours(line)).map(str::to_owned).collect()
}

#[test]
fn development_prints_for_people_split_by_level_and_sends_nothing() {
    let output = run(&[("MILLPOND_MODE", "development"), ("NO_COLOR", "")]);
    let is_ours = |line: &str| line.contains("Z ") || line.starts_with("    ");
    let stdout = lines(&output.stdout, is_ours);
    let stderr = lines(&output.stderr, is_ours);
    assert_eq!(stdout.len(), 1, "{stdout:?}");
    assert!(stdout[0].ends_with("Z INFO     shop/cart order placed order=4711 token=[REDACTED]"));
    assert_eq!(stderr.len(), 3, "{stderr:?}");
    assert!(stderr[0].ends_with(r"Z WARN     shop slow\u{1b}[2J"), "{stderr:?}");
    assert!(stderr[1].ends_with("Z ERROR    shop failed"));
    assert_eq!(stderr[2], "    std::io::error::Error: no luck");
}

#[test]
fn json_is_what_would_be_sent() {
    let output = run(&[("MILLPOND_MODE", "development"), ("MILLPOND_CONSOLE", "json")]);
    let stdout = lines(&output.stdout, |line| line.starts_with('{'));
    let stderr = lines(&output.stderr, |line| line.starts_with('{'));
    assert_eq!((stdout.len(), stderr.len()), (1, 2));
    let record: Value = serde_json::from_str(&stdout[0]).unwrap();
    assert_eq!(
        (&record["message"], &record["fields"]["order"]),
        (&"order placed".into(), &4711.into())
    );
    assert!(stderr[0].contains("\"message\":\"slow\\u001b[2J\""));
}

#[test]
fn a_console_prints_what_is_sent_too_and_local_records() {
    let server = Server::start();
    let endpoint = format!("http://{}", server.address);
    let output =
        run(&[("MILLPOND_ENDPOINT", &endpoint), ("MILLPOND_CONSOLE", "json"), (ROLE, "sends")]);
    let mut printed = lines(&output.stdout, |line| line.starts_with('{'));
    printed.extend(lines(&output.stderr, |line| line.starts_with('{')));
    assert_eq!(printed.len(), 3);
    assert_eq!(printed[..2], server.stored());
    assert!(printed[2].contains("\"message\":\"failed\""));
}

#[test]
fn a_console_can_be_off_and_a_client_silent() {
    let output = run(&[("MILLPOND_MODE", "development"), ("MILLPOND_CONSOLE", "off")]);
    let mut all = output.stdout;
    all.extend(output.stderr);
    let output =
        run(&[("MILLPOND_MODE", "silent"), ("MILLPOND_CONSOLE", "json"), (ROLE, "is silent")]);
    all.extend(output.stdout);
    all.extend(output.stderr);
    let text = String::from_utf8(all).unwrap();
    assert!(!text.contains("order placed") && !text.contains("failed\""), "{text}");
}

#[cfg(unix)]
#[test]
fn a_stream_that_nobody_reads_is_no_error() {
    let output = command(&[
        ("MILLPOND_MODE", "development"),
        ("MILLPOND_CONSOLE", "json"),
        (ROLE, "loses its stdout"),
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(SURVIVED), "{output:?}");
    let stderr = lines(&output.stderr, |line| line.starts_with('{'));
    assert_eq!(stderr.len(), 2, "{stderr:?}");
}

#[test]
fn a_wrong_variable_is_named() {
    for (name, value, expected) in [
        ("MILLPOND_MODE", "dev", "normal, development or silent"),
        ("MILLPOND_CONSOLE", "xml", "pretty, json or off"),
        ("MILLPOND_LEVEL", "loud", "trace, debug, info, warn, error or critical"),
        ("MILLPOND_REDACTION", "some", "off, keys or keys_and_values"),
    ] {
        let output = command(&[(name, value)]).output().unwrap();
        assert!(!output.status.success());
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        for part in [name, value, expected] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

#[test]
fn a_silent_client_stays_silent() {
    let server = Server::start();
    let client = builder(server.address).mode(Mode::Silent).build().unwrap();
    client.set_min_level(Level::Trace);
    assert!(!client.is_enabled(Level::Critical));
    client.critical("m").send();
    support::flush(&client);
    assert_eq!(client.metrics(), millpond::Metrics::default());
    assert!(server.requests().is_empty());
}
