//! The restrictions of Postfix's SMTP server (`smtpd_*_restrictions`): whom they let send to other
//! domains, and which of them somebody has to decide about.
//!
//! Promise: a listener lets nobody send who could not before, unless the report says so.

use std::collections::BTreeSet;

use super::asks_a_list;
use super::settings::Settings;
use super::settings::is_of_name;
use crate::import::Found;

pub(super) const RESTRICTIONS: [&str; 7] = [
    "smtpd_client_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions",
];
/// The parameter that names the classes: lists that others can contain by their name.
pub(super) const CLASSES: &str = "smtpd_restriction_classes";
/// What a listener of the relay does by itself.
const SAME: [&str; 9] = [
    "permit_mynetworks",
    "permit_sasl_authenticated",
    "reject_unauth_destination",
    "defer_unauth_destination",
    "reject",
    "permit",
    "defer",
    "defer_if_permit",
    "permit_auth_destination",
];
/// They end a list for whom nothing before has let through.
const REFUSING: [&str; 5] = [
    "reject",
    "defer",
    "defer_if_permit",
    "reject_unauth_destination",
    "defer_unauth_destination",
];
/// They refuse some whom networks and passwords let send, or let others send.
const DECIDING: [&str; 7] = [
    "check_",
    "reject_sender_login_mismatch",
    "reject_authenticated_sender_login_mismatch",
    "reject_unauthenticated_sender_login_mismatch",
    "reject_known_sender_login_mismatch",
    "reject_plaintext_session",
    "permit_tls_",
];

/// Classes may contain classes, but only as far as this.
const DEEPEST: usize = 100;

/// How the names of restrictions begin.
const NAMED: [&str; 5] = ["check_", "reject_", "permit_", "defer_", "warn_if_reject"];

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// A machine of mynetworks, without a password.
    Networks,
    /// A user with a password, from any machine.
    Users,
    /// A user with a password, from a machine of mynetworks.
    UsersOfNetworks,
}

/// A list whose classes are being replaced by their restrictions.
struct Opening<'s> {
    settings: &'s Settings,
    /// What a table without a name before it means.
    check: &'static str,
    classes: BTreeSet<String>,
    /// The classes that are being opened, each within the one before.
    within: Vec<String>,
    /// The classes that have been opened. For one message, a second time has the same result.
    done: BTreeSet<String>,
    items: Vec<String>,
}

impl<'s> Opening<'s> {
    fn of(settings: &'s Settings, name: &str) -> Self {
        let mut opening = Self {
            settings,
            check: own_check(name),
            classes: settings.list(CLASSES).into_iter().collect(),
            within: Vec::new(),
            done: BTreeSet::new(),
            items: Vec::new(),
        };
        opening.open(name);
        opening
    }

    fn open(&mut self, name: &str) {
        let mut before = String::new();
        for item in self.settings.list(name) {
            if !self.classes.contains(&item) {
                let item = folded(item);
                // The table of a check stands behind the name of the check.
                let is_named = before.starts_with("check_") || asks_a_list(&before);
                if item.contains(':') && !is_named && !is_unresolved(&item) {
                    self.items.push(self.check.to_owned());
                }
                self.items.push(item.clone());
                before = item;
            } else if self.within.len() >= DEEPEST || self.within.contains(&item) {
                // Postfix stops at a class that contains itself with an error, which refuses the
                // message.
                self.items.push("reject".to_owned());
            } else if !self.done.contains(&item) {
                self.within.push(item.clone());
                self.open(&item);
                self.within.pop();
                self.done.insert(item);
            }
        }
    }
}

/// The check that a list carries out for a table alone, such as `hash:/etc/postfix/access`, as if
/// the name of the check stood before it. In a class, the list that contains the class counts.
fn own_check(list: &str) -> &'static str {
    match list {
        "smtpd_client_restrictions" => "check_client_access",
        "smtpd_helo_restrictions" => "check_helo_access",
        "smtpd_sender_restrictions" => "check_sender_access",
        // Postfix stops at the table with an error, which refuses the message.
        "smtpd_data_restrictions" | "smtpd_end_of_data_restrictions" => "reject",
        // Also in smtpd_relay_restrictions.
        _ => "check_recipient_access",
    }
}

/// A name in lower case, because Postfix compares names without case. Tables and files remain as
/// they are.
fn folded(item: String) -> String {
    match item.contains([':', '/', '{']) {
        true => item,
        false => item.to_ascii_lowercase(),
    }
}

/// Whether an item contains a comparison, which only Postfix can carry out: it may be anything.
fn is_unresolved(item: &str) -> bool {
    item.contains("${") || item.contains("$(")
}

/// Whether an item ends a list for whom nothing before has let through, as far as is known.
fn refuses(item: &str) -> bool {
    REFUSING.contains(&item) || is_unresolved(item)
}

/// The restrictions of a list, with those of a class in the place of its name.
pub(super) fn restrictions_of(settings: &Settings, name: &str) -> Vec<String> {
    Opening::of(settings, name).items
}

/// The classes that lists of restrictions contain, also within other classes.
pub(super) fn classes_of(settings: &Settings) -> BTreeSet<String> {
    let lists = RESTRICTIONS.iter();
    lists
        .flat_map(|name| Opening::of(settings, name).done)
        .collect()
}

/// Whether every list of restrictions lets these send to any domain.
pub(super) fn let_send(settings: &Settings, whom: Whom) -> bool {
    let permitting: &[&str] = match whom {
        Whom::Networks => &["permit_mynetworks"],
        Whom::Users => &["permit_sasl_authenticated"],
        Whom::UsersOfNetworks => &["permit_mynetworks", "permit_sasl_authenticated"],
    };
    RESTRICTIONS.iter().all(|name| {
        let items = restrictions_of(settings, name);
        let mut deciding = items.iter().map(String::as_str);
        let permits = |item: &str| item == "permit" || permitting.contains(&item);
        let first = deciding.find(|item| permits(item) || refuses(item));
        first.is_none_or(|item| !refuses(item))
    })
}

/// Adds the row of a list, whose items are those of [`restrictions_of`].
pub(super) fn report(found: &mut Found, setting: String, items: &[String]) {
    let others = items.iter().filter(|item| !SAME.contains(&item.as_str()));
    let others: Vec<&str> = others.map(String::as_str).collect();
    if others.is_empty() {
        found.take(setting, "networks and authentication of [[listener]]");
        return;
    }
    let words = format!(
        "the relay does not check {}. Only machines of networks and users with a password can send",
        names(&others)
    );
    let is_deciding =
        |item: &&str| DECIDING.iter().any(|start| item.starts_with(start)) || is_unresolved(item);
    if others.iter().any(is_deciding) {
        let advice = "If this refuses machines, senders or recipients that you must keep out, take the \
                      machines out of networks, and set senders of [[user]] and recipients_allowed of \
                      [[listener]]";
        found.warn(setting, format!("{words}. {advice}"));
    } else {
        found.lack(setting, words);
    }
}

/// The names of restrictions. Of what stands behind a name, variables are replaced here, and it may
/// have a secret: the setting shows it as it is written.
fn names(items: &[&str]) -> String {
    let is_name = |item: &&str| {
        NAMED.iter().any(|start| item.starts_with(start)) && item.chars().all(is_of_name)
    };
    let mut seen = BTreeSet::new();
    let names = items.iter().copied().filter(is_name);
    let mut names: Vec<&str> = names.filter(|name| seen.insert(*name)).collect();
    if names.is_empty() {
        names.push("this list");
    }
    names.join(", ")
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
                "smtpd_data_restrictions = permit_sasl_authenticated, reject",
                false,
                true,
            ),
            (
                "smtpd_end_of_data_restrictions = permit_mynetworks, hash:/a",
                true,
                false,
            ),
            (
                "mua = permit_sasl_authenticated reject\nsmtpd_helo_restrictions = $mua",
                false,
                true,
            ),
        ];
        assert_let_send(&cases);
    }

    #[test]
    fn users_of_networks_need_each_list_to_permit_one_of_the_two() {
        for (text, can_send) in [
            ("", true),
            ("smtpd_relay_restrictions = reject", false),
            (
                "smtpd_client_restrictions = permit_mynetworks, reject\n\
                 smtpd_relay_restrictions = permit_sasl_authenticated, reject",
                true,
            ),
            (
                "smtpd_client_restrictions = permit_mynetworks, reject\n\
                 smtpd_relay_restrictions = reject_unauth_destination",
                false,
            ),
        ] {
            let settings = parsed(text);
            let is_let = let_send(&settings, Whom::UsersOfNetworks);
            assert_eq!(is_let, can_send, "{text}");
        }
    }

    #[test]
    fn names_of_restrictions_have_no_case() {
        assert_let_send(&[
            (
                "smtpd_relay_restrictions = Permit_SASL_Authenticated, REJECT",
                false,
                true,
            ),
            (
                "smtpd_client_restrictions = PERMIT_MYNETWORKS Defer",
                true,
                false,
            ),
        ]);
        let settings = parsed("smtpd_client_restrictions = CHECK_Client_Access hash:/etc/Hosts");
        let items = restrictions_of(&settings, "smtpd_client_restrictions");
        assert_eq!(items, ["check_client_access", "hash:/etc/Hosts"]);
    }

    #[test]
    fn a_class_stands_for_its_restrictions() {
        let main = "smtpd_restriction_classes = only_sasl, outer, endless, twice, unused\n\
                    only_sasl = permit_sasl_authenticated, reject\nouter = reject_non_fqdn_sender only_sasl\n\
                    endless = permit_sasl_authenticated, endless, permit\n\
                    twice = only_helo only_helo $more\nmore = permit_mynetworks, reject\nunused = reject\n";
        for (list, networks, users) in [
            ("only_sasl", false, true),
            ("permit_mynetworks, only_sasl", true, true),
            ("outer, permit_mynetworks", false, true),
            ("endless", false, true),
            ("twice, twice", true, false),
        ] {
            let text = format!("{main}smtpd_recipient_restrictions = {list}");
            assert_let_send(&[(text.as_str(), networks, users)]);
        }
        let settings = parsed(&format!("{main}smtpd_helo_restrictions = outer, twice"));
        let classes = classes_of(&settings);
        let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
        assert_eq!(classes, ["only_sasl", "outer", "twice"]);
    }

    #[test]
    fn a_long_list_of_restrictions_is_read_and_so_is_a_long_chain_of_classes() {
        let names: Vec<String> = (0..20_000).map(|at| format!("check_{at}")).collect();
        let names = names.join(" ");
        let chain = (0..20_000).map(|at| format!("c{at} = c{}\n", at + 1));
        let chain: String = chain.collect();
        let classes: Vec<String> = (0..20_000).map(|at| format!("c{at}")).collect();
        let classes = classes.join(" ");
        let main = format!("{CLASSES} = {classes}\n{chain}smtpd_helo_restrictions = c0 {names}");

        let items = restrictions_of(&parsed(&main), "smtpd_helo_restrictions");

        assert_eq!(items.len(), 20_001);
        assert_eq!(items[0], "reject");
        let mut found = Found::default();
        report(&mut found, String::new(), &items);
        assert!(found.decide[0].words.contains("check_0, check_1, check_2,"));
    }

    #[test]
    fn a_table_alone_is_the_check_of_its_list() {
        let class = "smtpd_restriction_classes = tables\ntables = hash:/b\n";
        for (list, check) in [
            ("smtpd_client_restrictions", "check_client_access"),
            ("smtpd_helo_restrictions", "check_helo_access"),
            ("smtpd_sender_restrictions", "check_sender_access"),
            ("smtpd_relay_restrictions", "check_recipient_access"),
            ("smtpd_recipient_restrictions", "check_recipient_access"),
        ] {
            let short = format!("{class}{list} = check_x hash:/a hash:/A, tables, permit");
            let long = format!("{list} = check_x hash:/a {check} hash:/A {check} hash:/b permit");

            let items = restrictions_of(&parsed(&short), list);

            assert_eq!(items, restrictions_of(&parsed(&long), list), "{list}");
            let mut found = Found::default();
            report(&mut found, list.to_owned(), &items);
            assert_eq!(found.decide.len(), 1, "{list}");
            let names = format!("does not check check_x, {check}. Only");
            assert!(found.decide[0].words.contains(&names), "{list}");
        }
    }

    #[test]
    fn the_words_about_a_restriction_have_nothing_that_stands_behind_its_name() {
        let text = "pol_secret = canary\nsmtpd_client_restrictions = check_policy_service \
                    inet:$pol_secret.host:1, check_ccert_access $pol_secret $pol_secret, reject";
        let list = "smtpd_client_restrictions";
        let items = restrictions_of(&parsed(text), list);
        let mut found = Found::default();

        report(&mut found, list.to_owned(), &items);

        let words = &found.decide[0].words;
        assert!(words.contains("check_policy_service, check_ccert_access. Only"));
        assert!(!words.contains("canary"), "{words}");
    }

    #[test]
    fn a_deferral_refuses_as_a_refusal_does() {
        assert_let_send(&[
            (
                "smtpd_client_restrictions = permit_mynetworks, defer_if_permit",
                true,
                false,
            ),
            (
                "smtpd_data_restrictions = Defer_If_Permit, permit_mynetworks",
                false,
                false,
            ),
        ]);
    }

    #[test]
    fn a_comparison_may_refuse_and_has_to_be_decided() {
        let list = "smtpd_client_restrictions";
        let item = "${{$mail_version} < {3.5} ? {permit} : {reject}}";
        let text = format!("{list} = permit_mynetworks {item}");
        assert_let_send(&[(text.as_str(), true, false)]);

        let items = restrictions_of(&parsed(&text), list);

        assert_eq!(items, ["permit_mynetworks", item]);
        let mut found = Found::default();
        report(&mut found, list.to_owned(), &items);
        assert_eq!(found.decide.len(), 1);
    }

    #[test]
    fn every_check_of_senders_and_of_tls_has_to_be_decided() {
        for name in [
            "reject_sender_login_mismatch",
            "reject_authenticated_sender_login_mismatch",
            "reject_unauthenticated_sender_login_mismatch",
            "reject_known_sender_login_mismatch",
            "check_sender_access",
            "reject_plaintext_session",
        ] {
            let mut found = Found::default();
            let items = [name.to_owned(), "reject".to_owned()];
            report(&mut found, "smtpd_sender_restrictions".to_owned(), &items);
            assert_eq!(found.decide.len(), 1, "{name}");
            assert!(found.decide[0].may_open, "{name}");
        }
    }

    fn parsed(text: &str) -> Settings {
        Settings::parse(text, "/", "mail.contoso.com")
    }

    /// Each case: a main.cf, whether networks can send, and whether users can.
    fn assert_let_send(cases: &[(&str, bool, bool)]) {
        for (text, networks, users) in cases {
            let settings = parsed(text);
            assert_eq!(let_send(&settings, Whom::Networks), *networks, "{text}");
            assert_eq!(let_send(&settings, Whom::Users), *users, "{text}");
        }
    }
}
