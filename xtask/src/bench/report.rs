//! A run as a person reads it (Markdown) and as a program does (JSON), in `bench/runs/DATE-MACHINE/`.

use std::{fmt::Write, fs};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Grown, LINES, Options,
    calls::Call,
    drive::Sent,
    lines::Lines,
    machine,
    queries::{Answer, Question},
    usage::Usage,
};
use crate::{screen, workspace};

pub(crate) struct Report<'a> {
    pub(crate) lines: &'a Lines,
    pub(crate) options: &'a Options,
    /// The machine's, before anything was measured.
    pub(crate) load: String,
    pub(crate) sent: Sent,
    pub(crate) before: Usage,
    pub(crate) acknowledged: Usage,
    /// After the queries of what was just ingested.
    pub(crate) asked: Usage,
    pub(crate) settled: Usage,
    pub(crate) queried: Usage,
    pub(crate) disk_bytes: u64,
    pub(crate) fresh: Vec<Answer>,
    pub(crate) merged: Vec<Answer>,
    pub(crate) growth: Vec<Grown>,
    pub(crate) calls: Vec<Call>,
}

impl Report<'_> {
    /// Writes both files and shows the first.
    pub(crate) fn write(&self) -> Result<()> {
        // Runs of fewer or more lines than most have a folder of their own.
        let lines = self.lines.count;
        let suffix = if lines == LINES { String::new() } else { format!("-{lines}-lines") };
        let folder = folder(&suffix)?;
        let markdown = self.markdown()?;
        save(&format!("{folder}/README.md"), &markdown)?;
        save(&format!("{folder}/result.json"), &format!("{:#}\n", self.json()?))?;
        screen::heading(&folder);
        print!("{markdown}");
        Ok(())
    }

    fn cpu_acknowledged(&self) -> f64 {
        self.acknowledged.cpu_seconds - self.before.cpu_seconds
    }

    fn cpu_settled(&self) -> f64 {
        let queries = self.asked.cpu_seconds - self.acknowledged.cpu_seconds;
        self.settled.cpu_seconds - self.before.cpu_seconds - queries
    }

    fn command(&self) -> String {
        let Options { lines, connections, memory, server_only, grow, clients: _, python: _ } =
            self.options;
        let memory = memory.as_ref().map(|bytes| format!(" --memory {bytes}")).unwrap_or_default();
        let grow = grow.map(|lines| format!(" --grow {lines}")).unwrap_or_default();
        let only = if *server_only { " --server-only" } else { "" };
        format!("cargo xtask bench --lines {lines} --connections {connections}{memory}{grow}{only}")
    }

    fn markdown(&self) -> Result<String> {
        let mut text = String::new();
        writeln!(text, "# Benchmark run\n\n- machine: {}", machine::description())?;
        writeln!(text, "- load average before: {}", self.load)?;
        writeln!(text, "- commit: {}\n- command: `{}`", machine::commit()?, self.command())?;
        writeln!(text, "\n## Ingest\n\n| what | value |\n| --- | ---: |")?;
        let (wall, megabyte) = (self.sent.wall.as_secs_f64(), 1e6);
        writeln!(text, "| lines | {} |", self.lines.count)?;
        writeln!(text, "| bytes sent | {:.1} MB |", self.lines.bytes() as f64 / megabyte)?;
        writeln!(text, "| requests | {} |", self.sent.requests)?;
        writeln!(text, "| asked to come back later | {} |", self.sent.postponed)?;
        writeln!(text, "| wall time | {wall:.2} s |")?;
        writeln!(text, "| lines per second | {:.0} |", self.lines.count as f64 / wall)?;
        writeln!(
            text,
            "| CPU-seconds of the server, all acknowledged | {:.2} |",
            self.cpu_acknowledged()
        )?;
        writeln!(
            text,
            "| CPU-seconds of the server, all in segments | {:.2} |",
            self.cpu_settled()
        )?;
        writeln!(
            text,
            "| peak memory | {:.1} MB |",
            self.settled.memory_bytes_peak as f64 / megabyte
        )?;
        writeln!(
            text,
            "| data directory after a stop | {:.1} MB |",
            self.disk_bytes as f64 / megabyte
        )?;
        self.queries(&mut text)?;
        writeln!(
            text,
            "\nPeak memory: {:.1} MB.",
            self.queried.memory_bytes_peak as f64 / megabyte
        )?;
        for Call { command, output } in &self.calls {
            writeln!(text, "\n## `{command}`\n\n```text\n{}\n```", output.trim_end())?;
        }
        Ok(text)
    }

    fn queries(&self, text: &mut String) -> Result<()> {
        writeln!(
            text,
            "\n## Queries\n\nOver HTTP, in milliseconds: just ingested, and all in segments after a restart."
        )?;
        writeln!(
            text,
            "Best of others: see `xtask/src/bench/queries.rs`; one million of these lines, this kind of machine.\n"
        )?;
        writeln!(
            text,
            "| question | found | first, fresh | median, fresh | first | median | best of others |"
        )?;
        writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")?;
        for (fresh, merged) in self.fresh.iter().zip(&self.merged) {
            let Question { name, peers_ms, .. } = merged.question;
            let best = peers_ms.iter().flatten().copied().fold(f64::INFINITY, f64::min);
            writeln!(
                text,
                "| {name} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {best:.1} |",
                merged.found, fresh.first_ms, fresh.median_ms, merged.first_ms, merged.median_ms
            )?;
        }
        if !self.growth.is_empty() {
            writeln!(
                text,
                "\n## As the store grows\n\n| lines | CPU-seconds of the last {} | wall, s | disk, MB | peak memory, MB |",
                self.lines.count
            )?;
            writeln!(text, "| ---: | ---: | ---: | ---: | ---: |")?;
        }
        for Grown { lines, cpu_seconds, wall_seconds, disk_bytes, memory_bytes_peak } in
            &self.growth
        {
            let (disk, memory) = (disk_bytes / 1_000_000, memory_bytes_peak / 1_000_000);
            writeln!(
                text,
                "| {lines} | {cpu_seconds:.2} | {wall_seconds:.2} | {disk} | {memory} |"
            )?;
        }
        Ok(())
    }

    fn json(&self) -> Result<Value> {
        let answers = |answers: &[Answer]| -> Vec<Value> {
            answers.iter().map(|answer| {
                let Answer { question, found, first_ms, median_ms } = answer;
                json!({ "question": question.name, "found": found, "first_ms": first_ms, "median_ms": median_ms, "peers_ms": question.peers_ms })
            }).collect()
        };
        let growth: Vec<Value> = self.growth.iter().map(|grown| {
            json!({ "lines": grown.lines, "cpu_seconds": grown.cpu_seconds, "wall_seconds": grown.wall_seconds, "disk_bytes": grown.disk_bytes })
        }).collect();
        let calls: Vec<_> = self
            .calls
            .iter()
            .map(|call| json!({ "command": call.command, "output": call.output }))
            .collect();
        Ok(json!({
            "machine": machine::description(), "load_before": self.load, "commit": machine::commit()?, "command": self.command(),
            "ingest": {
                "lines": self.lines.count, "bytes": self.lines.bytes(), "requests": self.sent.requests,
                "postponed": self.sent.postponed, "wall_seconds": self.sent.wall.as_secs_f64(),
                "cpu_seconds_acknowledged": self.cpu_acknowledged(), "cpu_seconds_settled": self.cpu_settled(),
                "memory_bytes_peak": self.settled.memory_bytes_peak, "disk_bytes": self.disk_bytes,
            },
            "queries_fresh": answers(&self.fresh), "queries": answers(&self.merged), "growth": growth, "queries_memory_bytes_peak": self.queried.memory_bytes_peak, "calls": calls,
        }))
    }
}

/// The folder of today's run on this machine, below the root.
pub(super) fn folder(suffix: &str) -> Result<String> {
    let date = jiff::Timestamp::now().strftime("%F");
    let folder = format!("bench/runs/{date}-{}{suffix}", machine::short_name());
    fs::create_dir_all(workspace::path(&folder))?;
    Ok(folder)
}

#[expect(clippy::disallowed_methods, reason = "a report that can be made again")]
pub(super) fn save(path: &str, text: &str) -> Result<()> {
    Ok(fs::write(workspace::path(path), text)?)
}
