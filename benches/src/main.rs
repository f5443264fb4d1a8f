//! Measures graph-relay beside smtp-sink, a durable Postfix and a minimal mailin-embedded server:
//! messages acknowledged and delivered a second, latency, memory and CPU time a message, all by the
//! same load in the same run. `benches/run` builds and starts it; `benches/README.md` says how to
//! read what it prints.
//!
//! | file | is |
//! |---|---|
//! | `rounds` | the whole run: which target when |
//! | `measure` | one measurement, top to bottom |
//! | `load`, `client`, `message` | the load, one connection of it, one message of it |
//! | `targets/` | what is measured and how each is started |
//! | `process`, `usage` | processes started here, what they used |
//! | `report`, `machine` | the table, the machine above it |
//! | `mailin_server`, `stand_in` | roles in which the run starts this program again |

mod client;
mod failure;
mod load;
mod machine;
mod mailin_server;
mod measure;
mod message;
mod options;
mod process;
mod report;
mod rounds;
mod stand_in;
mod targets;
mod usage;

use std::fs;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::failure::Failure;
use crate::failure::Result;
use crate::failure::Trying;
use crate::machine::Machine;
use crate::options::CommandLine;
use crate::options::Options;
use crate::options::Role;
use crate::report::LeftOut;
use crate::report::Report;
use crate::targets::Ground;
use crate::targets::Target;

fn main() -> ExitCode {
    let result = match CommandLine::parse().role {
        Role::Run(options) => one_thread(interruptible(&options)),
        Role::Mailin { listen } => mailin_server::serve(listen),
        Role::StandIn { listen, mailboxes } => stand_in::serve(listen, mailboxes),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("graph-relay-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The load generator must not take more than one core from what it measures.
fn one_thread(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .trying(|| "start the runtime".to_owned())?
        .block_on(work)
}

/// On SIGINT and SIGTERM the run is dropped, and with it every process it started.
async fn interruptible(options: &Options) -> Result<()> {
    let what = || "listen to signals".to_owned();
    let mut interrupt = signal(SignalKind::interrupt()).trying(what)?;
    let mut terminate = signal(SignalKind::terminate()).trying(what)?;
    tokio::select! {
        result = run(options) => result,
        _ = interrupt.recv() => Err(Failure::new("interrupted")),
        _ = terminate.recv() => Err(Failure::new("ended before its time")),
    }
}

async fn run(options: &Options) -> Result<()> {
    fs::create_dir_all(&options.work).trying(|| format!("make {}", options.work.display()))?;
    let work = options
        .work
        .canonicalize()
        .trying(|| format!("find {}", options.work.display()))?;
    let machine = Machine::of(&work)?;
    let work = work.join(format!("run-{}", std::process::id()));
    fs::create_dir(&work).trying(|| format!("make {}", work.display()))?;

    let (targets, left_out) = choose(options, &work);
    let all = match rounds::run(options, &targets, &work).await {
        Ok(all) => all,
        Err(failure) => {
            return Err(Failure::new(format!(
                "{failure}\nthe logs are left in {}",
                work.display()
            )));
        }
    };
    if !options.keep {
        fs::remove_dir_all(&work).trying(|| format!("remove {}", work.display()))?;
    }

    let report = Report::new(machine, options.to_string(), left_out, all);
    if options.json {
        report
            .print_json()
            .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    } else {
        report.print();
    }
    Ok(())
}

/// Which targets are measured, and which are left out for what reason.
fn choose(options: &Options, work: &std::path::Path) -> (Vec<Target>, Vec<LeftOut>) {
    let ground = Ground {
        relay: options.relay.clone(),
        mailboxes: options.mailboxes,
    };
    let mut targets = Vec::new();
    let mut left_out = Vec::new();
    for target in Target::ALL {
        if !options.targets.is_empty() && !options.targets.contains(&target) {
            continue;
        }
        match target.hindrance(&ground, work) {
            None => targets.push(target),
            Some(reason) => left_out.push(LeftOut { target, reason }),
        }
    }
    (targets, left_out)
}
