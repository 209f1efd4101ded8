//! A service logs, and no server is needed: `cargo run -p millpond --example quickstart`.
//!
//! Without `.mode(…)` and with an endpoint and a key the same records go to a server.

use millpond::{Client, Mode, Scope, breadcrumb};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder().service("shop").mode(Mode::Development).build()?;
    client.info("started").field("version", env!("CARGO_PKG_VERSION")).send();

    // A request: what is logged inside of its scope says what the scope knows.
    Scope::current().request_id("r-1").user_id("u-1").run(|| order(&client, "4711", "19.99"));
    Scope::current().request_id("r-2").user_id("u-2").run(|| order(&client, "4712", "a lot"));
    Ok(())
}

fn order(client: &Client, number: &str, total: &str) {
    // Goes with the error, if there is one.
    breadcrumb("cart checked").field("items", 3).leave();
    match total.parse::<f64>() {
        Ok(total) => {
            client.info("order placed").field("number", number).field("total", total).send();
        }
        // What has the key of a secret stays here.
        Err(error) => client
            .error("order failed")
            .error(&error)
            .field("number", number)
            .field("card_number", "4111 1111 1111 1111")
            .tag("checkout")
            .send(),
    }
}
