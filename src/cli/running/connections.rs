//! How `status` shows the connections of clients.

use std::time::Duration;

use crate::admin::Connections;
use crate::clock::span;

/// For this long it is a problem that all connections were in use.
const RECENT: Duration = Duration::from_secs(15 * 60);

/// The line of the screen; names the clients if connections are short.
pub(in crate::cli) fn line(connections: &Connections) -> String {
    let Connections { open, limit, .. } = connections;
    let mut line = format!("clients    {open} of {limit} connections");
    // From four fifths on it matters who uses them.
    if open * 5 >= limit * 4 || full_ago(connections).is_some() {
        line.push_str(&format!(": {}", holders(connections)));
    }
    let made_room = connections.made_room;
    let turned_away = connections.turned_away + connections.over_client_limit;
    if made_room + turned_away > 0 {
        line.push_str(&format!(
            "; since the start {turned_away} turned away, {made_room} closed to make room"
        ));
    }
    line
}

/// Returns a problem if clients find no free connection.
pub(in crate::cli) fn problem(connections: &Connections) -> Option<String> {
    let ago = full_ago(connections)?;
    let (limit, holders) = (connections.limit, holders(connections));
    Some(format!(
        "all {limit} connections were in use {} ago (now {holders}): see limits.connections",
        span(ago)
    ))
}

fn full_ago(connections: &Connections) -> Option<Duration> {
    let ago = connections.full_ago_ms.map(Duration::from_millis);
    ago.filter(|ago| *ago < RECENT)
}

fn holders(connections: &Connections) -> String {
    let holders = connections.holders.iter();
    let holders: Vec<String> = holders
        .map(|holder| format!("{} by {}", holder.connections, holder.client))
        .collect();
    match holders.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    }
}
