//! `login` and `logout`: sign a mailbox in once, or out.
//!
//! The running relay asks Entra and keeps the tokens. The command shows the user what to do,
//! and sends the browser's answer to the relay (RFC 8252: a loopback redirect). Without a
//! browser on this machine the user pastes the address at which any browser ended.

use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::process::Command;
use std::process::Stdio;

use axum::Router;
use axum::http::StatusCode;
use axum::http::Uri;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::ConfigFile;
use super::Exit;
use super::counted;
use super::running::Failure;
use super::running::Relay;
use super::running::send_test;
use super::say;
use super::talk;
use super::terminal;
use crate::admin::Ended;
use crate::admin::Finished;
use crate::admin::Forgotten;
use crate::admin::SignedIn;
use crate::admin::Wanted;
use crate::auth::Begun;
use crate::auth::Way;
use crate::mail::Address;
use crate::platform::users;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The mailbox that signs in, by its user principal name
    mailbox: Address,
    /// The [[account]], if several send from this mailbox
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Sign in on another device with a code
    #[arg(long)]
    device: bool,
    /// Sign in with a browser on another machine, and paste the address of its last page here
    #[arg(long, conflicts_with = "device")]
    no_browser: bool,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, clap::Args)]
pub(super) struct LogoutOptions {
    /// The mailbox to sign out
    mailbox: Address,
    /// The [[account]], if several send from this mailbox
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) async fn run(options: &Options) -> Exit {
    // One reader of standard input, for addresses and for the answer at the end.
    let (typing, mut typed) = mpsc::channel(8);
    match sign_in(options, typing, &mut typed).await {
        Ok(signed_in) => {
            say(&format!(
                "{} has signed in (account {})",
                signed_in.mailbox, signed_in.account
            ));
            if signed_in.waiting > 0 {
                say(&format!(
                    "{} waited for this and will be sent now",
                    counted(signed_in.waiting, "message")
                ));
            }
            offer_test(options, &signed_in.mailbox, &mut typed).await
        }
        Err(failure) => failure.tell(),
    }
}

async fn sign_in(
    options: &Options,
    typing: mpsc::Sender<String>,
    typed: &mut mpsc::Receiver<String>,
) -> Result<SignedIn, Failure> {
    let relay = Relay::of(&options.file)?;
    if options.no_browser || terminal::is_there() {
        read_lines(typing.clone());
    }
    if options.device {
        return by_device(&relay, options).await;
    }
    let callback = match options.no_browser {
        true => None,
        false => Some(Callback::listen().await?),
    };
    let redirect_uri = callback.as_ref().map_or_else(
        || "http://localhost".to_owned(),
        |callback| callback.redirect_uri.clone(),
    );
    let begun = begin(&relay, options, Way::Browser { redirect_uri }).await?;
    invite(&begun, &options.mailbox, callback.is_some());
    in_browser(&relay, &begun, callback, typing, typed).await
}

/// Shows one code after the other, until the mailbox itself has signed in: any user who
/// signs in uses up a code.
async fn by_device(relay: &Relay, options: &Options) -> Result<SignedIn, Failure> {
    loop {
        let begun = begin(relay, options, Way::Device).await?;
        let code = begun.user_code.as_deref().unwrap_or_default();
        let mailbox = &options.mailbox;
        talk(&format!(
            "On any device, go to\n\n  {}\n\nand sign in as {mailbox} with the code {code}. Waiting ...",
            begun.url
        ));
        match finish(relay, &begun, None).await? {
            Finished::SignedIn(signed_in) => return Ok(signed_in),
            Finished::StillWaiting { reason } => talk(&format!("{reason}\nHere is a new code.")),
        }
    }
}

async fn begin(relay: &Relay, options: &Options, way: Way) -> Result<Begun, Failure> {
    let wanted = Wanted {
        mailbox: options.mailbox.clone(),
        account: options.account.clone(),
        way: Some(way),
    };
    let what = "asking Microsoft for a sign-in";
    relay.order_patiently(what, "/sign-ins", &wanted).await
}

async fn finish(
    relay: &Relay,
    begun: &Begun,
    address: Option<String>,
) -> Result<Finished, Failure> {
    let path = format!("/sign-ins/{}", begun.id);
    let ended = Ended { address };
    let finished = relay.order_patiently("waiting for the sign-in", &path, &ended);
    finished.await
}

/// Shows what to do, and opens a browser if there is one.
fn invite(begun: &Begun, mailbox: &Address, listens: bool) {
    talk(&format!(
        "Sign in as {mailbox} in a browser:\n\n  {}\n",
        begun.url
    ));
    if listens && may_open_browser() && open(&begun.url) {
        talk("The browser should have opened by itself.");
    }
    if !listens {
        talk(
            "At the end the browser shows an address that starts with http://localhost, which it \
             cannot open. Copy the whole address, paste it here and press Enter.",
        );
    } else if terminal::is_there() {
        talk(
            "If the browser is on another machine, paste here the address that it shows at the end.",
        );
    }
}

/// Only with a screen, and never as root (`sudo graph-relay login`): a browser with root's
/// rights would be worth more to an attacker than the sign-in, and would leave files in the
/// user's profile that only root can change.
fn may_open_browser() -> bool {
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some());
    has_screen && !users::is_root() && !users::is_started_by_root()
}

fn open(url: &str) -> bool {
    let browser = Command::new("xdg-open")
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    browser.is_ok()
}

/// Waits for the address, from the browser or from the user, until one of them is right.
async fn in_browser(
    relay: &Relay,
    begun: &Begun,
    callback: Option<Callback>,
    found: mpsc::Sender<String>,
    addresses: &mut mpsc::Receiver<String>,
) -> Result<SignedIn, Failure> {
    let listening = async {
        match callback {
            Some(callback) => callback.serve(found).await,
            None => drop(found),
        }
        std::future::pending::<()>().await;
    };
    let waiting = async {
        while let Some(address) = addresses.recv().await {
            if address.is_empty() {
                continue;
            }
            match finish(relay, begun, Some(address)).await? {
                Finished::SignedIn(signed_in) => return Ok(signed_in),
                Finished::StillWaiting { reason } => talk(&format!(
                    "{reason}\nStill waiting: sign in at the address above, or press Ctrl-C to stop."
                )),
            }
        }
        Err(Failure {
            exit: Exit::Usage,
            words: "no address was entered: run graph-relay login again".to_owned(),
        })
    };
    tokio::select! {
        ended = waiting => ended,
        () = listening => Err(Failure::another_version()),
    }
}

/// A thread of its own, which ends with the program: waiting for a line must not stop it
/// from ending.
fn read_lines(found: mpsc::Sender<String>) {
    std::thread::spawn(move || {
        while let Ok(line) = terminal::line() {
            if found.blocking_send(line).is_err() {
                return;
            }
        }
    });
}

/// A few attempts are enough to find a port that is free on both loopback addresses.
const TRIES: usize = 10;

/// The address to which a browser on this machine comes back.
struct Callback {
    sockets: Vec<TcpListener>,
    redirect_uri: String,
}

impl Callback {
    /// Listens on both loopback addresses, since a browser may use either for localhost; Entra
    /// accepts any port.
    async fn listen() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure {
            exit: Exit::CannotCreate,
            words: format!(
                "cannot open a port for the answer of the browser: {error}: use --no-browser"
            ),
        };
        for _ in 0..TRIES {
            let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
            let first = first.map_err(failed)?;
            let port = first.local_addr().map_err(failed)?.port();
            let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await;
            if let Err(error) = &second
                && error.kind() == std::io::ErrorKind::AddrInUse
            {
                // Otherwise the browser might go to another program there.
                continue;
            }
            return Ok(Self {
                sockets: [first].into_iter().chain(second.ok()).collect(),
                redirect_uri: format!("http://localhost:{port}"),
            });
        }
        Err(failed(std::io::ErrorKind::AddrInUse.into()))
    }

    /// Passes on every address that may be the right one.
    async fn serve(self, found: mpsc::Sender<String>) {
        let base = self.redirect_uri;
        let answer = move |uri: Uri| {
            let (found, base) = (found.clone(), base.clone());
            async move {
                if uri.query().is_none() {
                    return (StatusCode::NOT_FOUND, "");
                }
                // The command has ended, or will receive it.
                let _taken = found.send(format!("{base}{uri}")).await;
                let words = "Go back to the terminal: graph-relay shows there whether the sign-in \
                             worked. You can close this window.\n";
                (StatusCode::OK, words)
            }
        };
        let routes = Router::new().fallback(answer);
        let serve = |socket| axum::serve(socket, routes.clone()).into_future();
        let serving = self.sockets.into_iter().map(serve);
        drop(futures_util::future::join_all(serving).await);
    }
}

/// The user's own mailbox is the best place to see that it works.
async fn offer_test(
    options: &Options,
    mailbox: &Address,
    typed: &mut mpsc::Receiver<String>,
) -> Exit {
    if !terminal::is_there() {
        talk(&format!("to try it: graph-relay send-test {mailbox}"));
        return Exit::Done;
    }
    terminal::prompt(&format!("Send a test message to {mailbox}? [Y/n] "));
    // Keys that were typed while the browser was open are not an answer.
    while typed.try_recv().is_ok() {}
    let answer = typed.recv().await.unwrap_or_else(|| "no".to_owned());
    if !terminal::is_yes(&answer, true) {
        return Exit::Done;
    }
    send_test::by_relay(&options.file, mailbox, Some(mailbox))
        .await
        .unwrap_or_else(Failure::tell)
}

pub(super) async fn log_out(options: &LogoutOptions) -> Exit {
    match forget(options).await {
        Ok(exit) => exit,
        Err(failure) => failure.tell(),
    }
}

async fn forget(options: &LogoutOptions) -> Result<Exit, Failure> {
    let relay = Relay::of(&options.file)?;
    let wanted = Wanted {
        mailbox: options.mailbox.clone(),
        account: options.account.clone(),
        way: None,
    };
    let mailbox = &options.mailbox;
    let forgotten: Option<Forgotten> = relay.order("/sign-outs", &wanted).await?;
    let forgotten = forgotten.ok_or_else(Failure::another_version)?;
    if !forgotten.was_signed_in {
        talk(&format!("graph-relay: {mailbox} was not signed in"));
        return Ok(Exit::CheckFailed);
    }
    say(&format!(
        "{mailbox} is signed out of this relay: its mail waits until it signs in again"
    ));
    talk(
        "The app keeps its permission in Entra. To withdraw it: myapps.microsoft.com, or Entra > \
         Enterprise applications > the app > Permissions.",
    );
    Ok(Exit::Done)
}
