//! The real `millpond serve` as a child process, and a client for its HTTP API that knows nothing but HTTP.
//!
//! The whole-system tests, `cargo xtask demo` and `cargo xtask bench` stand on it. It shares no code with the server
//! or the SDK, so that what it sees is what a stranger sees. Every child is ended by its own id when its owner goes.

mod account;
mod api;
mod patience;
mod process;
mod server;

pub use account::Account;
pub use api::{Api, Page, Reply};
pub use patience::{pause, wait_for};
pub use process::Process;
pub use server::{Serve, Server, built_program};
