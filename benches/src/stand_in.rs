//! The role `stand-in`: the relay's own stand-in for Entra and Graph, in a process of its own so
//! that its work is not counted as the relay's.
//!
//! Each line on standard input is answered on standard output with the number of messages that
//! arrived so far. It ends with its standard input, so also when the run dies.

use std::io::BufRead;
use std::io::Write;
use std::net::SocketAddr;

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;

use crate::failure::Result;
use crate::failure::Trying;
use crate::message::mailbox;

/// Serves until standard input ends.
pub(crate) fn serve(listen: SocketAddr, mailboxes: u64) -> Result<()> {
    // One core: as much as Postfix's next hop has.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .trying(|| "start the runtime".to_owned())?;
    let sandbox = runtime
        .block_on(Sandbox::start(listen, settings(mailboxes)))
        .trying(|| format!("listen at {listen}"))?;

    let what = || "answer".to_owned();
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        line.trying(what)?;
        writeln!(output, "{}", sandbox.totals().arrivals).trying(what)?;
        output.flush().trying(what)?;
    }
    Ok(())
}

/// A tenant with so many mailboxes. What arrives is counted, not kept.
pub(crate) fn settings(mailboxes: u64) -> Settings {
    Settings {
        mailboxes: (0..mailboxes).map(mailbox).collect(),
        keep_messages: 1,
        keep_requests: 1,
        ..Settings::default()
    }
}
