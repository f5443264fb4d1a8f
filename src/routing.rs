//! Decides which account and mailbox send a message.
//!
//! This happens when the relay accepts a message, so that a client learns at once if no
//! account would send it, and again for all waiting messages when the relay starts, because
//! the accounts may have changed.

use crate::config::Account;
use crate::config::FromRule;
use crate::config::Mailbox;
use crate::config::Senders;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::Origin;
use crate::mail::ReversePath;

/// Returns the first account, in the file's order, that sends for this author, after
/// `[[sender]]` has changed it; for a message without a usable From, for the
/// [`substitute`]. If `[[sender]]` names the mailbox that sends, returns the first account
/// that sends from it. A user with an account of its own uses no other.
pub fn route(accounts: &[Account], senders: &Senders, origin: &Origin) -> Option<Destination> {
    if origin.is_report {
        return route_report(accounts, origin);
    }
    let bound = origin.bound.as_ref();
    let may = |account: &&Account| bound.is_none_or(|bound| account.name == *bound);
    let rule = origin.author.as_ref().and_then(|it| senders.rule(it));
    let mailbox = rule.and_then(|rule| rule.mailbox.as_ref());
    accounts.iter().filter(may).find_map(|account| {
        let author = origin.author.as_ref();
        let from = from(account, senders, author, &origin.reverse_path)?;
        if !account.serves(&from) {
            return None;
        }
        let destination = destination(account, mailbox.unwrap_or(&from));
        let is_asked = mailbox.is_none_or(|mailbox| mailbox.key() == destination.mailbox.key());
        is_asked.then_some(destination)
    })
}

/// A report goes through the account of the message that it is about, whatever its
/// `senders` say: its From is that account's own. If the account no longer exists, any
/// other is better than none.
fn route_report(accounts: &[Account], origin: &Origin) -> Option<Destination> {
    let from = origin.author.as_ref()?;
    let same = |account: &&Account| origin.bound.as_ref() == Some(&account.name);
    let account = accounts.iter().find(same);
    account
        .or_else(|| accounts.iter().find(|account| account.serves(from)))
        .or_else(|| accounts.first())
        .map(|account| destination(account, from))
}

/// Returns account and mailbox for this From.
pub fn destination(account: &Account, from: &Address) -> Destination {
    let mailbox = match &account.mailbox {
        Mailbox::Fixed(mailbox) => mailbox,
        Mailbox::From => from,
    };
    Destination {
        account: account.name.clone(),
        // One mailbox is one destination, however it is spelled.
        mailbox: mailbox.canonical(),
    }
}

/// Returns the From with which a message leaves through an account, or nothing if only the
/// mailbox is possible: always with `from = "mailbox"`; otherwise the author after
/// `[[sender]]`, or else the [`substitute`].
pub fn goes_out_as(
    account: &Account,
    senders: &Senders,
    author: Option<&Address>,
    reverse_path: &ReversePath,
) -> Option<Address> {
    match account.submission.from {
        FromRule::Keep => from(account, senders, author, reverse_path),
        FromRule::Mailbox => None,
    }
}

/// Returns the author that decides about the account. With `from = "mailbox"` a message is
/// sent for the author, and not as the author.
fn from(
    account: &Account,
    senders: &Senders,
    author: Option<&Address>,
    reverse_path: &ReversePath,
) -> Option<Address> {
    let author = author.and_then(|author| senders.outgoing(author));
    author.or_else(|| substitute(account, reverse_path).cloned())
}

/// Returns the From that an account gives a message without a usable one: `default_from`,
/// or else the mailbox. With `mailbox = "from"` that is the reverse-path, if it can be a
/// mailbox.
pub fn substitute<'a>(account: &'a Account, reverse_path: &'a ReversePath) -> Option<&'a Address> {
    let otherwise = match &account.mailbox {
        Mailbox::Fixed(mailbox) => Some(mailbox),
        Mailbox::From => reverse_path.address().filter(|path| path.is_routable()),
    };
    account.default_from.as_ref().or(otherwise)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const ACCOUNTS: &str = r#"
        [[account]]
        name = "scanners"
        tenant = "contoso.com"
        client_id = "1"
        client_secret_env = "PATH"
        mailbox = "scan@contoso.com"
        senders = ["scan*@contoso.com"]

        [[account]]
        name = "people"
        tenant = "contoso.com"
        client_id = "1"
        client_secret_env = "PATH"
        mailbox = "from"
        senders = ["*@contoso.com"]
    "#;

    fn destination(author: Option<&str>, extra: &str) -> Option<String> {
        let text = format!("{ACCOUNTS}{extra}");
        let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        let author: Option<Address> = author.map(|text| text.parse().unwrap());
        let origin = Origin {
            author,
            reverse_path: ReversePath::Null,
            bound: None,
            is_report: false,
        };
        route(&config.accounts, &config.senders, &origin).map(|destination| destination.to_string())
    }

    /// An account with `mailbox = "from"` only.
    fn mailbox(reverse_path: &str, extra: &str) -> Option<String> {
        let only_people = ACCOUNTS.split("[[account]]").last().unwrap();
        let text = format!("[[account]]{only_people}\n{extra}");
        let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        let path = match reverse_path {
            "" => ReversePath::Null,
            text => ReversePath::Address(text.parse().unwrap()),
        };
        let origin = Origin {
            author: None,
            reverse_path: path,
            bound: None,
            is_report: false,
        };
        let destination = route(&config.accounts, &config.senders, &origin);
        destination.map(|destination| destination.mailbox.as_str().to_owned())
    }

    #[test]
    fn the_first_account_that_serves_the_author_sends() {
        assert_eq!(
            destination(Some("scanner-3@contoso.com"), "").unwrap(),
            "scan@contoso.com (scanners)"
        );
        assert_eq!(
            destination(Some("Anna@contoso.com"), "").unwrap(),
            "anna@contoso.com (people)"
        );
        assert_eq!(destination(Some("eve@elsewhere.example"), ""), None);
    }

    #[test]
    fn routing_uses_the_replaced_sender_and_its_configured_mailbox() {
        let senders = r#"
            [[sender]]
            match = "@old.example"
            from = "@contoso.com"
            [[sender]]
            match = "root@nas.local"
            from = "scanner-1@contoso.com"
            [[sender]]
            match = "sales@contoso.com"
            mailbox = "anna@contoso.com"
            [[sender]]
            match = "ben@contoso.com"
            mailbox = "scan@contoso.com"
        "#;
        for (author, expected) in [
            ("carl@old.example", Some("carl@contoso.com (people)")),
            ("scan2@old.example", Some("scan@contoso.com (scanners)")),
            ("root@nas.local", Some("scan@contoso.com (scanners)")),
            ("sales@contoso.com", Some("anna@contoso.com (people)")),
            ("ben@contoso.com", Some("scan@contoso.com (people)")),
            // Without a section it is as if there were no From.
            ("backup@nas.local", Some("scan@contoso.com (scanners)")),
            ("eve@elsewhere.example", None),
        ] {
            assert_eq!(
                destination(Some(author), senders).as_deref(),
                expected,
                "{author}"
            );
        }
    }

    #[test]
    fn a_report_stays_with_its_account_whoever_may_send_there() {
        let config = Config::parse(ACCOUNTS, Path::new("relay.toml")).unwrap();
        let report = |author: &str, bound: &str| {
            let origin = Origin {
                author: author.parse().ok(),
                reverse_path: ReversePath::Null,
                bound: Some(bound.to_owned()),
                is_report: true,
            };
            route(&config.accounts, &config.senders, &origin)
                .unwrap()
                .to_string()
        };

        let scanners = "scan@contoso.com (scanners)";
        assert_eq!(report("it@contoso.com", "scanners"), scanners);
        assert_eq!(
            report("scan@contoso.com", "people"),
            "scan@contoso.com (people)"
        );
        assert_eq!(report("it@contoso.com", "gone"), "it@contoso.com (people)");
        assert_eq!(report("it@fabrikam.com", "gone"), scanners);
    }

    #[test]
    fn a_message_without_author_is_from_default_from_the_mailbox_or_the_reverse_path() {
        assert_eq!(
            destination(None, "").unwrap(),
            "scan@contoso.com (scanners)"
        );
        let default_from = "default_from = \"noreply@contoso.com\"";
        for (reverse_path, extra, expected) in [
            ("Anna@contoso.com", "", Some("anna@contoso.com")),
            (
                "anna@contoso.com",
                default_from,
                Some("noreply@contoso.com"),
            ),
            ("", default_from, Some("noreply@contoso.com")),
            ("", "", None),
            ("anna@elsewhere.example", "", None),
            ("anna@contoso.com.local", "", None),
        ] {
            assert_eq!(
                mailbox(reverse_path, extra).as_deref(),
                expected,
                "{reverse_path} {extra}"
            );
        }
    }
}
