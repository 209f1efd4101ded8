//! The logger of a process, in a process of its own: it switches the macros on for all that runs beside it.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "../../client/tests/support/mod.rs"]
mod support;

use log::trace;
use millpond_tracing::log::Logger;
use support::{Server, client, flush};

#[test]
fn a_process_has_one_logger() {
    let server = Server::start();
    let client = client(&server);
    Logger::new(client.clone()).init().unwrap();
    assert!(Logger::new(client.clone()).init().is_err());
    trace!("through the macro");
    flush(&client);
    assert_eq!(server.messages(), ["through the macro"]);
}
