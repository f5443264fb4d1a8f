//! Which account and mailbox a message goes through.
//!
//! Decided when a message is accepted, so that a client whose message nobody
//! would send is told at once, and for all waiting messages when the relay
//! starts, because the accounts may have changed.

use crate::config::Account;
use crate::config::Mailbox;
use crate::mail::Address;
use crate::mail::Lane;

/// The first account, in the file's order, that sends for this author. A
/// message without a usable From counts as one from `default_from`, or from the
/// mailbox.
pub fn route(accounts: &[Account], author: Option<&Address>) -> Option<Lane> {
    accounts.iter().find_map(|account| {
        let fixed = match &account.mailbox {
            Mailbox::Fixed(mailbox) => Some(mailbox),
            Mailbox::From => None,
        };
        let from = author.or(account.default_from.as_ref()).or(fixed)?;
        let served = account.senders.iter().any(|pattern| pattern.matches(from));
        served.then(|| Lane {
            account: account.name.clone(),
            // One mailbox is one lane, however it is spelled.
            mailbox: fixed.unwrap_or(from).canonical(),
        })
    })
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

    fn lane(author: Option<&str>, extra: &str) -> Option<String> {
        let text = format!("{ACCOUNTS}{extra}");
        let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        let author: Option<Address> = author.map(|text| text.parse().unwrap());
        route(&config.accounts, author.as_ref()).map(|lane| lane.to_string())
    }

    #[test]
    fn the_first_account_that_serves_the_author_sends() {
        assert_eq!(
            lane(Some("scanner-3@contoso.com"), "").unwrap(),
            "scan@contoso.com (scanners)"
        );
        assert_eq!(
            lane(Some("Anna@contoso.com"), "").unwrap(),
            "anna@contoso.com (people)"
        );
        assert_eq!(lane(Some("eve@elsewhere.example"), ""), None);
    }

    #[test]
    fn a_message_without_author_is_from_the_mailbox_or_default_from() {
        assert_eq!(lane(None, "").unwrap(), "scan@contoso.com (scanners)");

        let only_people = ACCOUNTS.split("[[account]]").last().unwrap();
        let text = format!("[[account]]{only_people}");
        let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        assert_eq!(route(&config.accounts, None), None);

        let text = format!("{text}\ndefault_from = \"noreply@contoso.com\"");
        let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        assert_eq!(
            route(&config.accounts, None).unwrap().mailbox.as_str(),
            "noreply@contoso.com"
        );
    }
}
