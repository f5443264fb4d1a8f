//! What is measured: four SMTP servers, each started afresh for every measurement.
//!
//! A target knows whether it can run here, how to start, and how many messages it has passed on.

mod mailin;
mod postfix;
mod relay;
mod smtp_sink;

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;

use crate::failure::Result;
use crate::process::Process;

/// An SMTP server to send the load to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Target {
    /// Takes messages from memory and throws them away: the most that SMTP can do here.
    SmtpSink,
    /// The same on mailin-embedded.
    Mailin,
    /// A durable queue that delivers to an smtp-sink meanwhile.
    Postfix,
    /// graph-relay, delivering to its stand-in for Graph meanwhile.
    Relay,
}

/// What targets need to know to start.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    /// The relay's binary.
    pub(crate) relay: Option<PathBuf>,
    /// How many sending mailboxes the relay is told of.
    pub(crate) mailboxes: u64,
}

/// A target that has greeted. Its processes end when it is dropped, the server first.
#[derive(Debug)]
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The server; its descendants count as its own.
    pub(crate) server: Process,
    /// Where its messages go.
    pub(crate) outlet: Outlet,
}

/// Where the messages of a target go.
#[derive(Debug)]
pub(crate) enum Outlet {
    /// Nowhere.
    Nothing,
    /// Into an smtp-sink that counts them.
    SmtpSink(smtp_sink::Counter),
    /// Into the stand-in for Graph.
    StandIn(relay::StandIn),
}

impl Target {
    /// All of them, in the order of a round.
    pub(crate) const ALL: [Self; 4] = [Self::SmtpSink, Self::Mailin, Self::Postfix, Self::Relay];

    /// What it is called in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SmtpSink => "smtp-sink",
            Self::Mailin => "mailin-embedded",
            Self::Postfix => "Postfix",
            Self::Relay => "graph-relay",
        }
    }

    /// Why it cannot be measured here, and what to do about it.
    pub(crate) fn hindrance(self, ground: &Ground, work: &Path) -> Option<String> {
        match self {
            Self::SmtpSink => smtp_sink::hindrance(),
            Self::Mailin => None,
            Self::Postfix => postfix::hindrance(work),
            Self::Relay => relay::hindrance(ground),
        }
    }

    /// Starts it in an empty folder and waits for its greeting.
    pub(crate) async fn start(self, ground: &Ground, folder: &Path) -> Result<Running> {
        match self {
            Self::SmtpSink => smtp_sink::start(folder).await,
            Self::Mailin => mailin::start(folder).await,
            Self::Postfix => postfix::start(folder).await,
            Self::Relay => relay::start(ground, folder).await,
        }
    }
}

impl Outlet {
    /// How many messages came out so far; nothing for a target that throws them away.
    pub(crate) fn delivered(&mut self) -> Result<Option<u64>> {
        match self {
            Self::Nothing => Ok(None),
            Self::SmtpSink(counter) => counter.delivered().map(Some),
            Self::StandIn(stand_in) => stand_in.delivered().map(Some),
        }
    }
}
