//! `millpond sql`: rows as a table for people, or as JSON lines for programs.

use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value, json};

use crate::{
    remote::Remote,
    render::{self, plain},
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// One SELECT over the table `logs`, such as `SELECT service, count(*) FROM logs GROUP BY service`.
    statement: String,
    #[command(flatten)]
    remote: Remote,
    /// At most so many rows, up to 10,000.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// How many milliseconds the statement may run, up to 60,000.
    #[arg(long, default_value_t = 30_000)]
    timeout_ms: u64,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let question = json!({
        "sql": arguments.statement, "limit": arguments.limit, "timeout_ms": arguments.timeout_ms
    });
    let answer = arguments.remote.send("POST", "/api/v1/sql", &[], Some(&question))?;
    let (names, rows) = read(&answer).context("the answer has no `columns` and `rows`")?;
    let lines = if arguments.json { objects(&names, &rows) } else { table(&names, &rows) };
    let mut out = anstream::stdout().lock();
    for line in lines {
        match writeln!(out, "{line}") {
            // Nobody reads any more, as behind `| head`.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    if answer.get("truncated").and_then(Value::as_bool) == Some(true) {
        anstream::eprintln!("warning: there are more rows than {}, see --limit", rows.len());
    }
    Ok(())
}

/// The names of the columns, and the rows.
fn read(answer: &Value) -> Option<(Vec<&str>, Vec<&[Value]>)> {
    let names = answer.get("columns")?.as_array()?.iter();
    let names = names.map(|column| column.get("name")?.as_str()).collect::<Option<_>>()?;
    let rows = answer.get("rows")?.as_array()?.iter();
    let rows = rows.map(|row| row.as_array().map(Vec::as_slice)).collect::<Option<_>>()?;
    Some((names, rows))
}

/// Two columns of one name are one member of an object; the last one stays.
fn objects(names: &[&str], rows: &[&[Value]]) -> Vec<String> {
    let objects = rows.iter().map(|row| {
        let members =
            names.iter().zip(*row).map(|(name, value)| ((*name).to_owned(), value.clone()));
        render::json(&Value::Object(members.collect::<Map<_, _>>()))
    });
    objects.collect()
}

/// Columns as wide as their widest value, but for the last; nothing where there is no value.
fn table(names: &[&str], rows: &[&[Value]]) -> Vec<String> {
    let shown = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    };
    let mut lines = vec![names.iter().map(|name| plain(name)).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(|row| row.iter().map(shown).collect()));
    let width = |place: usize| {
        let cells = lines.iter().filter_map(|line| line.get(place));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let padded = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(padded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_has_no_control_characters() {
        let answer = json!({
            "columns": [{ "name": "service", "type": "text" }, { "name": "n", "type": "integer" }],
            "rows": [["größe", 1], ["a\u{1b}[2J", null]], "truncated": false
        });
        let (names, rows) = read(&answer).unwrap();
        assert_eq!(table(&names, &rows), ["service     n", "größe       1", r"a\u{1b}[2J"]);
        assert_eq!(objects(&names, &rows)[0], r#"{"service":"größe","n":1}"#);
        assert!(read(&json!({ "rows": [] })).is_none());
    }
}
