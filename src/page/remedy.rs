//! A remedy as the page shows it: where it names a command, the page's own link or button stands
//! in its place, if there is one.
//!
//! Remedies are texts, because log, history, JSON and terminal have them too. What is found in
//! them here are commands as a shell takes them, never words. So a remedy needs nothing for the
//! page but the whole command: `sign {mailbox} in again: graph-relay login {mailbox}`. A new
//! command that the page can do gets a line in [`command`].

use askama::Template;
use askama::filters::HtmlSafe;

use super::layout::Layout;
use super::sentence;
use super::visitor::Role;
use crate::mail::Address;
use crate::mail::SpoolId;

/// A text with links and buttons in it, for `{{ layout.remedy(text) }}`.
#[derive(Debug, Template)]
#[template(path = "remedy.html")]
pub(super) struct Remedy<'a> {
    pieces: Vec<Piece<'a>>,
    /// Of the titles.
    language: &'static str,
}

impl HtmlSafe for Remedy<'_> {}

#[derive(Debug)]
enum Piece<'a> {
    Words(String),
    /// Its address, and its title.
    Link(String, &'a str),
    /// The form in `layout.html`, the mailbox, and the title.
    Button(&'static str, &'a str, &'static str),
    /// The page that is shown has a button of that name, or would have it for an operator.
    Here(&'static str),
    /// Who can do what the text says, if the visitor cannot.
    ByOthers(&'static str),
}

/// What a command does, as far as the page does it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed<'a> {
    SignIn(&'a str),
    Restart,
    Check,
    Status,
    SetUp,
    Test,
    /// What is done with a message.
    Message(&'a str, SpoolId),
    /// The messages in this state.
    Messages(&'a str),
    Visit(&'a str),
}

/// How something begins that may have a link.
const BEGINNINGS: [&str; 3] = ["graph-relay ", "systemctl ", "https://"];
/// What ends a sentence is not part of a command.
const END: [char; 5] = ['.', ',', ';', ':', ')'];
/// A change of the unit: it takes effect only if systemd restarts the service.
const EDIT_UNIT: &str = "systemctl edit";
/// Words of the longest command.
const LONGEST: usize = 6;

impl Layout {
    /// Whether the visitor may sign in mailboxes and restart the relay.
    pub(super) fn is_administrator(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.role >= Role::Administrator)
    }

    /// Whether the visitor may change messages.
    fn is_operator(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.role >= Role::Operator)
    }

    /// A text of the relay with the page's links and buttons in it.
    pub(super) fn remedy<'a>(&'a self, text: &'a str) -> Remedy<'a> {
        let (mut pieces, mut done, mut needs_operator) = (Vec::new(), 0, false);
        // The button restarts the relay within its process, which does not read the unit again.
        let is_of_unit = text.contains(EDIT_UNIT);
        for (at, _) in text.char_indices() {
            let (before, rest) = text.split_at(at);
            let is_inside = at < done || before.ends_with(|c: char| c.is_alphanumeric());
            if is_inside || !BEGINNINGS.iter().any(|it| rest.starts_with(it)) {
                continue;
            }
            let Some((length, deed)) = command(rest) else {
                continue;
            };
            if is_of_unit && deed == Deed::Restart {
                continue;
            }
            let Some(piece) = self.piece(deed) else {
                continue;
            };
            let is_button = matches!((deed, &piece), (Deed::Message(..), Piece::Here(_)));
            needs_operator |= is_button && !self.is_operator();
            let words = text.get(done..at).unwrap_or_default();
            pieces.push(Piece::Words(sentence(without_sudo(words))));
            pieces.push(piece);
            done = at + length;
        }
        let words = text.get(done..).unwrap_or_default();
        pieces.push(Piece::Words(sentence(words)));
        if needs_operator {
            pieces.push(Piece::ByOthers(self.texts.layout.by_operator));
        }
        Remedy {
            pieces,
            language: self.language.tag(),
        }
    }

    /// What the visitor has in the place of a command.
    fn piece<'a>(&self, deed: Deed<'a>) -> Option<Piece<'a>> {
        let texts = self.texts;
        let is_guest = self.session.is_none();
        let is_administrator = self.is_administrator();
        let link = |path: &str, title| Some(Piece::Link(path.to_owned(), title));
        match deed {
            Deed::Visit(url) => link(url, url),
            Deed::SignIn(_) if is_guest => Some(Piece::Here(texts.mailboxes.try_again)),
            Deed::SignIn(mailbox) if is_administrator && mailbox.parse::<Address>().is_ok() => {
                let title = texts.mailboxes.sign_in;
                Some(Piece::Button("begin-sign-in", mailbox, title))
            }
            Deed::SignIn(_) if is_administrator => link("/mailboxes", texts.layout.mailboxes),
            Deed::Restart if is_administrator => {
                Some(Piece::Button("begin-restart", "", texts.setup.restart))
            }
            Deed::SetUp if is_administrator => link("/setup", texts.layout.setup),
            Deed::SignIn(_) | Deed::Restart | Deed::SetUp => None,
            _ if is_guest => None,
            Deed::Check => link("/doctor", texts.doctor.title),
            Deed::Status => link("/", texts.layout.overview),
            Deed::Test => link("/test", texts.test.title),
            Deed::Messages(state) => {
                link(&format!("/messages?state={state}"), texts.layout.show_them)
            }
            Deed::Message(verb, id) => {
                let path = format!("/messages/{id}");
                let button = match verb {
                    "retry" => texts.message.retry,
                    "hold" => texts.message.hold,
                    "release" => texts.message.release,
                    "drop" => texts.message.drop,
                    "resend" => texts.message.resend,
                    _ => return link(&path, texts.layout.show_it),
                };
                let is_elsewhere = self.here.split('?').next() != Some(&*path);
                match self.is_operator() && is_elsewhere {
                    true => link(&path, button),
                    false => Some(Piece::Here(button)),
                }
            }
        }
    }
}

/// The words in front of a link or button, which replaces the whole command.
fn without_sudo(words: &str) -> &str {
    let before = words.strip_suffix("sudo ");
    let before = before.filter(|it| !it.ends_with(|c: char| c.is_alphanumeric()));
    before.unwrap_or(words)
}

/// The command that a text begins with, and its length; or an address.
fn command(text: &str) -> Option<(usize, Deed<'_>)> {
    let written: Vec<&str> = text.split_whitespace().take(LONGEST).collect();
    let words: Vec<&str> = written.iter().map(|it| it.trim_end_matches(END)).collect();
    let (count, deed) = match words.as_slice() {
        ["systemctl", "restart" | "reload", "graph-relay", ..] => (3, Deed::Restart),
        ["graph-relay", "login", mailbox, "--device", ..] => (4, Deed::SignIn(mailbox)),
        ["graph-relay", "login", mailbox, ..] => (3, Deed::SignIn(mailbox)),
        ["graph-relay", "doctor" | "check", ..] => (2, Deed::Check),
        ["graph-relay", "status", "--json", ..] => (3, Deed::Status),
        ["graph-relay", "status", ..] => (2, Deed::Status),
        ["graph-relay", "setup", ..] => (2, Deed::SetUp),
        ["graph-relay", "send-test", "ADDRESS", ..] => (3, Deed::Test),
        ["graph-relay", "queue", "list", "--filter", filter, ..] => {
            (5, Deed::Messages(filter.strip_prefix("state=")?))
        }
        ["graph-relay", "queue", "list", ..] => (3, Deed::Messages("waiting")),
        ["graph-relay", "queue", "resend", id, "--to", "ADDRESS", ..] => {
            (6, Deed::Message("resend", id.parse().ok()?))
        }
        ["graph-relay", "queue", verb, id, ..] => (4, Deed::Message(verb, id.parse().ok()?)),
        // One that still has a placeholder leads nowhere.
        [url, ..] if url.starts_with("https://") && !url.contains("TENANT") => {
            (1, Deed::Visit(url))
        }
        _ => return None,
    };
    let last = words.get(count - 1)?;
    let before = written.iter().take(count - 1).map(|word| word.len() + 1);
    Some((before.sum::<usize>() + last.len(), deed))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::Ipv4Addr;
    use std::path::Path;

    use super::*;
    use crate::catalogue;
    use crate::config::pickup_remedy;
    use crate::page::access::sessions::Session;
    use crate::page::texts::Language;
    use crate::page::visitor::Notes;
    use crate::page::visitor::Visitor;

    /// A page of an administrator.
    fn layout() -> Layout {
        let session = Session {
            name: "link".to_owned(),
            role: Role::Administrator,
            csrf: String::new(),
        };
        let visitor = Visitor {
            session: Some(session),
            guest: None,
            language: Language::English,
            client: Ipv4Addr::LOCALHOST.into(),
            host: "127.0.0.1".to_owned(),
            here: "/".to_owned(),
            is_encrypted: false,
            inbox: None,
            notes: Notes::default(),
        };
        Layout::new(&visitor, None, "relay.example", Vec::new())
    }

    #[test]
    fn a_change_of_the_unit_has_no_button_that_restarts_within_the_process() {
        let text = pickup_remedy(Path::new("/srv/pickup"), ErrorKind::ReadOnlyFilesystem);

        let shown = layout().remedy(&text).render().unwrap();

        assert!(text.contains("systemctl edit"), "{text}");
        assert!(!shown.contains("<button"), "{shown}");
        let restart = "run sudo systemctl restart graph-relay";
        assert!(shown.contains(restart), "{shown}");
    }

    #[test]
    fn a_link_or_button_replaces_sudo_too() {
        let text = pickup_remedy(Path::new("/srv/pickup"), ErrorKind::PermissionDenied);

        let shown = layout().remedy(&text).render().unwrap();

        assert!(shown.starts_with("run <a href=\"/doctor\""), "{shown}");
        assert!(shown.contains(" and <button"), "{shown}");
        let other = "sudo apparmor_parser --replace";
        assert!(shown.contains(other), "{shown}");
        assert_eq!(without_sudo("pseudo "), "pseudo ");
    }

    #[test]
    fn the_page_of_a_message_names_its_own_buttons_where_other_pages_have_links() {
        let message = "/messages/01M7ZZDH4TKT6XKYKEMYK3N3EJ";
        let text = "to send it: graph-relay queue release 01M7ZZDH4TKT6XKYKEMYK3N3EJ";
        let shown = |here: &str, role| {
            let mut layout = layout();
            layout.here = here.to_owned();
            layout.session.as_mut().unwrap().role = role;
            layout.remedy(text).render().unwrap()
        };

        let link = format!("to send it: <a href=\"{message}\" lang=\"en\">Release</a>");
        let button = "to send it: <strong lang=\"en\">Release</strong>";
        assert_eq!(shown("/", Role::Administrator), link);
        assert_eq!(shown(message, Role::Operator), button);
        let asked = format!("{message}?wrong=address");
        assert_eq!(shown(&asked, Role::Operator), button);
        // Whoever may change nothing has no buttons there.
        let who = "<span lang=\"en\">(an operator of the relay can do this)</span>";
        let by_others = format!("{button} {who}");
        assert_eq!(shown(message, Role::Viewer), by_others);
        assert_eq!(shown("/", Role::Viewer), by_others);
    }

    #[test]
    fn a_command_ends_before_the_sentence_goes_on() {
        let id = "01M7ZZDH4TKT6XKYKEMYK3N3EJ";
        for (text, command_of_it, deed) in [
            (
                "graph-relay login a@x.example; or use".to_owned(),
                "graph-relay login a@x.example",
                Deed::SignIn("a@x.example"),
            ),
            (
                "graph-relay login a@x.example --device".to_owned(),
                "graph-relay login a@x.example --device",
                Deed::SignIn("a@x.example"),
            ),
            (
                "systemctl restart graph-relay, then".to_owned(),
                "systemctl restart graph-relay",
                Deed::Restart,
            ),
            (
                "graph-relay queue list --filter state=held)".to_owned(),
                "graph-relay queue list --filter state=held",
                Deed::Messages("held"),
            ),
            (
                format!("graph-relay queue retry {id}; or"),
                &format!("graph-relay queue retry {id}"),
                Deed::Message("retry", id.parse().unwrap()),
            ),
            (
                format!("graph-relay queue resend {id} --to ADDRESS; to"),
                &format!("graph-relay queue resend {id} --to ADDRESS"),
                Deed::Message("resend", id.parse().unwrap()),
            ),
            (
                "https://x.example/a?b=c. Then".to_owned(),
                "https://x.example/a?b=c",
                Deed::Visit("https://x.example/a?b=c"),
            ),
        ] {
            let (length, found) = command(&text).unwrap();
            assert_eq!((&text[..length], found), (command_of_it, deed));
        }
        for text in [
            "graph-relay spool check",
            "graph-relay queue retry ID",
            "systemctl stop graph-relay",
            "https://login.example/TENANT/adminconsent",
            "graph-relay",
        ] {
            assert_eq!(command(text), None, "{text}");
        }
    }

    #[test]
    fn every_sign_in_of_the_catalogue_is_found() {
        for entry in catalogue::all() {
            let text = catalogue::named(entry.remedy, "a@x.example", "b@x.example");
            for (at, _) in text.match_indices("graph-relay login") {
                let found = command(&text[at..]).map(|(_, deed)| deed);
                assert_eq!(found, Some(Deed::SignIn("a@x.example")), "{}", entry.code);
            }
        }
    }
}
