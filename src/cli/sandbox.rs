//! `sandbox`: the whole relay with the built-in stand-in for Entra and Graph. For the relay the
//! stand-in is only a URL in its configuration; everything else runs as in production. Its
//! relay.toml is beside the spool, so that the admin page can change it, and goes with it.
//! Environment variables do not change it.

use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::fault_addresses;
use tempfile::TempDir;
use tokio::time::Instant;

use super::Exit;
use super::say_exactly;
use super::serve::lifetime::Lifetime;
use super::smtp;
use super::talk;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::PageUrl;
use crate::disk;
use crate::platform::files;
use crate::service::Carried;
use crate::service::Passed;
use crate::service::Service;
use crate::service::StartError;
use crate::telemetry;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The address that accepts mail
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2525")]
    smtp: SocketAddr,
    /// The address of the web page that shows the mail
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8025")]
    page: SocketAddr,
    /// The address of the relay's admin page; without it, the port after that of --page
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// Stop after the first message; the exit code is 0 if it arrived
    #[arg(long)]
    once: bool,
}

impl Options {
    fn admin(&self) -> SocketAddr {
        let beside = |page: SocketAddr| match page.port() {
            // Any that is free.
            0 => page,
            port => SocketAddr::new(page.ip(), port.checked_add(1).unwrap_or_default()),
        };
        self.admin.unwrap_or_else(|| beside(self.page))
    }
}

/// The faults on the first screen; the page lists them all.
const SHOWN_FAULTS: [&str; 5] = ["throttle", "busy", "lost", "invalid", "denied"];
/// Of the admin page, which is for this machine only. Its hash, as `hash-password` makes it.
const PASSWORD: &str = "sandbox";
const PASSWORD_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$VUTfzZlMLhtrg2iqhBrEiA$VJd87d9AhRZaPK7bQQhhKKN15Eva4j5aI+Q2QfpfFYY";
const RECIPIENT: &str = "you@example.org";
/// The message goes over loopback only.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn run(options: &Options) -> Exit {
    let addresses = [options.page, options.smtp, options.admin()];
    if !addresses.iter().all(|address| address.ip().is_loopback()) {
        talk(
            "graph-relay: the sandbox is for this machine only: use an address with 127.0.0.1 or [::1]",
        );
        return Exit::Usage;
    }
    let settings = Settings::default();
    let stand_in = match Sandbox::start(options.page, settings.clone()).await {
        Ok(stand_in) => stand_in,
        Err(error) => {
            let page = options.page;
            talk(&format!(
                "graph-relay: cannot listen on {page}: {error}: choose another address with --page"
            ));
            return Exit::CannotCreate;
        }
    };
    let ended = relay(options, &settings, &stand_in).await;
    stand_in.stop().await;
    ended.unwrap_or_else(|(exit, words)| {
        talk(&format!("graph-relay: {words}"));
        exit
    })
}

/// The relay from its start to its end, in a folder that goes with it. Otherwise the exit code,
/// and why.
async fn relay(
    options: &Options,
    settings: &Settings,
    stand_in: &Sandbox,
) -> Result<Exit, (Exit, String)> {
    let not_created = |words: String| (Exit::CannotCreate, words);
    let folder = private_folder()
        .map_err(|error| not_created(format!("cannot create a folder for the spool: {error}")))?;
    write_files(options, settings, stand_in, folder.path())
        .map_err(|error| not_created(error.to_string()))?;
    let file = folder.path().join("relay.toml");
    let inbox = format!("{}/", stand_in.url());
    let read = || configuration(&file, &inbox);
    let service = start(options, &file, &read).await.map_err(not_created)?;
    let smtp = service.addresses().first().copied().unwrap_or(options.smtp);
    let page = service.page().map(PageUrl::as_str).unwrap_or_default();
    stand_in.name_admin_page(&format!("{page}/"));
    introduce(smtp, page, stand_in, settings);
    let arrived = show_the_way(smtp, stand_in, settings).await;
    if options.once || arrived.is_err() {
        service.stop().await;
        let failed = |words| {
            (
                Exit::CheckFailed,
                format!("the message did not arrive: {words}"),
            )
        };
        return arrived.map(|()| Exit::Done).map_err(failed);
    }
    let passed = Passed::default();
    // After Ctrl-C and SIGTERM the folder is removed.
    let lifetime = Lifetime::new(&file, &read, &passed);
    let lifetime = lifetime.map_err(|error| {
        let words = format!("cannot receive signals: {error}");
        (Exit::BrokeDown, words)
    })?;
    say_exactly("\nReady. Stop with Ctrl-C.");
    let ended = lifetime.run(service).await;
    ended.map_err(|error| (Exit::BrokeDown, error.to_string()))
}

/// The files of the relay in its folder: the secret, and relay.toml, which names it.
fn write_files(
    options: &Options,
    settings: &Settings,
    stand_in: &Sandbox,
    folder: &Path,
) -> io::Result<()> {
    let secret = folder.join("client-secret");
    write(&secret, &settings.client_secret)?;
    let mailbox = mailbox_of(settings);
    let text = format!(
        "# The sandbox's own: it goes when the sandbox ends.\n\
         hostname = \"relay.sandbox.example\"\n\
         data_dir = {folder:?}\n\
         [[listener]]\naddress = \"{smtp}\"\n\
         [limits]\nfree_space = \"8 MB\"\n\
         [admin]\naddress = \"{admin}\"\npassword_hash = \"{PASSWORD_HASH}\"\n\
         [admin.entra]\nadministrators = [\"{mailbox}\"]\n\
         [[account]]\ntenant = \"{tenant}\"\nclient_id = \"{client}\"\n\
         client_secret_file = {secret:?}\nmailbox = \"{mailbox}\"\n\
         login_url = \"{url}\"\ngraph_url = \"{url}\"\n",
        smtp = options.smtp,
        admin = options.admin(),
        tenant = settings.tenant,
        client = settings.client_id,
        url = stand_in.url(),
    );
    write(&folder.join("relay.toml"), &text)
}

/// Reads relay.toml, and nothing from the environment, which is that of a relay that delivers.
fn configuration(file: &Path, inbox: &str) -> Result<Config, ConfigError> {
    let mut config = Config::load_with(file, Environment::Ignored)?;
    config.admin.inbox = Some(inbox.to_owned());
    Ok(config)
}

async fn start(
    options: &Options,
    file: &Path,
    read: impl Fn() -> Result<Config, ConfigError>,
) -> Result<Service, String> {
    let config = read().map_err(|error| error.to_string())?;
    let log = config.log.clone();
    let service = Service::start(config, Some(file), &Passed::default(), Carried::default())
        .await
        .map_err(|error| match error {
            StartError::Listen { .. } => {
                format!("{error}; choose another address with --smtp")
            }
            StartError::Page(_) => {
                format!("{error}; choose another address with --admin")
            }
            other @ (StartError::Credential { .. }
            | StartError::SignIns(_)
            | StartError::Tls(_)
            | StartError::Spool(_)
            | StartError::Http(_)
            | StartError::Metrics(_)
            | StartError::Admin { .. }) => other.to_string(),
        })?;
    if !options.once {
        telemetry::start(&log);
    }
    Ok(service)
}

/// Prints the first screen: the addresses, and what to try.
fn introduce(smtp: SocketAddr, page: &str, stand_in: &Sandbox, settings: &Settings) {
    let mailbox = mailbox_of(settings);
    let port = smtp.port();
    say_exactly("graph-relay SANDBOX: nothing leaves this machine.\n");
    say_exactly(&format!("  mail in    smtp://{smtp}"));
    say_exactly(&format!(
        "  mail out   {}/  (the mail that Graph would receive)",
        stand_in.url()
    ));
    say_exactly(&format!(
        "  page       {page}/  (the admin page; its password is {PASSWORD})"
    ));
    say_exactly(&format!(
        "  try        swaks --server 127.0.0.1:{port} --from {mailbox} --to {RECIPIENT}"
    ));
    let mut label = "  fails      ";
    for (name, meaning) in fault_addresses() {
        if SHOWN_FAULTS.contains(name) {
            say_exactly(&format!(
                "{label}{:22} {meaning}",
                format!("{name}@example.org")
            ));
            label = "             ";
        }
    }
}

/// Sends one message through real SMTP and shows where it is.
async fn show_the_way(
    smtp: SocketAddr,
    stand_in: &Sandbox,
    settings: &Settings,
) -> Result<(), String> {
    let mailbox = mailbox_of(settings);
    let message = format!(
        "From: Sandbox <{mailbox}>\r\nTo: {RECIPIENT}\r\nSubject: Hello from the sandbox\r\n\r\n\
         This message came in by SMTP and went out through the substitute for Graph.\r\n"
    );
    let begun = Instant::now();
    let since = || format!("{:>5} ms", begun.elapsed().as_millis());
    say_exactly("\nSending a test message:");
    let queued = smtp::send(smtp, mailbox, RECIPIENT, &message).await;
    let queued = queued.map_err(|error| error.to_string())?;
    say_exactly(&format!("  {}  safe on disk: {queued}", since()));
    let arrived = tokio::time::timeout(ARRIVAL_TIMEOUT, stand_in.arrived(1)).await;
    arrived.map_err(|_| format!("nothing arrived within {ARRIVAL_TIMEOUT:?}"))?;
    let arrivals = stand_in.arrivals();
    let arrival = arrivals.first().ok_or("the substitute did not keep it")?;
    say_exactly(&format!(
        "  {}  submitted to Graph for {}: 202 Accepted, request-id {}",
        since(),
        arrival.mailbox,
        arrival.request_id
    ));
    say_exactly(&format!(
        "  see it     {}/sandbox/messages/{}/raw",
        stand_in.url(),
        arrival.id
    ));
    Ok(())
}

fn mailbox_of(settings: &Settings) -> &str {
    settings.mailboxes.first().map_or("", String::as_str)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    disk::create(path)?.write_all(text.as_bytes())
}

/// Creates a folder that is removed when the value is dropped. Nobody can guess its name,
/// and only this user may enter it.
fn private_folder() -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("graph-relay-sandbox-")
        .permissions(files::permissions(files::PRIVATE_FOLDER))
        .tempdir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_user_may_enter_the_folder_of_the_sandbox() {
        let folder = private_folder().unwrap();

        let mode = files::mode(&std::fs::metadata(folder.path()).unwrap());
        assert_eq!(mode, 0o700);
    }
}
