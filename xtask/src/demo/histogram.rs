//! Counts over time by level, drawn with block characters: told apart by colour on a terminal, by shade elsewhere.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::screen;

/// Lowest first; colour code and the cell without colour.
const LEVELS: [(&str, &str, char); 6] = [
    ("trace", "90", '·'),
    ("debug", "34", '░'),
    ("info", "32", '▒'),
    ("warn", "33", '▓'),
    ("error", "31", '█'),
    ("critical", "35", '█'),
];
const WIDTH: u64 = 56;

/// One line a bucket, and a line that names the levels.
pub(crate) fn draw(aggregated: &Value) -> Result<Vec<String>> {
    let buckets = aggregated
        .get("timeseries")
        .and_then(Value::as_array)
        .context("`timeseries` is no array")?;
    let largest = buckets.iter().filter_map(|bucket| bucket["total"].as_u64()).max();
    let largest = largest.unwrap_or(0).max(1);
    let mut lines: Vec<_> = buckets.iter().map(|bucket| line(bucket, largest)).collect();
    lines.push(legend(buckets));
    Ok(lines)
}

fn line(bucket: &Value, largest: u64) -> String {
    let time = bucket["bucket"].as_str().and_then(|time| time.get(11..19)).unwrap_or("?");
    let total = bucket["total"].as_u64().unwrap_or(0);
    let cells: String =
        LEVELS.iter().map(|level| cells(level, count(bucket, level.0), largest)).collect();
    format!("{} {cells} {total}", screen::dim(time))
}

/// A level that occurs gets a cell at least, however rare it is.
fn cells((_, code, shade): &(&str, &str, char), count: u64, largest: u64) -> String {
    let width = if count == 0 { 0 } else { (WIDTH * count / largest).max(1) };
    let width = usize::try_from(width).unwrap_or(0);
    if !screen::coloured() {
        return shade.to_string().repeat(width);
    }
    format!("\x1b[{code}m{}\x1b[0m", "█".repeat(width))
}

fn legend(buckets: &[Value]) -> String {
    let named = LEVELS.iter().filter_map(|level| {
        let total: u64 = buckets.iter().map(|bucket| count(bucket, level.0)).sum();
        (total > 0).then(|| format!("{} {} {total}", cells(level, 1, WIDTH), level.0))
    });
    format!("         {}", named.collect::<Vec<_>>().join("   "))
}

fn count(bucket: &Value, level: &str) -> u64 {
    bucket.get("by_level").and_then(|levels| levels.get(level)?.as_u64()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_bucket_fills_the_width_and_a_rare_level_is_seen() {
        let aggregated = serde_json::json!({ "timeseries": [
            { "bucket": "2026-01-31T12:00:00.000000000Z", "total": 1000, "by_level": { "info": 999, "error": 1 } },
            { "bucket": "2026-01-31T12:00:01.000000000Z", "total": 0, "by_level": {} } ] });
        let lines = draw(&aggregated).unwrap();
        assert_eq!(
            lines,
            [
                format!("12:00:00 {}█ 1000", "▒".repeat(55)),
                "12:00:01  0".to_owned(),
                "         ▒ info 999   █ error 1".to_owned(),
            ]
        );
    }
}
