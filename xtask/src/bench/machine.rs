//! Where and of what a run was taken, in words that name no host.

use std::fs;

use anyhow::Result;

use crate::workspace;

/// `2-core-xeon-platinum-8370c`, for the name of a folder.
pub(crate) fn short_name() -> String {
    let words = model().to_lowercase();
    let words = words.split(|letter: char| !letter.is_ascii_alphanumeric());
    let noise = ["r", "tm", "cpu", "intel", "amd", "processor", "core", "with", "", "ghz"];
    let kept: Vec<_> = words.filter(|word| !noise.contains(word)).take(3).collect();
    format!("{}-core-{}", cores(), kept.join("-"))
}

/// For a person.
pub(crate) fn description() -> String {
    format!("{} cores, {}, {}, {}", cores(), model(), memory(), kernel())
}

/// What else the machine was doing: the load average of the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}

pub(crate) fn commit() -> Result<String> {
    let described = workspace::command("git").args(["describe", "--always", "--dirty"]).output()?;
    Ok(String::from_utf8(described.stdout)?.trim().to_owned())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

fn model() -> String {
    value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned())
}

fn memory() -> String {
    let kibibytes = value("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kibibytes: u64 = kibibytes.trim_end_matches(" kB").parse().unwrap_or(0);
    format!("{} GiB of memory", (kibibytes + (1 << 19)) >> 20)
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("Linux {}", release.split('-').next().unwrap_or_default().trim())
}

fn value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
