//! How Postfix sends: `relayhost` and the users of `smtp_sasl_password_maps`. Graph replaces
//! both; what remains is the mailbox that sends, which is the name before the password.

use super::Reading;
use super::tables::Table;
use crate::import::FROM_ENTRA;
use crate::import::draft::Section;
use crate::mail::Address;

pub(super) fn add(reading: &mut Reading) {
    let relayhost = reading.settings.value("relayhost");
    match relayhost.is_empty() {
        true => reading.change("relayhost", "Postfix sends to the recipients' servers itself; the relay sends everything through Graph"),
        false => reading.change("relayhost", "Graph replaces the relay host: everything is sent by the mailbox of [[account]]"),
    }
    let users = users(reading);
    let is_by_sender = reading
        .settings
        .is_on("smtp_sender_dependent_authentication");
    reading.take(
        "smtp_sender_dependent_authentication",
        "[[sender]] chooses the mailbox",
    );
    let (senders, hosts): (Vec<_>, Vec<_>) =
        users.into_iter().partition(|(key, _)| key.contains('@'));
    let host = |name: &str| bare(name) == bare(&relayhost);
    let default = hosts.iter().find(|(key, _)| key == "*" || host(key));
    let default = default.or_else(|| hosts.first().filter(|_| hosts.len() == 1));
    let default = default.and_then(|(_, user)| mailbox(user));
    let mut account = Section::new("[[account]]");
    for line in FROM_ENTRA {
        account.missing(line);
    }
    if is_by_sender && !senders.is_empty() {
        account.set("mailbox", "from");
        for (sender, user) in senders {
            match mailbox(&user) {
                Some(user) if !user.eq_ignore_ascii_case(&sender) => {
                    reading.mailboxes.push((sender, user));
                }
                Some(_) => {}
                None => reading.found.ask(
                    format!("{sender} in smtp_sasl_password_maps"),
                    "its user is not an address: add a [[sender]] with the mailbox that sends",
                ),
            }
        }
        if let Some(default) = &default {
            reading.mailboxes.push(("*".to_owned(), default.clone()));
        }
    } else if let Some(default) = &default {
        account.set("mailbox", default);
    } else {
        account.missing("mailbox = \"noreply@contoso.com\"");
    }
    reading.found.draft.add(account);
    let mut words =
        "enter tenant, client_id and the credential of an app registration in Entra: graph-relay \
                     setup shows the steps"
            .to_owned();
    if default.is_none() {
        words.push_str(
            ". Enter the mailbox that sends, or \"from\" for the one of each From address",
        );
    }
    reading.found.ask("[[account]]", words);
}

/// The users of the password map, with the host or the sender that each is for. The passwords
/// end here.
fn users(reading: &mut Reading) -> Vec<(String, String)> {
    const NAME: &str = "smtp_sasl_password_maps";
    let mut users = Vec::new();
    let mut unread = Vec::new();
    for table in reading.settings.list(NAME) {
        match reading.folder.table(&table) {
            Table::Entries(entries) => {
                for (key, value) in entries {
                    match value.split_once(':') {
                        Some((user, _)) => users.push((key, user.to_owned())),
                        None => unread.push(format!(
                            "the entry of {key} has no user before a password: enter the mailbox that sends"
                        )),
                    }
                }
            }
            Table::Unread(why) => unread.push(why),
        }
    }
    reading.change(
        NAME,
        "the name of the user becomes the mailbox that sends, if it is an address. Its password is \
         not taken over: Graph needs an app registration instead",
    );
    for why in unread {
        reading.found.ask(NAME, why);
    }
    reading.lack(
        "smtp_sasl_auth_enable",
        "the relay authenticates to Graph with a token",
    );
    users
}

/// A user that can be a mailbox.
fn mailbox(user: &str) -> Option<String> {
    let address = user.parse::<Address>().ok()?;
    address.is_routable().then(|| user.to_owned())
}

/// A host without brackets and port.
fn bare(host: &str) -> String {
    let host = host.trim_start_matches('[');
    let end = host.find([']', ':']).unwrap_or(host.len());
    host.split_at(end).0.to_ascii_lowercase()
}
