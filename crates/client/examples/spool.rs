//! Records that outlive their process. Run it while no server is there, then start one and run it again: the second run
//! delivers what both have logged.
//!
//! ```sh
//! MILLPOND_SPOOL_DIR=/tmp/millpond-spool cargo run -p millpond --example spool
//! ```

#![expect(clippy::print_stdout, reason = "it tells what it did")]

use std::time::Duration;

use millpond::Builder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The directory, the server's address and the key come from the environment.
    let client = Builder::from_env().service("spool-example").build()?;
    for number in 0..3 {
        client.info("order placed").field("number", number).send();
    }

    // Waits for the disk, not for the server. Most programs leave that to the client.
    let persisted = client.persist(Duration::from_secs(5));
    println!("{} of 3 records are not safe", persisted.left);

    let closed = client.close(Duration::from_secs(5));
    let metrics = client.metrics();
    println!(
        "delivered {}, {} of them for earlier runs; {} wait for the next run",
        metrics.delivered, metrics.recovered, closed.spooled
    );
    if !closed.is_safe() {
        return Err(format!("{} records are lost", closed.left - closed.spooled).into());
    }
    Ok(())
}
