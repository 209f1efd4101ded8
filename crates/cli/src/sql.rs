//! `millpond sql`.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::{read::show_table, remote::Remote, render::plain};

/// Most rows that the server gives.
const ROWS_MAX: usize = 10_000;

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
    let Some(columns) = answer.get("columns").and_then(Value::as_array) else {
        bail!("the answer has no `columns`: {}", plain(&answer.to_string()))
    };
    show_table(&mut anstream::stdout().lock(), columns, &answer, arguments.json, ROWS_MAX)
}
