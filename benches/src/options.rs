//! The command line: the run itself, and the roles in which the run starts this program again.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use clap::Subcommand;

use crate::client::Manner;
use crate::targets::Target;

/// Measures graph-relay beside smtp-sink, Postfix and a minimal mailin-embedded server.
#[derive(Debug, Parser)]
#[command(about, version)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) role: Role,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Starts the targets one after the other, loads them and prints the table.
    Run(Box<Options>),
    /// A minimal mailin-embedded server that forgets what it is given.
    Mailin {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// Entra and Graph for the relay; each line on standard input is answered with a count.
    StandIn {
        /// Where it listens.
        listen: SocketAddr,
        /// How many mailboxes it knows.
        mailboxes: u64,
    },
}

/// What to measure, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The relay's release binary; without it the relay is left out.
    #[arg(long, value_name = "PATH")]
    pub(crate) relay: Option<PathBuf>,
    /// Targets, separated by commas; default all.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) targets: Vec<Target>,
    /// Numbers of connections.
    #[arg(long, value_delimiter = ',', default_value = "1,10,50")]
    pub(crate) connections: Vec<u64>,
    /// Rounds; the table shows medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// A load ends after so many seconds ...
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// ... or after so many messages.
    #[arg(long, default_value_t = 20_000)]
    pub(crate) messages: u64,
    /// A connection is closed and opened again after so many messages.
    #[arg(long, default_value_t = 100)]
    pub(crate) messages_per_connection: u64,
    /// Bytes in the body of a message.
    #[arg(long, default_value_t = 4096)]
    pub(crate) size: usize,
    /// Sending mailboxes. Graph takes four requests at a time from each.
    #[arg(long, default_value_t = 8)]
    pub(crate) mailboxes: u64,
    /// Sends MAIL, RCPT and DATA in one piece.
    #[arg(long)]
    pub(crate) pipelining: bool,
    /// Folder on a real disk for queues, spools and logs.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench-work")]
    pub(crate) work: PathBuf,
    /// Keeps what is in that folder.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Prints JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

impl Options {
    pub(crate) fn manner(&self) -> Manner {
        if self.pipelining {
            Manner::Pipelined
        } else {
            Manner::InTurn
        }
    }
}

/// The load in words.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes a body, {} messages a connection, {} s or {} messages, {}, rounds: {}, \
             mailboxes: {}",
            self.size,
            self.messages_per_connection,
            self.seconds,
            self.messages,
            match self.manner() {
                Manner::InTurn => "each command in turn",
                Manner::Pipelined => "pipelined",
            },
            self.rounds,
            self.mailboxes,
        )
    }
}
