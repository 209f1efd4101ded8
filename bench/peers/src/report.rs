//! What a run has found, for people: tables in Markdown, and what they say about our targets, also where somebody
//! else is better.

use std::fmt::Write as _;

use anyhow::Result;

use crate::{
    run::{CALLERS, Findings, HOLDERS, OutageRun, Round, SENDERS},
    stopwatch::spread,
};

/// Mean cost of an event through the layer for `tracing`, in nanoseconds.
const LAYER_NS_MAX: f64 = 500.0;
/// Delivered records a second from one thread.
const DELIVERED_PER_SECOND_MIN: f64 = 500_000.0;
/// A call in an outage, at p99.9.
const OUTAGE_P999_US_MAX: f64 = 1_000.0;
/// How much longer than an idle thread's the longest one may be.
const OUTAGE_BEYOND_IDLE_US_MAX: f64 = 20_000.0;

const VERSIONED: [&str; 9] = [
    "millpond",
    "tracing",
    "tracing-subscriber",
    "tracing-appender",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry-otlp",
    "opentelemetry-appender-tracing",
    "sentry",
];

/// The versions that were built, from the lock file.
pub(crate) fn versions() -> Vec<(&'static str, String)> {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let (_, behind) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        behind.split('"').next().map(str::to_owned)
    };
    VERSIONED.iter().filter_map(|&name| Some((name, version(name)?))).collect()
}

pub(crate) fn markdown(findings: &Findings<'_>) -> Result<String> {
    let mut text = String::new();
    let versions = findings.versions.iter().map(|(name, version)| format!("{name} {version}"));
    writeln!(text, "- versions: {}", versions.collect::<Vec<_>>().join(", "))?;
    writeln!(text, "- took {:.0} s\n", findings.seconds)?;
    targets(&mut text, findings)?;
    calls(&mut text, findings)?;
    throughput(&mut text, findings)?;
    limit(&mut text, findings)?;
    outages(&mut text, findings)?;
    Ok(text)
}

/// A name as the table shows it.
fn shown(name: &str) -> String {
    let (name, room) = name.split_once(':').map_or((name, None), |(name, room)| (name, Some(room)));
    let title = match name {
        "nothing" => "nothing (the stopwatch)",
        "millpond-tracing" => "**millpond-tracing**",
        "millpond" => "**millpond**, `client.info(…).field(…)…send()`",
        "millpond-submit" => "**millpond**, `client.submit(…)`",
        "appender-tracing" => "tracing-subscriber JSON, tracing-appender, file",
        "full-disk-tracing" => "tracing-subscriber JSON, tracing-appender, full disk",
        "otel-tracing" => "opentelemetry-appender-tracing, OTLP/HTTP",
        "otel" => "opentelemetry, `Logger::emit`, OTLP/HTTP",
        "sentry-tracing" => "sentry, `LogLayer`",
        "sentry" => "sentry, `logger_info!`",
        other => other,
    };
    match room {
        None => title.to_owned(),
        Some("waits") => format!("{title}, caller waits when full"),
        Some(records) => format!("{title}, room for {records}"),
    }
}

/// Median of the rounds, and the span of all of them.
fn cell(values: [f64; 3]) -> String {
    let [median, least, most] = values;
    format!("{median:.0} ({least:.0}–{most:.0})")
}

fn of<'a, T>(rounds: &'a [Round<T>], name: &'a str) -> impl Iterator<Item = &'a Round<T>> + Clone {
    rounds.iter().filter(move |round| round.contestant == name)
}

fn mean_ns(findings: &Findings<'_>, name: &str) -> f64 {
    spread(of(&findings.calls, name).map(|round| round.finding.mean_ns))[0]
}

fn per_second(findings: &Findings<'_>, name: &str) -> f64 {
    let rounds = of(&findings.throughput, name);
    spread(rounds.map(|round| delivered(round) as f64 / round.finding.wall_seconds))[0]
}

/// Records that the sink has, or the file.
fn delivered(round: &Round<crate::measure::Throughput>) -> u64 {
    round.finding.account.written.map_or(round.sink.records, |(lines, _)| lines)
}

fn targets(text: &mut String, findings: &Findings<'_>) -> Result<()> {
    writeln!(text, "## Targets\n\n| what | target | measured | |\n| --- | ---: | ---: | --- |")?;
    let mut row = |what: &str, target: String, measured: String, met: bool| {
        writeln!(
            text,
            "| {what} | {target} | {measured} | {} |",
            if met { "met" } else { "missed" }
        )
    };
    let layer = mean_ns(findings, "millpond-tracing");
    row(
        "mean cost of `tracing::info!` with five fields",
        format!("≤ {LAYER_NS_MAX:.0} ns"),
        format!("{layer:.0} ns"),
        layer <= LAYER_NS_MAX,
    )?;
    let best = |names: &[&'static str]| {
        let costs = names.iter().map(|&name| (mean_ns(findings, name), name));
        costs.min_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default()
    };
    let (peer, name) = best(&["appender-tracing", "otel-tracing", "sentry-tracing"]);
    let what = format!("… below the best peer, {}", shown(name));
    row(&what, format!("< {peer:.0} ns"), format!("{layer:.0} ns"), layer < peer)?;
    let direct = mean_ns(findings, "millpond");
    let (peer, name) = best(&["otel", "sentry"]);
    let what = format!("direct call below the best peer, {}", shown(name));
    row(&what, format!("< {peer:.0} ns"), format!("{direct:.0} ns"), direct < peer)?;
    let ours = per_second(findings, "millpond-tracing");
    row(
        "records a second delivered, logged by one thread",
        format!("≥ {DELIVERED_PER_SECOND_MIN:.0}"),
        format!("{ours:.0}"),
        ours >= DELIVERED_PER_SECOND_MIN,
    )?;
    let peers = SENDERS.iter().filter(|name| !name.starts_with("millpond"));
    let peers = peers.map(|&name| (per_second(findings, name), name));
    let (peer, name) = peers.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap_or_default();
    let what = format!("… above the best peer, {}", shown(name));
    row(&what, format!("> {peer:.0}"), format!("{ours:.0}"), ours > peer)?;
    let worst = findings.outages.iter().map(|run| run.finding.logging.p999_us).fold(0.0, f64::max);
    row(
        "call in an outage, p99.9, the worst of all variants",
        format!("< {OUTAGE_P999_US_MAX:.0} µs"),
        format!("{worst:.1} µs"),
        worst < OUTAGE_P999_US_MAX,
    )?;
    let beyond = |run: &OutageRun| run.finding.logging.max_us - run.finding.idle.max_us;
    let worst = findings.outages.iter().map(beyond).fold(f64::MIN, f64::max);
    row(
        "longest call in an outage, beyond the idle thread's longest",
        format!("≤ {OUTAGE_BEYOND_IDLE_US_MAX:.0} µs"),
        format!("{worst:.1} µs"),
        worst <= OUTAGE_BEYOND_IDLE_US_MAX,
    )?;
    Ok(())
}

fn calls(text: &mut String, findings: &Findings<'_>) -> Result<()> {
    writeln!(
        text,
        "\n## What a call with five fields costs its caller\n\n\
         Nanoseconds; the median of {} rounds and in brackets the least and the most of them, each round a fresh \
         process. Means are of {} bursts of {} calls, between which all is sent, so that no queue is full and no \
         record is lost. The quantiles are of as many calls that were timed one by one: the stopwatch is part of each.\n",
        findings.plan.call_rounds,
        findings.plan.call_bursts,
        crate::measure::BURST_CALLS,
    )?;
    writeln!(text, "| who | mean | mean on the processor | median | p99 | p99.9 | bytes each |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for name in CALLERS {
        let rounds = of(&findings.calls, name);
        let column = |value: fn(&crate::measure::Calls) -> f64| {
            cell(spread(rounds.clone().map(|round| value(&round.finding))))
        };
        let bytes = rounds.clone().map(|round| match round.finding.account.written {
            Some((lines, bytes)) => bytes as f64 / lines as f64,
            None => round.sink.wire_bytes as f64 / round.sink.records as f64,
        });
        let lost: u64 = rounds
            .clone()
            .filter(|round| name != "nothing" && round.finding.account.written.is_none())
            .map(|round| round.finding.logged - round.sink.records)
            .sum();
        writeln!(
            text,
            "| {}{} | {} | {} | {} | {} | {} | {} |",
            shown(name),
            if lost > 0 { format!(" ({lost} lost)") } else { String::new() },
            column(|calls| calls.mean_ns),
            column(|calls| calls.mean_on_processor_ns),
            column(|calls| f64::from(calls.median_ns)),
            column(|calls| f64::from(calls.p99_ns)),
            column(|calls| f64::from(calls.p999_ns)),
            if name == "nothing" { "–".to_owned() } else { format!("{:.0}", spread(bytes)[0]) },
        )?;
    }
    Ok(())
}

fn throughput(text: &mut String, findings: &Findings<'_>) -> Result<()> {
    writeln!(
        text,
        "\n## What one thread gets through\n\n\
         {} records of `tracing::info!`, as fast as the calls return; then it is waited until all that was kept is \
         delivered. The sink, a process of its own, has the last word on what was. Medians of {} rounds, in brackets \
         the least and the most. Two processors for all: the thread that logs, the library's own, and the sink. \
         tracing-appender writes its lines to a file and sends nothing.\n",
        findings.plan.throughput_records, findings.plan.throughput_rounds,
    )?;
    writeln!(
        text,
        "| who | delivered a second | lost | said to be lost | wall s | CPU s per million delivered | bytes each on the wire |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for name in SENDERS {
        let rounds = of(&findings.throughput, name);
        let rate = rounds.clone().map(|round| delivered(round) as f64 / round.finding.wall_seconds);
        let lost = rounds.clone().map(|round| (round.finding.logged - delivered(round)) as f64);
        let told = rounds
            .clone()
            .map(|round| round.finding.account.told_lost.unwrap_or(round.sink.told_lost) as f64);
        let wall = spread(rounds.clone().map(|round| round.finding.wall_seconds));
        let cpu =
            rounds.clone().map(|round| round.finding.cpu_seconds * 1e6 / delivered(round) as f64);
        let bytes = rounds.clone().map(|round| {
            let bytes =
                round.finding.account.written.map_or(round.sink.wire_bytes, |(_, bytes)| bytes);
            bytes as f64 / delivered(round) as f64
        });
        writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {:.2} | {:.2} | {:.1} |",
            shown(name),
            cell(spread(rate)),
            spread(lost)[0],
            spread(told)[0],
            wall[0],
            spread(cpu)[0],
            spread(bytes)[0],
        )?;
    }
    Ok(())
}

fn limit(text: &mut String, findings: &Findings<'_>) -> Result<()> {
    writeln!(
        text,
        "\n## {} records while nobody takes them\n\n\
         Connections are refused until all are logged, then there is a sink and one more record. Megabytes of resident \
         memory; what came through after the outage, as the sink counts it; what is lost, and how much of it the \
         library tells of: Millpond in `Client::metrics()` by reason, and to the server in a record; tracing-appender \
         in `ErrorCounter`; OpenTelemetry in an event of its own at shutdown, which counts its first warning too; Sentry \
         to the server, in the next envelope.\n",
        findings.plan.limit_records,
    )?;
    writeln!(
        text,
        "| who | memory before | peak | came through | lost | said to be lost | seconds to log |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for name in HOLDERS {
        for round in of(&findings.limit, name) {
            let finding = &round.finding;
            let through = finding.account.written.map_or(round.sink.records, |(lines, _)| lines);
            writeln!(
                text,
                "| {} | {:.1} | {:.1} | {through} | {} | {} | {:.2} |",
                shown(name),
                finding.memory_bytes_before as f64 / 1e6,
                finding.memory_bytes_peak as f64 / 1e6,
                finding.logged - through,
                finding.account.told_lost.unwrap_or(round.sink.told_lost),
                finding.calling_seconds,
            )?;
        }
    }
    Ok(())
}

fn outages(text: &mut String, findings: &Findings<'_>) -> Result<()> {
    writeln!(
        text,
        "\n## Calls while the server is away\n\n\
         {} s in each, from the first record on: connections are refused; every request is answered with 503; \
         requests are read and never answered. Steady: 500 records a second from one thread. Bursts: 100 at once from \
         each of four threads, five times a second. Beside each thread an idle one does the same at the same times but \
         logs nothing: what it waits for is the machine. Microseconds; six variants run at the same time.\n",
        findings.plan.outage_seconds,
    )?;
    writeln!(
        text,
        "| outage | queue | load | calls | p50 | p99 | p99.9 | longest | idle p50 | p99 | p99.9 | longest | lost |"
    )?;
    writeln!(text, "| --- | --- | --- |{}", " ---: |".repeat(10))?;
    for OutageRun { outage, spool, load, finding } in &findings.outages {
        let outage = match *outage {
            "refused" => "refused",
            "busy" => "503",
            _ => "no answer",
        };
        let (logging, idle) = (&finding.logging, &finding.idle);
        writeln!(
            text,
            "| {outage} | {} | {load} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            if *spool { "spool" } else { "memory" },
            logging.calls,
            logging.median_us,
            logging.p99_us,
            logging.p999_us,
            logging.max_us,
            idle.median_us,
            idle.p99_us,
            idle.p999_us,
            idle.max_us,
            finding.lost,
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_is_known() {
        assert_eq!(versions().len(), VERSIONED.len());
    }

    #[test]
    fn every_contestant_has_a_title() {
        for name in CALLERS.iter().chain(&SENDERS).chain(&HOLDERS) {
            let bare = name.split(':').next().unwrap_or(name);
            assert_ne!(shown(bare), bare);
        }
        assert!(shown("otel-tracing:200000").ends_with("room for 200000"));
    }
}
