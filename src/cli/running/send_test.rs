//! `send-test`: sends a message that describes its own way, and times each step.
//!
//! By SMTP it goes the way of any other message, through listener, queue and Graph. Directly
//! to Graph it skips listener and queue, in case they are the problem. This command sends it
//! then, or the running relay if only that can act as the account.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::Failure;
use super::Relay;
use crate::admin::Sent;
use crate::admin::Status;
use crate::admin::TestMessage;
use crate::auth::Means;
use crate::auth::Tokens;
use crate::cli::ConfigFile;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::smtp;
use crate::cli::talk;
use crate::clock::Clock;
use crate::config::Account;
use crate::config::Config;
use crate::config::ListenAddress;
use crate::config::Listener;
use crate::graph::Caller;
use crate::graph::Graph;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Origin;
use crate::mail::ReversePath;
use crate::routing;
use crate::spool::EntryView;
use crate::spool::State;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The recipient
    to: Address,
    /// The sender. Default: the mailbox of the first [[account]]
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Address>,
    /// smtp: through the relay like any other message; graph: directly to Graph
    #[arg(long, value_enum, default_value = "smtp")]
    via: Via,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Via {
    Smtp,
    Graph,
}

/// How long to wait for a message by SMTP: Graph may take a minute to answer.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(in crate::cli) async fn run(options: &Options) -> Exit {
    let from = options.from.as_ref();
    let outcome = match options.via {
        Via::Smtp => by_smtp(&options.file, &options.to, from).await,
        Via::Graph => by_graph(&options.file, &options.to, from).await,
    };
    outcome.unwrap_or_else(Failure::tell)
}

/// Sends directly to Graph.
pub(in crate::cli) async fn by_graph(
    file: &ConfigFile,
    to: &Address,
    from: Option<&Address>,
) -> Result<Exit, Failure> {
    let config = load(file)?;
    let destination = destination(&config, from)?;
    let account = config
        .accounts
        .iter()
        .find(|it| it.name == destination.account);
    match account.filter(|account| account.is_usable_here()) {
        Some(account) => directly(&config, account, &destination, to, from).await,
        None => by_relay(file, to, from).await,
    }
}

async fn directly(
    config: &Config,
    account: &Account,
    destination: &Destination,
    to: &Address,
    from: Option<&Address>,
) -> Result<Exit, Failure> {
    let failed = |words: String| Failure {
        exit: Exit::CheckFailed,
        words,
    };
    let means = Means::new(config, Clock::System).map_err(|error| failed(error.to_string()))?;
    let http = means.http.clone();
    let tokens = Tokens::new(account.clone(), means);
    let begun = Instant::now();
    let token = tokens.token(&destination.mailbox).await;
    token.map_err(|error| failed(error.to_string()))?;
    hop(begun, &format!("token for account {}", account.name));
    let caller = Caller {
        mailbox: &destination.mailbox,
        client_request_id: Uuid::new_v4(),
    };
    let from = from.unwrap_or(&destination.mailbox);
    let sent = Graph::new(http, tokens).send_test(caller, from, to).await;
    let sent = sent.map_err(|error| failed(error.to_string()))?;
    told(begun, &destination.mailbox, sent.request_id.as_deref(), to);
    Ok(Exit::Done)
}

/// Sends directly to Graph, by the running relay.
pub(in crate::cli) async fn by_relay(
    file: &ConfigFile,
    to: &Address,
    from: Option<&Address>,
) -> Result<Exit, Failure> {
    let relay = Relay::of(file)?;
    let message = TestMessage {
        to: to.clone(),
        from: from.cloned(),
    };
    let begun = Instant::now();
    let sent = relay.order_patiently("sending a test message", "/test-messages", &message);
    let sent: Sent = sent.await?;
    told(begun, &sent.mailbox, sent.request_id.as_deref(), to);
    Ok(Exit::Done)
}

/// Sends through listener and queue.
async fn by_smtp(file: &ConfigFile, to: &Address, from: Option<&Address>) -> Result<Exit, Failure> {
    let config = load(file)?;
    let destination = destination(&config, from)?;
    let from = from.unwrap_or(&destination.mailbox);
    let relay = Relay::of(file)?;
    let status: Option<Status> = relay.ask("/status").await?;
    let status = status.ok_or_else(Failure::another_version)?;
    let server = open_listener(&config, &status.listeners).ok_or_else(|| Failure {
        exit: Exit::Usage,
        words: "no listener accepts mail from this machine without TLS and authentication: use \
                graph-relay send-test --via graph, or swaks with user and password"
            .to_owned(),
    })?;
    let message = format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: A test message from graph-relay\r\n\r\n\
         graph-relay sent this message to test the whole way: by SMTP to {server},\r\n\
         through its queue, and through Microsoft Graph.\r\n"
    );
    let begun = Instant::now();
    let queued = smtp::send(server, from.as_str(), to.as_str(), &message).await;
    let queued = queued.map_err(|error| Failure {
        exit: Exit::CheckFailed,
        words: format!("the relay did not accept the message at {server}: {error}"),
    })?;
    hop(begun, &format!("accepted at {server}: {queued}"));
    let id = queued.rsplit(' ').next().unwrap_or_default().to_owned();
    follow(&relay, &id, begun, to).await
}

/// Watches a message until it is finished, or waits for another attempt.
async fn follow(relay: &Relay, id: &str, begun: Instant, to: &Address) -> Result<Exit, Failure> {
    let path = format!("/queue/{id}");
    while begun.elapsed() < PATIENCE {
        let entry: Option<EntryView> = relay.ask(&path).await?;
        let entry = entry.ok_or_else(Failure::another_version)?;
        let last = entry.timeline.iter().rfind(|it| it.outcome.is_some());
        if let Some(attempt) = last {
            let mailbox = entry.summary.mailbox.as_deref().unwrap_or_default();
            if entry.summary.state == State::Delivered {
                let mailbox = mailbox.parse().map_err(|_| Failure::another_version())?;
                told(begun, &mailbox, attempt.request_id.as_deref(), to);
                return Ok(Exit::Done);
            }
            let reason = attempt.reason.as_deref().unwrap_or_default();
            let state = entry.summary.state;
            let exit = match state {
                State::Waiting | State::Claimed => Exit::TryLater,
                State::Held
                | State::Delivered
                | State::Failed
                | State::Dropped
                | State::Quarantined => Exit::CheckFailed,
            };
            return Err(Failure {
                exit,
                words: format!("{state}: {reason}\ngraph-relay queue show {id}"),
            });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Err(Failure {
        exit: Exit::TryLater,
        words: format!(
            "no result within {PATIENCE:?}. To see what the message waits for: graph-relay queue \
             show {id}"
        ),
    })
}

/// Returns a listener that accepts mail from this machine without TLS or a password.
fn open_listener(config: &Config, running: &[SocketAddr]) -> Option<SocketAddr> {
    let here = Ipv4Addr::LOCALHOST.into();
    let is_open = |listener: &Listener| listener.is_open_to(here);
    let open = config.listeners.iter().enumerate();
    let open = open.filter(|(_, listener)| is_open(listener));
    let mut running_open = open.filter_map(|(number, listener)| match &listener.address {
        ListenAddress::Socket(address) if address.port() == 0 => running.get(number),
        ListenAddress::Socket(address) => running.iter().find(|it| *it == address),
        // Which of the sockets are its own is not known here.
        ListenAddress::Systemd(_) => {
            let port = listener.address.usual_port();
            running.iter().find(|it| Some(it.port()) == port)
        }
    });
    running_open
        .next()
        .map(|address| match address.ip().is_unspecified() {
            true => SocketAddr::new(here, address.port()),
            false => *address,
        })
}

fn destination(config: &Config, from: Option<&Address>) -> Result<Destination, Failure> {
    let origin = Origin {
        author: from.cloned(),
        reverse_path: ReversePath::Null,
        bound: None,
        is_report: false,
    };
    routing::route(&config.accounts, &config.senders, &origin).ok_or_else(|| Failure {
        exit: Exit::Usage,
        words: "no [[account]] sends for this sender: choose another with --from".to_owned(),
    })
}

fn load(file: &ConfigFile) -> Result<Config, Failure> {
    Config::load(&file.config).map_err(|error| Failure::of_configuration(&error))
}

fn hop(begun: Instant, what: &str) {
    say(&format!("{:>6} ms  {what}", begun.elapsed().as_millis()));
}

fn told(begun: Instant, mailbox: &Address, request_id: Option<&str>, to: &Address) {
    let request_id = request_id.unwrap_or("none");
    hop(
        begun,
        &format!("submitted to Graph from {mailbox}, request-id {request_id}"),
    );
    talk(&format!(
        "Graph has accepted the message. If {to} does not receive it, look for a non-delivery \
         report in the inbox of {mailbox}, and in the recipient's junk folder."
    ));
}
