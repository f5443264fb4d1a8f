//! The author that a message goes out with, and the mailbox that sends it.

use graph_relay_sandbox::Sandbox;

use super::Relay;
use super::arrived;
use super::send_one;

/// A second mailbox of the stand-in's tenant.
pub(crate) const OTHER: &str = "reports@sandbox.example";

/// Sends header fields with a body; returns the mailbox that sent it, and what arrived.
pub(crate) async fn sent(graph: &Sandbox, relay: &Relay, fields: &str) -> (String, String) {
    let before = graph.arrivals().len();
    let content = format!(
        "Date: Sat, 21 Nov 2026 19:00:00 +0000\r\nMessage-ID: <1@app.example>\r\n{fields}\
         To: a@example.org\r\n\r\nx\r\n"
    );
    send_one(relay, &["a@example.org"], &content);
    let arrivals = arrived(graph, before + 1).await;
    let arrival = &arrivals[before];
    let raw = String::from_utf8(arrival.raw.to_vec()).unwrap();
    (arrival.mailbox.clone(), raw)
}
