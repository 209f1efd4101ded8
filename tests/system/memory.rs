//! `--memory`: what does not fit is refused with a reason, and what is refused leaves the rest alone.

use std::process::Command;

use anyhow::Result;
use millpond_system_tests::built_program;
use serde_json::json;
use tempfile::TempDir;

use crate::fixture::{event, event_ids, output, serve_in};

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn a_body_that_the_memory_can_not_take_is_refused_with_what_it_can() -> Result<()> {
    let folder = TempDir::new()?;
    let mut serve = serve_in(&folder)?;
    serve.arguments = vec!["--memory".to_owned(), "128MiB".to_owned()];
    let mut server = serve.start()?;
    let api = server.first_api()?;
    let padded = |bytes: usize, id: &str| " ".repeat(bytes) + &event(id).to_string();
    let reply = api.post("/api/v1/ingest", &[JSON], padded(40 << 20, "large").as_bytes())?;
    assert_eq!((reply.status, reply.code()), (413, "body_too_large"), "{}", reply.text);
    assert!(reply.message().contains("expected at most"), "{}", reply.text);
    let zeros = zstd::encode_all(padded(40 << 20, "packed").as_bytes(), 1)?;
    let headers = [JSON, ("Content-Encoding", "zstd")];
    let reply = api.post("/api/v1/ingest", &headers, &zeros)?;
    assert_eq!((reply.status, reply.code()), (413, "body_too_large"), "{}", reply.text);
    api.post("/api/v1/ingest", &[JSON], padded(10 << 20, "small").as_bytes())?.succeeded()?;
    assert_eq!(event_ids(&api.all(&[])?), ["small"]);
    Ok(())
}

#[test]
fn too_little_memory_is_refused_at_the_start() -> Result<()> {
    let folder = TempDir::new()?;
    for (memory, expected) in [("100MiB", "at least 128MiB"), ("plenty", "512MiB")] {
        let mut command = Command::new(built_program("millpond")?);
        command.args(["serve", "--memory", memory, "--data-dir"]).arg(folder.path().join("data"));
        let refused = output(&mut command).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains(expected), "{memory}: {refused}");
    }
    Ok(())
}

#[test]
fn what_the_server_counts_can_be_read() -> Result<()> {
    let folder = TempDir::new()?;
    let mut server = serve_in(&folder)?.start()?;
    let api = server.first_api()?;
    api.ingest(&[event("a"), json!({ "level": "info" }), event("b")], Some("c:1"))?.succeeded()?;
    api.ingest(&[event("a")], Some("c:1"))?.succeeded()?;
    let page = api.bare("GET", "/metrics", &[])?;
    assert_eq!(page.status, 200);
    for line in [
        "# TYPE millpond_ingest_records_total counter",
        "millpond_ingest_records_total{result=\"accepted\"} 2",
        "millpond_ingest_records_total{result=\"rejected\"} 1",
        "millpond_ingest_batches_total{result=\"stored\"} 1",
        "millpond_ingest_batches_total{result=\"duplicate\"} 1",
        "millpond_http_answers_total{status=\"200\"} 2",
        "millpond_memory_bytes{of=\"bodies\"} 0",
    ] {
        assert!(page.text.lines().any(|found| found == line), "no `{line}` in\n{}", page.text);
    }
    Ok(())
}
