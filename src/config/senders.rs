//! `[[sender]]`: rules that replace From addresses or choose the mailbox that sends.
//! `delivery/attempt/compose.rs` applies them to a message, `routing.rs` chooses the mailbox.

use std::sync::Arc;

use serde::Deserialize;

use super::Account;
use super::Mailbox;
use super::aliases::pattern;
use super::reader::Section;
use crate::mail::Address;
use crate::mail::Pattern;

/// The sections in the file's order: the first that matches an address counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    rules: Arc<[SenderRule]>,
}

/// A rule for some addresses in From and Sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderRule {
    /// The addresses.
    addresses: Pattern,
    /// The new address; `None` keeps the old one.
    from: Option<NewSender>,
    /// The mailbox that sends; `None` lets the new address decide.
    pub mailbox: Option<Address>,
}

/// The new address of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NewSender {
    Address(Address),
    /// The same name with another domain.
    Domain(String),
}

impl Senders {
    /// Returns the section that counts for an address.
    pub fn rule(&self, address: &Address) -> Option<&SenderRule> {
        let mut rules = self.rules.iter();
        rules.find(|rule| rule.addresses.matches(address))
    }

    /// Returns the new address, if there is one.
    pub fn replaced(&self, address: &Address) -> Option<Address> {
        let new = match self.rule(address)?.from.as_ref()? {
            NewSender::Address(new) => new.clone(),
            NewSender::Domain(domain) => {
                // No mailbox has a name that needs quotes.
                let name = address.canonical();
                let new = format!("{}@{domain}", name.local_part()).parse::<Address>();
                new.ok().filter(Address::is_routable)?
            }
        };
        (new.key() != address.key()).then_some(new)
    }

    /// Returns the From with which a message leaves; `None` if no mailbox can send as that.
    pub fn outgoing(&self, author: &Address) -> Option<Address> {
        let new = self.replaced(author);
        new.or_else(|| author.is_routable().then(|| author.clone()))
    }
}

/// `[[sender]]`.
pub(super) fn read(top: &mut Section<'_>, accounts: &[Account]) -> Senders {
    let sections = top.tables("sender").into_iter();
    let rules = sections.filter_map(|mut section| {
        let rule = rule(&mut section, accounts);
        section.finish();
        rule
    });
    Senders {
        rules: rules.collect(),
    }
}

fn rule(section: &mut Section<'_>, accounts: &[Account]) -> Option<SenderRule> {
    let addresses = section.required::<String>("match");
    let addresses = addresses.and_then(|marked| {
        let read = pattern(&marked.value);
        if let Err(wrong) = &read {
            section.problem_at(&marked.span, format!("match: {wrong}"));
        }
        read.ok()
    });
    let from = section.optional::<NewSender>("from");
    let mailbox = section.marked::<Address>("mailbox");
    if !section.has("from") && !section.has("mailbox") {
        section.problem(
            "[[sender]] needs \"from\" (the new address) or \"mailbox\" (the mailbox that sends)",
        );
    }
    if let Some(mailbox) = &mailbox {
        let sends = |account: &Account| match &account.mailbox {
            Mailbox::From => true,
            Mailbox::Fixed(fixed) => fixed.key() == mailbox.value.key(),
        };
        if !accounts.is_empty() && !accounts.iter().any(sends) {
            let message = format!(
                "mailbox: no [[account]] sends from {}: give one this mailbox, or mailbox = \"from\"",
                mailbox.value
            );
            section.problem_at(&mailbox.span, message);
        }
    }
    Some(SenderRule {
        addresses: addresses?,
        from,
        mailbox: mailbox.map(|marked| marked.value),
    })
}

impl<'de> Deserialize<'de> for NewSender {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (name, domain) = text.rsplit_once('@').unwrap_or((&text, ""));
        let somebody = if name.is_empty() { "somebody" } else { name };
        let address = format!("{somebody}@{domain}").parse::<Address>();
        match address {
            Ok(address) if address.is_routable() && name.is_empty() => {
                Ok(Self::Domain(domain.to_owned()))
            }
            Ok(address) if address.is_routable() => Ok(Self::Address(address)),
            Ok(_) | Err(_) => Err(serde::de::Error::custom(format!(
                "{text:?} cannot be the address of a mailbox: write one like \
                 \"noreply@contoso.com\", or \"@contoso.com\" to change only the domain"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    const ACCOUNT: &str = "[[account]]\ntenant = \"contoso.com\"\nclient_id = \"1\"\n\
        client_secret_env = \"PATH\"\nmailbox = \"from\"\n";

    #[test]
    fn the_first_section_that_fits_says_what_an_address_becomes() {
        let text = format!(
            "{ACCOUNT}[[sender]]\nmatch = \"boss@old.example\"\nfrom = \"ceo@contoso.com\"\n\
             [[sender]]\nmatch = \"@old.example\"\nfrom = \"@contoso.com\"\n\
             [[sender]]\nmatch = \"root@*\"\nfrom = \"it@contoso.com\"\n\
             [[sender]]\nmatch = \"sales@contoso.com\"\nmailbox = \"anna@contoso.com\"\n"
        );
        let senders = Config::parse(&text, Path::new("relay.toml"))
            .unwrap()
            .senders;
        let outgoing = |address: &str| {
            let outgoing = senders.outgoing(&address.parse().unwrap());
            outgoing.map(String::from)
        };

        for (address, expected) in [
            ("Boss@Old.example", Some("ceo@contoso.com")),
            ("anna@old.example", Some("anna@contoso.com")),
            ("\"anna\"@old.example", Some("anna@contoso.com")),
            ("\"a b\"@old.example", None),
            ("root@web01", Some("it@contoso.com")),
            ("root@contoso.com", Some("it@contoso.com")),
            ("sales@contoso.com", Some("sales@contoso.com")),
            ("backup@nas.local", None),
        ] {
            assert_eq!(outgoing(address).as_deref(), expected, "{address}");
        }
        let rule = senders.rule(&"Sales@contoso.com".parse().unwrap()).unwrap();
        assert_eq!(rule.mailbox.as_ref().unwrap().as_str(), "anna@contoso.com");
    }
}
