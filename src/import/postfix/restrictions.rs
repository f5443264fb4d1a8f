//! The restrictions of Postfix's SMTP server (`smtpd_*_restrictions`): whom they let send to other
//! domains, and which of them somebody has to decide about.
//!
//! Promise: a listener lets nobody send who could not before, unless the report says so.

use super::settings::Settings;
use crate::import::Found;

pub(super) const RESTRICTIONS: [&str; 5] = [
    "smtpd_client_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_helo_restrictions",
];
/// What a listener of the relay does by itself.
const SAME: [&str; 8] = [
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "reject_unauth_destination",
    "defer_unauth_destination",
    "reject",
    "permit",
    "defer",
    "permit_auth_destination",
];
/// They end a list for whom nothing before has let through.
const REFUSING: [&str; 4] = [
    "reject",
    "defer",
    "reject_unauth_destination",
    "defer_unauth_destination",
];
/// They refuse some whom networks and passwords let send, or let others send.
const DECIDING: [&str; 6] = [
    "check_",
    "reject_sender_login_mismatch",
    "reject_authenticated_sender_login_mismatch",
    "reject_unauthenticated_sender_login_mismatch",
    "reject_known_sender_login_mismatch",
    "permit_tls_",
];

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// A machine of mynetworks, without a password.
    Networks,
    /// A user with a password, from any machine.
    Users,
}

/// Whether every list of restrictions lets these send to any domain.
pub(super) fn let_send(settings: &Settings, whom: Whom) -> bool {
    let permitting = match whom {
        Whom::Networks => "permit_mynetworks",
        Whom::Users => "permit_sasl_authenticated",
    };
    RESTRICTIONS.iter().all(|name| {
        let items = settings.list(name);
        let mut deciding = items.iter().map(String::as_str);
        let first = deciding
            .find(|item| *item == permitting || *item == "permit" || REFUSING.contains(item));
        first.is_none_or(|item| !REFUSING.contains(&item))
    })
}

/// Adds the row of a list.
pub(super) fn report(found: &mut Found, setting: String, items: &[String]) {
    let others = items.iter().filter(|item| !SAME.contains(&item.as_str()));
    let others: Vec<&str> = others.map(String::as_str).collect();
    if others.is_empty() {
        found.take(setting, "networks and authentication of [[listener]]");
        return;
    }
    let words = format!(
        "the relay does not check {}. Only machines of networks and users with a password can send",
        others.join(" ")
    );
    let is_deciding = |item: &&str| DECIDING.iter().any(|start| item.starts_with(start));
    if others.iter().any(is_deciding) {
        let advice = "If this refuses machines, senders or recipients that you must keep out, take the \
                      machines out of networks, and set senders of [[user]] and recipients_allowed of \
                      [[listener]]";
        found.ask(setting, format!("{words}. {advice}"));
    } else {
        found.lack(setting, words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_send_whom_every_list_lets_through() {
        let cases = [
            ("", true, true),
            (
                "smtpd_relay_restrictions = permit_sasl_authenticated, reject",
                false,
                true,
            ),
            (
                "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
                true,
                false,
            ),
            (
                "smtpd_client_restrictions = permit_mynetworks, reject",
                true,
                false,
            ),
            (
                "smtpd_client_restrictions = permit_sasl_authenticated,reject",
                false,
                true,
            ),
            (
                "smtpd_recipient_restrictions = reject_unauth_destination, permit_mynetworks",
                false,
                false,
            ),
            (
                "smtpd_recipient_restrictions = reject_non_fqdn_sender permit_mynetworks reject",
                true,
                false,
            ),
            (
                "mua = permit_sasl_authenticated reject\nsmtpd_helo_restrictions = $mua",
                false,
                true,
            ),
        ];
        for (text, networks, users) in cases {
            let settings = Settings::parse(text, "/", "mail.contoso.com");
            assert_eq!(let_send(&settings, Whom::Networks), networks, "{text}");
            assert_eq!(let_send(&settings, Whom::Users), users, "{text}");
        }
    }

    #[test]
    fn every_check_of_senders_has_to_be_decided() {
        for name in [
            "reject_sender_login_mismatch",
            "reject_authenticated_sender_login_mismatch",
            "reject_unauthenticated_sender_login_mismatch",
            "reject_known_sender_login_mismatch",
            "check_sender_access",
        ] {
            let mut found = Found::default();
            let items = [name.to_owned(), "reject".to_owned()];
            report(&mut found, "smtpd_sender_restrictions".to_owned(), &items);
            assert_eq!(found.decide.len(), 1, "{name}");
        }
    }
}
