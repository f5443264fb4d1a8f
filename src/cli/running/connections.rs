//! How `status` shows the connections of clients.

use crate::admin::Connections;

/// The line of the screen; names the clients if connections are short.
pub(in crate::cli) fn line(connections: &Connections) -> String {
    let Connections { open, limit, .. } = connections;
    let mut line = format!("clients    {open} of {limit} connections");
    // From four fifths on it matters who uses them.
    if open * 5 >= limit * 4 || connections.recently_full().is_some() {
        line.push_str(&format!(": {}", connections.held_by()));
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
