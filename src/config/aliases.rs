//! The recipients of messages: `default_recipient_domain`, `internal_domains`, `[aliases]`,
//! and the keys of `[[listener]]` and `[[user]]` that limit or redirect recipients.
//!
//! Aliases are resolved here (`mail/aliases/`), so that a loop or an unreachable target is
//! found before any mail is accepted.

use std::collections::HashSet;

use serde::Deserialize;

use super::Account;
use super::Limits;
use super::Mailbox;
use super::Notify;
use super::reader::Marked;
use super::reader::Section;
use crate::mail::Address;
use crate::mail::AliasKey;
use crate::mail::Aliases;
use crate::mail::ForwardPath;
use crate::mail::Pattern;
use crate::mail::RecipientPolicy;
use crate::mail::Surroundings;

/// The other settings that matter for recipients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) hostname: &'a str,
    pub(super) accounts: &'a [Account],
    pub(super) notify: &'a Notify,
    pub(super) limits: &'a Limits,
}

/// The domains, which are at the top of the file.
pub(super) fn surroundings(top: &mut Section<'_>, context: Context<'_>) -> Surroundings {
    let mut surroundings = Surroundings {
        hostname: context.hostname.to_ascii_lowercase(),
        default_domain: None,
        internal_domains: internal_domains(top),
        postmaster: postmaster(context).cloned(),
    };
    let default = top.marked::<String>("default_recipient_domain");
    if let Some(default) = default {
        let is_odd = |it: char| it == '@' || it.is_whitespace();
        let somebody = Address::of_domain(&default.value);
        if somebody.is_some_and(|it| surroundings.reaches(&it).is_ok()) {
            surroundings.default_domain = Some(default.value);
        } else if default.value.contains(is_odd) {
            let message = "default_recipient_domain: write a domain without @ or blanks, like \
                           \"contoso.com\"";
            top.problem_at(&default.span, message);
        } else {
            let message = format!(
                "default_recipient_domain: the domain {:?} cannot receive mail: write a public one \
                 like \"contoso.com\", or add it to internal_domains if Exchange accepts it",
                default.value
            );
            top.problem_at(&default.span, message);
        }
    }
    surroundings
}

fn internal_domains(top: &mut Section<'_>) -> Vec<String> {
    let Some(domains) = top.marked::<Vec<String>>("internal_domains") else {
        return Vec::new();
    };
    let mut known = Vec::new();
    for domain in &domains.value {
        let key = domain_key(domain).filter(|it| it.contains('.') && !it.starts_with('['));
        if let Some(key) = key {
            known.push(key);
        } else {
            let message = format!(
                "internal_domains: {domain:?} is not the name of a domain: write it like \
                 \"corp.local\""
            );
            top.problem_at(&domains.span, message);
        }
    }
    known
}

/// A domain in the form of [`Address::key`].
fn domain_key(domain: &str) -> Option<String> {
    Some(Address::of_domain(domain)?.domain_key())
}

/// Returns who receives mail for `Postmaster` (RFC 5321 4.5.1): the address that gets all
/// reports, or else the mailbox that sends.
fn postmaster<'a>(context: Context<'a>) -> Option<&'a Address> {
    if let Notify::Address(address) = context.notify {
        return Some(address);
    }
    let of = |account: &'a Account| match &account.mailbox {
        Mailbox::Fixed(mailbox) => Some(mailbox),
        Mailbox::From => account.default_from.as_ref(),
    };
    let mut mailboxes = context.accounts.iter().filter_map(of);
    mailboxes.find(|mailbox| mailbox.is_routable())
}

/// `[aliases]`.
pub(super) fn read(
    top: &mut Section<'_>,
    surroundings: Surroundings,
    context: Context<'_>,
) -> Aliases {
    let section = top.table("aliases");
    let mut places = Vec::new();
    let mut entries = Vec::new();
    let mut known = HashSet::new();
    for (name, targets) in section.entries::<OneOrSeveral>() {
        let Some(key) = key(&section, &name) else {
            continue;
        };
        if known.contains(&key) {
            let message = format!("there are two aliases for {:?}", name.value);
            section.problem_at(&name.span, message);
            continue;
        }
        if let Some(targets) = self::targets(&section, &name, &targets) {
            places.push((name, targets.span.clone()));
            known.insert(key.clone());
            entries.push((key, targets.value));
        }
    }
    let is_name = |(key, _): &(AliasKey, _)| matches!(key, AliasKey::Name(_));
    if let Some((name, span)) = entries
        .iter()
        .position(is_name)
        .and_then(|at| places.get(at))
        && has_mailboxes(context, &surroundings)
    {
        let (name, hostname) = (&name.value, context.hostname);
        section.warning_at(
            span,
            &format!(
                "{name}: mail for {name}@{hostname} goes to this alias too, because hostname is \
                 {hostname}, which is also the domain of mailboxes: give the relay a hostname of \
                 its own, like \"relay.{hostname}\""
            ),
        );
    }
    let most = &context.limits.recipients;
    match Aliases::new(&entries, surroundings) {
        Ok(aliases) => {
            if aliases.widest() > *most {
                section.problem(format!(
                    "an alias leads to {} recipients, but limits.recipients allows only {most} per \
                     message: raise the limit, or use a distribution list",
                    aliases.widest()
                ));
            }
            aliases
        }
        Err(errors) => {
            for (at, error) in errors {
                if let Some((name, span)) = places.get(at) {
                    section.problem_at(span, format!("{}: {error}", name.value));
                }
            }
            Aliases::default()
        }
    }
}

/// Whether the relay's own host name, for which every alias of a name is valid too, is also
/// a domain with mailboxes, as far as the file says.
fn has_mailboxes(context: Context<'_>, surroundings: &Surroundings) -> bool {
    let Some(somebody) = Address::of_domain(context.hostname) else {
        return false;
    };
    let is_there = |address: &Address| address.domain_key() == somebody.domain_key();
    let serves = |account: &Account| {
        let fixed = match &account.mailbox {
            Mailbox::Fixed(mailbox) => Some(mailbox),
            Mailbox::From => None,
        };
        let mut senders = account.senders.iter().filter(|it| it.names_domain());
        fixed.into_iter().chain(&account.default_from).any(is_there)
            || senders.any(|it| it.is_wide() && it.matches(&somebody))
    };
    let default = surroundings.default_domain.as_deref().and_then(domain_key);
    default.is_some_and(|it| it == somebody.domain_key()) || context.accounts.iter().any(serves)
}

/// The targets of an alias, as written.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "write an address like \"it@contoso.com\", or a list of them"
)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

fn key(section: &Section<'_>, name: &Marked<String>) -> Option<AliasKey> {
    // As in patterns elsewhere in the file, "*@nas.local" means everybody there.
    let text = name.value.as_str();
    let text = text
        .strip_prefix('*')
        .filter(|rest| rest.starts_with('@'))
        .unwrap_or(text);
    let key = AliasKey::parse(text);
    if text == "default_recipient_domain" || text == "internal_domains" {
        let message =
            format!("{text} is not an alias: move it to the top, before the first section");
        section.problem_at(&name.span, message);
        return None;
    }
    if key.is_none() {
        let message = format!(
            "{text:?} is not a recipient: write a name like root, an address like \
             \"root@nas.local\", or a domain like \"@nas.local\""
        );
        section.problem_at(&name.span, message);
    }
    key
}

fn targets(
    section: &Section<'_>,
    name: &Marked<String>,
    written: &Marked<OneOrSeveral>,
) -> Option<Marked<Vec<ForwardPath>>> {
    let texts = match &written.value {
        OneOrSeveral::One(text) => std::slice::from_ref(text),
        OneOrSeveral::Several(texts) => texts,
    };
    if texts.is_empty() {
        let message = format!("{}: nobody would receive this mail", name.value);
        section.problem_at(&written.span, message);
        return None;
    }
    let mut targets = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(target) => targets.push(target),
            Err(error) => {
                let several = text.matches('@').count() > 1;
                let like = if several {
                    "write several addresses as a list, [\"it@contoso.com\", \"anna@contoso.com\"]"
                } else {
                    "write an address like \"it@contoso.com\""
                };
                let message = format!("{}: {text:?}: {error}: {like}", name.value);
                section.problem_at(&written.span, message);
                return None;
            }
        }
    }
    Some(Marked {
        value: targets,
        span: written.span.clone(),
    })
}

/// `recipients_allowed` and `redirect_all_to`.
pub(super) fn policy(
    section: &mut Section<'_>,
    reaches: impl Fn(&Address) -> bool,
) -> RecipientPolicy {
    let allowed = section.marked::<Vec<String>>("recipients_allowed");
    let redirect = section.marked::<Address>("redirect_all_to");
    let allowed = allowed.map(|allowed| {
        if allowed.value.is_empty() {
            let message = "recipients_allowed: the list is empty, so nobody could receive mail: name \
                           who may, like \"*@contoso.com\", or leave it out to allow everybody";
            section.problem_at(&allowed.span, message);
        }
        let patterns = allowed.value.iter().map(|text| pattern(text));
        for wrong in patterns.clone().filter_map(Result::err) {
            section.problem_at(&allowed.span, format!("recipients_allowed: {wrong}"));
        }
        patterns.filter_map(Result::ok).collect()
    });
    let policy = RecipientPolicy {
        allowed,
        redirect: redirect.as_ref().map(|redirect| redirect.value.clone()),
    };
    if let Some(Marked { value, span }) = redirect {
        let message = if !reaches(&value) {
            "redirect_all_to: this address cannot receive mail: write one with a public domain"
        } else if !policy.allows(&value) {
            "redirect_all_to: recipients_allowed does not allow this address: no mail would be \
             accepted"
        } else {
            return policy;
        };
        section.problem_at(&span, message);
    }
    policy
}

/// A pattern of whole addresses; `@contoso.com` means everybody there.
pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    match text.strip_prefix('@') {
        Some(domain) if !domain.is_empty() => Ok(Pattern::from(format!("*@{domain}"))),
        None if text == "*" || text.contains('@') => Ok(Pattern::from(text.to_owned())),
        Some(_) | None => Err(format!(
            "{text:?} is not an address: write one like \"it@contoso.com\", or \"*@contoso.com\" for \
             everybody in a domain"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    const ACCOUNT: &str = "[[account]]\ntenant = \"contoso.com\"\nclient_id = \"1\"\n\
        client_secret_env = \"PATH\"\nmailbox = \"noreply@contoso.com\"\n";

    #[test]
    fn twenty_thousand_aliases_are_read_and_the_one_that_is_there_twice_is_found() {
        let aliases = (0..20_000).map(|at| format!("user{at} = \"user{at}@contoso.com\"\n"));
        let text = format!("{ACCOUNT}[aliases]\n{}", aliases.collect::<String>());

        let config = Config::parse(&text, Path::new("relay.toml")).unwrap();
        let twice = text + "USER0 = \"it@contoso.com\"\n";
        let error = Config::parse(&twice, Path::new("relay.toml")).unwrap_err();

        let found = config.aliases.resolve(&"User19999".parse().unwrap());
        assert_eq!(found.unwrap()[0].as_str(), "user19999@contoso.com");
        let message = "there are two aliases for \"USER0\"";
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.problems.len(), 1);
    }
}
