//! Clocks and what is made of their readings.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time for which this thread has had a processor: what a call costs on a machine that is busy with something
/// else.
pub(crate) fn thread_on_processor() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// The same of all threads of this process, those that have ended included.
pub(crate) fn process_on_processor() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // Neither clock is ever negative.
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The memory of this process, in bytes: a line of `/proc/self/status` such as `VmHWM`, the peak.
pub(crate) fn memory_bytes(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let kibibytes = kibibytes.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse().ok());
    kibibytes.unwrap_or(0_u64) << 10
}

/// The reading below which so many of a thousand are; the readings are sorted.
pub(crate) fn permille(sorted: &[u32], permille: usize) -> u32 {
    let place = (sorted.len() * permille).div_ceil(1000).saturating_sub(1);
    sorted.get(place).copied().unwrap_or_default()
}

/// Median, least and greatest.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len().saturating_sub(1) / 2).copied();
    [median, sorted.first().copied(), sorted.last().copied()].map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permilles_are_readings() {
        let readings: Vec<u32> = (1..=1000).collect();
        assert_eq!([500, 990, 999, 1000].map(|of| permille(&readings, of)), [500, 990, 999, 1000]);
        assert_eq!((permille(&[7], 999), permille(&[], 500)), (7, 0));
    }

    #[test]
    fn a_spread_has_its_median_in_the_middle() {
        assert_eq!(spread([3.0, 1.0, 2.0]), [2.0, 1.0, 3.0]);
    }

    #[test]
    fn the_clock_of_the_thread_runs() {
        let before = thread_on_processor();
        let sum: u64 = (0..1_000_000).map(std::hint::black_box).sum();
        assert!(sum > 0 && thread_on_processor() > before);
        assert!(process_on_processor() >= thread_on_processor());
    }
}
