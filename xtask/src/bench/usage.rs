//! What a process has used, from `/proc`, and what a directory takes on disk.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};

use crate::interrupt::Interrupt;

/// Ticks of `/proc/PID/stat` in a second: 100 on every Linux that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

const SAMPLE_EVERY: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu_seconds: f64,
    /// Peak of resident memory.
    pub(crate) memory_bytes_peak: u64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let cpu_seconds = cpu_seconds(&stat).context("/proc/PID/stat has another shape")?;
        let peak = memory_peak(&status).context("/proc/PID/status has no VmHWM")?;
        Ok(Self { cpu_seconds, memory_bytes_peak: peak })
    }
}

/// Follows a child that was asked to end until it has: all the processor time it ever took, and its memory peak.
/// The child must not have been waited for: only then does the kernel still tell.
pub(crate) fn until_end(process: u32, interrupt: &Interrupt) -> Result<Usage> {
    let mut peak = 0;
    loop {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let ended = stat.rsplit_once(')').is_some_and(|(_, behind)| behind.starts_with(" Z"));
        if ended {
            let cpu_seconds = cpu_seconds(&stat).context("/proc/PID/stat has another shape")?;
            return Ok(Usage { cpu_seconds, memory_bytes_peak: peak });
        }
        // The memory is gone a moment before the process is.
        peak = Usage::of(process).map_or(peak, |usage| usage.memory_bytes_peak.max(peak));
        interrupt.pause(SAMPLE_EVERY)?;
    }
}

/// Fields 14 and 15; the name in field 2 may contain anything, so they are counted from behind it.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn memory_peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The sizes of all files below, added up.
pub(crate) fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn the_memory_peak_is_read_in_bytes() {
        assert_eq!(memory_peak("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
    }
}
