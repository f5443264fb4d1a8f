//! The admin page, by the real binary and a client that sends exactly what the test says.

mod apply;
mod attacks;
mod audit;
mod client;
mod content;
mod device_changes;
mod device_users;
mod devices;
mod doctor;
mod entra;
mod export;
mod log_in;
pub(crate) mod mailboxes;
mod messages;
mod overloads;
mod pages;
mod restart;
mod routes;
mod scale;
mod sent_again;
mod settings;
mod setup;
mod setup_refused;
mod test_message;
mod timeline;
mod words;

use graph_relay_sandbox::Fault;
use graph_relay_sandbox::Sandbox;
use graph_relay_sandbox::Settings;
use graph_relay_sandbox::Station;

use crate::common::Home;
use crate::common::Relay;
use crate::common::home::Setup;
use crate::common::run;
use crate::common::said;

pub(crate) const ON: &str = "[admin]\naddress = \"127.0.0.1:0\"";

/// A relay with its page, not built yet.
fn with_page(graph: &Sandbox) -> Setup {
    Home::with(graph).sections(ON)
}

/// The address of a relay's page.
fn address(relay: &Relay) -> std::net::SocketAddr {
    let line = relay.event("page", |_| true);
    line["address"].as_str().unwrap().parse().unwrap()
}

/// The path of a new link, as `graph-relay page` prints it.
fn link(home: &Home) -> String {
    link_for(home, "administrator")
}

/// The same for a role.
fn link_for(home: &Home, role: &str) -> String {
    let output = run(home, &["page", "--role", role]);
    assert!(output.status.success(), "{}", said(&output));
    let url = String::from_utf8(output.stdout).unwrap();
    let path = url.trim().split_once("://").unwrap().1;
    format!("/{}", path.split_once('/').unwrap().1)
}

/// Entra's answer where nobody has consented to what the app asks for.
fn no_consent() -> Fault {
    let words = "AADSTS65001: The user or administrator has not consented to use the application.";
    Fault {
        times: 1000,
        code: Some("invalid_grant".to_owned()),
        message: Some(words.to_owned()),
        ..Fault::at(Station::Token, 400)
    }
}

/// Where an administrator consents.
fn consent(graph: &Sandbox) -> String {
    let Settings {
        tenant, client_id, ..
    } = Settings::default();
    let url = graph.url();
    format!("{url}/{tenant}/adminconsent?client_id={client_id}")
}
