//! Real dialogs of old clients, one file in `tests/dialogs` for each deviation, with the
//! exact replies of the relay.
//!
//! A file is read line by line; empty lines and those that begin with `#` are comments.
//! The first lines may configure the relay:
//!
//! ```text
//! listener: tls = "starttls"       a key of [[listener]]
//! config: [limits]                 a line of the file
//! ```
//!
//! With `tls` the file gets a `[tls]` with a certificate, with `authentication` (other
//! than "any") the users of `common/users.rs`. Files with the same configuration share a
//! relay; each has its own client address. Then comes the dialog:
//!
//! ```text
//! C: NOOP                  the client says a line, with CRLF
//! C+: NOOP                 the same, in one segment with what it said before
//! MESSAGE                  the lines up to `.` and that dot, in one segment
//! S: 250 2.0.0 Ok          a line of a reply
//! S: 250 *                 ... that begins so
//! S: 250-*                 a whole reply with that code, however many lines
//! OFFERS SIZE 3000000      a line of that last reply; OFFERS NOT: no line begins so
//! TLS                      the client does a TLS handshake now
//! CLOSED                   the relay closes and has nothing more to say;
//!                          CLOSED *: whatever it still says
//! LEAVE                    the client closes
//! ARRIVES text             Graph got the last accepted message, and this is in
//!                          it; ARRIVES NOT: this is not
//! RECIPIENTS a@b c@d       Graph got it for these and nobody else
//! LOG quirk=bare-lf        the log has a line with that `quirk`, `event` "quirk",
//!                          and this `client` or the `id` of one of its
//!                          messages; LOG no quirk: it has none with them
//! ```
//!
//! Everywhere `\r
//!  \0 \t \\ \xNN` are these bytes, and a lone `\` at the end of a client's line means
//!  that it has no CRLF. Every message that got its 250 must be delivered, whether a file
//!  says so or not.

mod read;
mod run;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::net::Ipv4Addr;

use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use tokio::runtime::Handle;

use self::read::Dialog;
use self::read::Setup;
use self::run::Stage;
use crate::common::Home;
use crate::common::Relay;
use crate::common::stand_in_with;
use crate::common::tls::Identity;
use crate::common::users::USERS;

/// Authors of the dialogs' messages that the mailbox may send as.
const AUTHORS: [&str; 4] = [
    "wordpress@localhost",
    "root@db1.corp.example",
    "boss@sandbox.example",
    "ups@[192.0.2.1]",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_dialog_gets_the_replies_of_its_file() {
    let settings = Settings {
        send_as: AUTHORS.map(str::to_owned).to_vec(),
        // One relay for each configuration; all send at once.
        mailbox_concurrency: 1000,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let mut groups: BTreeMap<Setup, Vec<(Dialog, IpAddr)>> = BTreeMap::new();
    for (at, dialog) in (1..).zip(read::all()) {
        let client = IpAddr::V4(Ipv4Addr::new(127, 0, 1, at));
        let group = groups.entry(dialog.setup.clone()).or_default();
        group.push((dialog, client));
    }

    let runtime = Handle::current();
    let failures: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = groups
            .iter()
            .map(|(setup, dialogs)| scope.spawn(|| play_all(setup, dialogs, &graph, &runtime)))
            .collect();
        let failures = running.into_iter().map(|group| group.join().unwrap());
        failures.flatten().collect()
    });

    assert!(
        failures.is_empty(),
        "{} of {} dialogs went otherwise:\n{}",
        failures.len(),
        groups.values().map(Vec::len).sum::<usize>(),
        failures.join("\n")
    );
}

/// Plays all dialogs of one configuration at once; returns the differences.
fn play_all(
    setup: &Setup,
    dialogs: &[(Dialog, IpAddr)],
    graph: &Sandbox,
    runtime: &Handle,
) -> Vec<String> {
    let identity = Identity::new();
    let started = std::panic::catch_unwind(|| start(setup, graph, &identity));
    let relay = match started {
        Ok(relay) => relay,
        Err(panic) => {
            let why = panic.downcast_ref::<String>();
            let named = |(dialog, _): &(Dialog, IpAddr)| format!("{}: {why:?}", dialog.name);
            return dialogs.iter().map(named).collect();
        }
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = dialogs
            .iter()
            .map(|(dialog, client)| {
                let (relay, identity) = (&relay, &identity);
                let play =
                    move || Stage::new(relay, graph, identity, *client, runtime).play(dialog);
                (dialog, scope.spawn(play))
            })
            .collect();
        let ended = running.into_iter().map(|(dialog, run)| match run.join() {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(format!("{}{failure}", dialog.name)),
            Err(_) => Some(format!("{}: panicked", dialog.name)),
        });
        ended.flatten().collect()
    })
}

fn start(setup: &Setup, graph: &Sandbox, identity: &Identity) -> Relay {
    let mut sections = setup.config.clone();
    let is_any = setup.listener.contains("authentication = \"any\"");
    if setup.has("authentication") && !is_any {
        sections.push_str(USERS);
    }
    let mut home = Home::with(graph)
        .sections(&sections)
        .listener(&setup.listener);
    if setup.has("tls") {
        home = home.tls(identity);
    }
    home.start()
}
