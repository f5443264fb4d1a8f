//! Clients that try to exhaust the relay: connections, time, commands, messages. The
//! relay's memory stays bounded, every excessive input gets its intended reply or is
//! delivered, and others are served meanwhile.
//!
//! Nothing here is timed. A step that took more than linear time would exceed `PATIENCE`.

mod commands;
mod complaints;
mod connections;
mod fairness;
mod messages;
mod nested;
mod slow;
