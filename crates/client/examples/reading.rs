//! What went wrong today: `cargo run -p millpond --example reading`, with `MILLPOND_ENDPOINT` and `MILLPOND_API_KEY`.

#![expect(clippy::print_stdout, reason = "it tells what it found")]

use millpond::{
    Builder, Level, TextAttribute,
    read::{Aggregation, Query},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reader = Builder::from_env().build_reader()?;

    // Of the last 24 hours, unless told otherwise.
    let statistics = reader.aggregated(&Aggregation::new().query("level:>=error"))?;
    println!("{} errors", statistics.total);
    for bucket in statistics.timeseries.iter().filter(|bucket| bucket.total > 0) {
        let critical = bucket.by_level.get(&Level::Critical).unwrap_or(&0);
        println!("  {} {}, {critical} critical", bucket.start, bucket.total);
    }

    let newest = reader.query(&Query::new("level:>=error").limit(1))?;
    let Some(error) = newest.logs.first() else { return Ok(()) };
    println!("{error}");

    // How it came to that.
    if let Some(trace_id) = error.text(TextAttribute::TraceId) {
        for log in reader.by_trace_id(trace_id)? {
            println!("  {log}");
        }
    }
    Ok(())
}
