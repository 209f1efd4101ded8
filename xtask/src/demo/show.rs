//! What a person came for: a search, the shape of the traffic, one request through both services, the worst errors.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Context, Result};
use jiff::Timestamp;
use millpond_system_tests::Api;
use serde_json::Value;

use super::{
    histogram,
    system::{ORDERS, SERVICES, System},
};
use crate::{
    python,
    screen::{bold, dim, heading, red},
    workspace,
};

/// A search that finds the requests which no card could pay.
const QUERY: &str = "level:error \"over the limit\" amount_cents:>1000000";

/// What a Python program sees of all this.
pub(crate) fn from_python(system: &System) -> Result<()> {
    heading("python -m millpond doctor");
    let told = |mut command: Command| workspace::perform(system.told(&mut command));
    let mut doctor = python::program("python", ".");
    doctor.args(["-m", "millpond", "doctor"]);
    told(doctor)?;
    heading("python examples/reading/errors.py");
    let mut errors = python::program("python", "examples/reading");
    errors.arg("errors.py");
    told(errors)
}

/// `millpond query`, as a person would type it.
pub(crate) fn search(system: &System) -> Result<()> {
    heading(&format!("millpond query --limit 5 '{QUERY}'"));
    workspace::perform(&mut system.millpond(&["query", "--limit", "5", QUERY]))
}

pub(crate) fn histogram(api: &Api, from: Timestamp) -> Result<()> {
    heading("Records over time, by level");
    let (from, to) = (from.to_string(), Timestamp::now().to_string());
    let asked = [("from", from.as_str()), ("to", to.as_str()), ("interval", "1s")];
    for line in histogram::draw(&api.aggregated(&asked)?)? {
        println!("{line}");
    }
    Ok(())
}

/// Shows the first of `traces` that both services wrote to; whether there is one.
pub(crate) fn trace(api: &Api, traces: &[String]) -> Result<bool> {
    heading("One request, by its trace id");
    for trace_id in traces {
        let records = api.trace(trace_id)?;
        let services: BTreeSet<_> =
            records.iter().filter_map(|record| record["service"].as_str()).collect();
        if SERVICES.iter().all(|service| services.contains(service)) {
            println!("{}", dim(&format!("GET /api/v1/logs/trace/{trace_id}")));
            records.iter().for_each(|record| println!("{}", line(record)));
            return Ok(true);
        }
    }
    println!("{}", red("no trace spans both services"));
    Ok(false)
}

fn line(record: &Value) -> String {
    let text = |key: &str| record[key].as_str().unwrap_or("?").to_owned();
    let time = text("time").get(11..23).unwrap_or("?").to_owned();
    let level = format!("{:<8}", text("level"));
    let level = if matches!(level.trim(), "error" | "critical") { red(&level) } else { level };
    format!("{} {level} {:<9} {}", dim(&time), text("service"), text("message"))
}

pub(crate) fn top_errors(api: &Api) -> Result<()> {
    heading("Top errors");
    let aggregated = api.aggregated(&[])?;
    let errors = aggregated
        .get("top_errors")
        .and_then(Value::as_array)
        .context("`top_errors` is no array")?;
    for error in errors.iter().take(5) {
        println!("{:>6}  {}", error["count"], error["message"].as_str().unwrap_or("?"));
    }
    Ok(())
}

pub(crate) fn what_to_try_next(system: &System) {
    heading("Everything is still up. What to try next");
    let (url, key) = (system.url(), system.api().key().to_owned());
    let millpond = system.millpond(&[]).get_program().to_string_lossy().into_owned();
    let millpond = millpond.replace(&format!("{}/", workspace::root().display()), "");
    println!("export MILLPOND_ENDPOINT={url} MILLPOND_API_KEY={key}");
    println!("{millpond} tail");
    println!("{millpond} query '{QUERY}'");
    println!(
        "curl -H 'Content-Type: application/json' -d '{{\"customer_id\":\"ann\",\"amount_cents\":1290}}' {}/orders",
        system.service_url(ORDERS)
    );
    println!(
        "curl -H \"X-API-Key: $MILLPOND_API_KEY\" \"$MILLPOND_ENDPOINT/api/v1/logs/aggregated\""
    );
    println!("{}", bold("Ctrl-C ends it."));
}
