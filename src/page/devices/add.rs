//! Adding a device: a form, then a card of what to type in, and whether the first message has
//! come.
//!
//! The answer to the form shows the password, and nothing else ever does: it is in no
//! address, in no log and in no file, and a browser keeps no copy of the answer. So this one
//! change is answered with a page instead of a redirection to one; sent again, it is refused,
//! because the user exists.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::Query;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Html;
use axum::response::IntoResponse;
use axum::response::Response;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::encoded;
use super::path;
use crate::admin::AddedDevice;
use crate::admin::Applied;
use crate::admin::DeviceState;
use crate::admin::DeviceView;
use crate::admin::NewDevice;
use crate::admin::NotChanged;
use crate::admin::Server;
use crate::config::Mailbox;
use crate::config::edit::EditError;
use crate::config::edit::Line;
use crate::config::edit::Side;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::texts::Language;
use crate::page::visitor::Refused;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;

/// Longest name and list of senders that are read.
const LONGEST: usize = 2000;

/// What the form has.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filled {
    #[serde(default)]
    name: String,
    #[serde(default)]
    senders: String,
}

impl Filled {
    /// The device that it describes.
    fn device(&self) -> NewDevice {
        let senders = self.senders.split([',', ';', ' ', '\r', '\n', '\t']);
        let senders = senders.filter(|sender| !sender.is_empty());
        NewDevice {
            name: self.name.trim().to_owned(),
            senders: senders.map(str::to_owned).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "add_device.html")]
struct Add {
    layout: Layout,
    filled: Filled,
    /// What the form lacks.
    incomplete: Option<&'static str>,
    /// Why the relay does not add it, in English.
    problems: Vec<String>,
}

#[derive(Template)]
#[template(path = "added_device.html")]
pub(super) struct Added {
    layout: Layout,
    name: String,
    password: String,
    from: String,
    servers: Vec<Server>,
    lines: Vec<Line>,
    /// Where it is seen whether the first message has come.
    waits: String,
    /// The name of a change that the relay may not write.
    prepared: Option<String>,
    /// Whether the device has another password until the change is in force.
    has_old_password: bool,
    /// Why the change is not in force, in English.
    problem: Option<String>,
}

impl Added {
    /// The card of a device with this name, which may send as these addresses.
    pub(super) fn of(
        layout: Layout,
        name: String,
        senders: Vec<String>,
        added: AddedDevice,
    ) -> Self {
        let (prepared, problem) = match added.applied {
            Applied::Prepared { id } => (Some(id), None),
            Applied::Written(in_force) => (None, in_force.error),
        };
        Self {
            layout,
            waits: waits(&name),
            password: added.password.expose_secret().to_owned(),
            from: from(&senders),
            name,
            servers: added.servers,
            lines: added.lines,
            prepared,
            has_old_password: false,
            problem,
        }
    }

    /// The same card for a device that has had another password.
    pub(super) fn in_place_of_another(self) -> Self {
        Self {
            has_old_password: true,
            ..self
        }
    }

    fn encryption(&self, server: &Server) -> &'static str {
        (self.layout.texts.add_device.encryption)(server.encryption)
    }
}

#[derive(Template)]
#[template(path = "first_message.html")]
struct First {
    layout: Layout,
    name: String,
    /// The device, when its first message has come.
    device: Option<(DeviceView, String)>,
    /// Clients that were refused last, for the case that it is one of them.
    refused: Vec<(DeviceView, String)>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    user: String,
}

pub(super) async fn form(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
) -> Result<Response, Refused> {
    visitor.require(Role::Administrator)?;
    let accounts = page.admin_state.configuration.in_force().accounts;
    let mailbox = accounts.iter().find_map(|account| match &account.mailbox {
        Mailbox::Fixed(address) => Some(address.to_string()),
        Mailbox::From => None,
    });
    let filled = Filled {
        name: String::new(),
        senders: mailbox.unwrap_or_default(),
    };
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    Ok(crate::page::shown(&Add {
        layout,
        filled,
        incomplete: None,
        problems: Vec::new(),
    })?)
}

pub(super) async fn add(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Form(filled): Form<Filled>,
) -> Result<Response, Refused> {
    let session = visitor.logged_in()?;
    visitor.audit_about(filled.name.trim());
    let new = filled.device();
    let is_complete = is_complete(&filled, &new);
    let added = match is_complete {
        false => Err(Vec::new()),
        true => {
            let (admin_state, by) = (page.admin_state.clone(), session.name.clone());
            let new = new.clone();
            let added = async move { admin_state.add_device(new, &by).await };
            let added = page.orders.spawn(added).await.map_err(|_| Broken::Spool)?;
            added.map_err(|why| said(&why))
        }
    };
    page.forget_status().await;
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    match added {
        Ok(added) => {
            visitor.audit_change(&added.applied);
            let card = Added::of(layout, new.name, new.senders, added);
            Ok(crate::page::shown(&card)?)
        }
        Err(problems) => {
            // The audit list is in English for everybody.
            visitor.audit_refused(match is_complete {
                true => problems.join("; "),
                false => Language::English.texts().add_device.incomplete.to_owned(),
            });
            let incomplete = visitor.texts().add_device.incomplete;
            let again = Add {
                layout,
                filled,
                incomplete: (!is_complete).then_some(incomplete),
                problems,
            };
            let again = again.render().map_err(Broken::from)?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(again)).into_response())
        }
    }
}

fn is_complete(filled: &Filled, new: &NewDevice) -> bool {
    let is_long = filled.name.len() + filled.senders.len() > LONGEST;
    !is_long && !new.name.is_empty() && !new.senders.is_empty()
}

/// Why nothing was changed, a line for each reason.
pub(super) fn said(why: &NotChanged) -> Vec<String> {
    if let NotChanged::Edit(EditError::Refused(error)) = why {
        let problems = error.problems.iter();
        return problems.map(|it| it.in_file(&error.file)).collect();
    }
    vec![why.to_string()]
}

/// Where it is seen whether the first message of a user has come.
pub(super) fn waits(name: &str) -> String {
    format!("/devices/first?user={}", encoded(name))
}

/// What to type in as the sender: an address, if there is one.
fn from(senders: &[String]) -> String {
    let address = senders.iter().find(|sender| !sender.contains('*'));
    address.cloned().unwrap_or_else(|| senders.join(", "))
}

/// Whether the first message of a user has come. The card asks for it every few seconds.
pub(super) async fn first(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    visitor.require(Role::Viewer)?;
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    let devices = page.admin_state.devices();
    let with_path = |device: &DeviceView| (device.clone(), path(device));
    let is_it = |device: &&DeviceView| device.messages.accepted > 0 && device.is_of(&asked.user);
    let refused = devices.iter().filter(|it| it.state == DeviceState::Refused);
    Ok(crate::page::shown(&First {
        layout,
        device: devices.iter().find(is_it).map(with_path),
        refused: refused.take(3).map(with_path).collect(),
        name: asked.user,
    })?)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::net::Ipv4Addr;

    use secrecy::SecretString;

    use super::*;
    use crate::page::visitor::Notes;

    /// The card of a device whose password waits for a command.
    fn card(language: Language) -> Added {
        let visitor = Visitor {
            session: None,
            guest: None,
            language,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host: "127.0.0.1".to_owned(),
            here: "/devices".to_owned(),
            is_encrypted: false,
            inbox: None,
            notes: Notes::default(),
        };
        let layout = Layout::new(&visitor, None, "relay.contoso.com", Vec::new());
        let added = AddedDevice {
            password: SecretString::from("a-password"),
            applied: Applied::Prepared {
                id: "01CHANGE".to_owned(),
            },
            lines: Vec::new(),
            servers: Vec::new(),
        };
        let senders = vec!["scanner@contoso.com".to_owned()];
        Added::of(layout, "scanner".to_owned(), senders, added)
    }

    #[test]
    fn the_card_says_how_long_the_old_password_works() {
        for (language, words) in [
            (
                Language::English,
                "Until then the old password still works.",
            ),
            (Language::German, "Bis dahin gilt das alte Passwort noch."),
        ] {
            let new = card(language).render().unwrap();
            let changed = card(language).in_place_of_another().render().unwrap();

            assert!(new.contains("graph-relay apply 01CHANGE"), "{new}");
            assert!(!new.contains(words), "a new device has none: {new}");
            assert!(changed.contains(words), "{changed}");
        }
    }
}
