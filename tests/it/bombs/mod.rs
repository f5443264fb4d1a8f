//! Clients that want to use the relay up: connections, time, commands,
//! messages. The relay's memory stays within its bound, every bomb gets the
//! answer that is meant for it or is delivered, and others are served
//! meanwhile.
//!
//! Nothing here is timed. A step that took more than linear time would run
//! into `PATIENCE`.

mod commands;
mod complaints;
mod connections;
mod fairness;
mod messages;
mod nested;
mod slow;
