//! The Rust SDK, both of its halves, against the real server: what one writes the other reads.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use millpond::{
    Builder, Client, Level, Scope, TextAttribute, TraceContext,
    read::{Aggregation, Query, RawFormat, RawOptions},
};
use millpond_system_tests::wait_for;

use crate::fixture::Fixture;

const PATIENCE: Duration = Duration::from_secs(60);

fn builder(fixture: &Fixture) -> Builder {
    Client::builder()
        .endpoint(fixture.api.url())
        .api_key(fixture.api.key())
        .service("shop")
        .batch_age(Duration::from_millis(10))
        .retry_delay(Duration::from_millis(1), Duration::from_millis(20))
        .breaker(5, Duration::from_millis(30))
}

fn flush(client: &Client) -> Result<()> {
    let outcome = client.flush(PATIENCE);
    ensure!(outcome.is_complete(), "{outcome:?} {:?}", client.metrics());
    Ok(())
}

#[test]
fn what_the_sdk_writes_the_sdk_reads() -> Result<()> {
    let fixture = Fixture::start()?;
    let client = builder(&fixture).field("region", "eu").build()?;
    let trace = TraceContext::generate();
    let flow = client.flow_from_server("checkout")?;
    Scope::new().trace(trace).user_id("u-1").tag("vip").run(|| {
        flow.info("reserved").field("order", u64::MAX).field("password", "hunter2").send();
        flow.error("payment failed")
            .error(&std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer"))
            .send();
    });
    client.debug("elsewhere").send();
    flush(&client)?;

    let reader = client.reader();
    let page = reader.by_trace_id(&trace.trace_id.to_string())?;
    let [reserved, failed] = page.logs.as_slice() else { anyhow::bail!("{page:?}") };
    assert_eq!((reserved.level(), reserved.message()), (Level::Info, "reserved"));
    assert_eq!(reserved.field("order").and_then(|order| order.as_u64()), Some(u64::MAX));
    assert_eq!(reserved.field("password").and_then(|it| it.as_str()), Some("[REDACTED]"));
    assert_eq!(reserved.field("region").and_then(|region| region.as_str()), Some("eu"));
    assert_eq!(reserved.tags().collect::<Vec<_>>(), ["vip"]);
    for (step, log) in [(0, reserved), (1, failed)] {
        assert_eq!(log.text(TextAttribute::FlowId), Some(flow.id()));
        assert_eq!(log.text(TextAttribute::UserId), Some("u-1"));
        assert_eq!(log.step_index(), Some(step));
    }
    let exception = failed.exception().context("no exception")?;
    assert_eq!(exception["message"], "no answer");

    let all: Vec<_> = reader.logs(Query::new("service:shop")).collect::<Result<_, _>>()?;
    assert_eq!(all.len(), 3);
    let statistics = reader.aggregated(&Aggregation::new().query("service:shop"))?;
    assert_eq!((statistics.total, statistics.top_errors.len()), (3, 1));
    let wrong = reader.query(&Query::new("level:(")).err().context("a wrong query passed")?;
    assert_eq!(wrong.status(), Some(400), "{wrong}");
    Ok(())
}

#[test]
fn raw_text_of_every_format_is_ingested_through_the_sdk() -> Result<()> {
    let fixture = Fixture::start()?;
    let reader = builder(&fixture).build_reader()?;
    for (format, body) in [
        (RawFormat::Json, r#"[{"message":"json"}]"#),
        (RawFormat::Jsonl, "{\"message\":\"jsonl\"}\nbroken\n"),
        (RawFormat::Syslog, "<34>1 2026-01-31T12:00:00Z host app 12 - - syslog"),
        (RawFormat::Text, "text"),
        (RawFormat::Csv, "level,message\nerror,csv\n"),
        (
            RawFormat::Obl,
            r#"{"format":"open-board-log-0.1","sessions":[{"id":"s","events":[{"id":"e","type":"note","text":"obl"}]}]}"#,
        ),
    ] {
        let options = RawOptions::new().service("raw").tag(format.name());
        let receipt = reader.ingest_raw(format, body.as_bytes(), &options)?;
        assert_eq!(receipt.accepted, 1, "{format:?}: {receipt:?}");
        let query = Query::new(format!("tags:{}", format.name()));
        let page = reader.query(&query)?;
        ensure!(page.logs.len() == 1, "{format:?}: {page:?}");
    }
    Ok(())
}

#[test]
fn a_tail_goes_on_through_a_crash_of_the_server_without_loss_or_repetition() -> Result<()> {
    const LOGS: u64 = 400;
    let mut fixture = Fixture::start()?;
    let client = builder(&fixture).build()?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    client.info("first").send();
    flush(&client)?;
    let tail = client.reader().tail("level:info").resume_after("0").spawn(move |log| {
        if let Some(number) = log.field("number").and_then(|number| number.as_u64()) {
            seeing.lock().unwrap_or_else(|error| error.into_inner()).push(number);
        }
    })?;
    let count = || seen.lock().map(|seen| seen.len() as u64).unwrap_or_default();
    let wait_until = |number| {
        let seen = wait_for(PATIENCE, || Ok((count() >= number).then_some(())))?;
        seen.with_context(|| format!("saw {} of {number}", count()))
    };
    for number in 0..LOGS {
        client.info("counted").field("number", number).send();
        client.debug("of no interest").send();
        if number == LOGS / 4 {
            wait_until(LOGS / 8)?;
        }
        if number == LOGS / 2 {
            fixture = fixture.crash(|| Ok(()))?;
        }
    }
    flush(&client)?;
    wait_until(LOGS)?;
    assert!(tail.stop());
    let seen = seen.lock().map(|seen| seen.clone()).unwrap_or_default();
    assert_eq!(seen, (0..LOGS).collect::<Vec<_>>());
    drop(fixture);
    Ok(())
}

#[test]
fn what_was_lost_can_be_asked_for() -> Result<()> {
    let fixture = Fixture::start()?;
    let client = builder(&fixture).queue_limits(1 << 20, 10).batch_age(PATIENCE).build()?;
    for _ in 0..25 {
        client.info("too many at once").send();
    }
    flush(&client)?;
    flush(&client)?;
    let page = client.reader().query(&Query::new("logger:millpond fields.lost:>0"))?;
    let [report] = page.logs.as_slice() else { anyhow::bail!("{page:?}") };
    let lost = report.field("lost").and_then(|lost| lost.as_u64());
    assert_eq!(lost, Some(client.metrics().dropped.total()));
    assert_eq!((report.service(), report.level()), ("shop", Level::Warn));
    Ok(())
}

#[test]
fn the_sdk_can_ask_what_its_key_may_do() -> Result<()> {
    let fixture = Fixture::start()?;
    let key = builder(&fixture).build_reader()?.key()?;
    assert_eq!(key.project, "default");
    assert!(key.scopes.contains(&"query".to_owned()), "{key:?}");
    let stranger = builder(&fixture).api_key("mp_wrong").build_reader()?;
    assert_eq!(stranger.key().err().and_then(|error| error.status()), Some(401));
    Ok(())
}
