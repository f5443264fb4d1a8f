//! Maps of addresses: `[[sender]]` for those of senders, `[aliases]` for those of recipients.
//!
//! Postfix looks for the whole address first, then for the name, then for the domain; the relay
//! takes the first section that fits. So the sections are written in that order.

use std::collections::BTreeMap;

use super::Reading;
use super::tables::Table;
use super::tables::aliases;
use crate::import::draft::Section;
use crate::mail::Address;

/// Maps of senders, and of both.
const SENDERS: [&str; 3] = [
    "sender_canonical_maps",
    "canonical_maps",
    "smtp_generic_maps",
];
/// Maps of recipients.
const RECIPIENTS: [&str; 3] = [
    "recipient_canonical_maps",
    "canonical_maps",
    "virtual_alias_maps",
];
/// More domains of this machine than these are not written out for a name.
const MOST_DOMAINS: usize = 10;

pub(super) fn add(reading: &mut Reading) {
    let default = default_domain(reading);
    senders(reading);
    recipients(reading, default.as_deref());
}

/// The domain that Postfix adds to a name, unless that is this machine.
fn default_domain(reading: &mut Reading) -> Option<String> {
    let written = reading.settings.value("myorigin");
    let origin = match written.starts_with('/') {
        true => match reading.folder.read(&written) {
            Ok(text) => text.lines().next()?.trim().to_owned(),
            Err(why) => {
                let words = format!("{why}. Or enter its domain into default_recipient_domain");
                reading.ask("myorigin", words);
                return None;
            }
        },
        false => written,
    };
    let is_here = reading.settings.list("mydestination").contains(&origin);
    let somebody = format!("somebody@{origin}").parse::<Address>();
    if is_here || !somebody.is_ok_and(|it| it.is_routable()) {
        reading.change("myorigin", "mail for a name without a domain needs an alias in [aliases]: the relay has no mailboxes of this machine");
        return None;
    }
    if reading.settings.has("myorigin") {
        reading.found.draft.top("default_recipient_domain", &origin);
    }
    reading.take(
        "myorigin",
        "default_recipient_domain. Senders keep the domain that their program writes",
    );
    Some(origin)
}

/// A rule that is being put together.
#[derive(Default)]
struct Rule {
    from: Option<String>,
    mailbox: Option<String>,
}

fn senders(reading: &mut Reading) {
    let mut rules: BTreeMap<(u8, String), Rule> = BTreeMap::new();
    for name in SENDERS {
        let (entries, unread) = entries(reading, name);
        let mut unclear = unread;
        for (key, value) in entries {
            let patterns = patterns(reading, &key);
            match target(reading, &value) {
                Some(from) if !patterns.is_empty() => {
                    for pattern in patterns {
                        let rule = rules.entry((rank(&pattern), pattern)).or_default();
                        rule.from.get_or_insert_with(|| from.clone());
                    }
                }
                _ => unclear.push(format!(
                    "{key} {value}: write a [[sender]] for it, with an address that can send"
                )),
            }
        }
        match name {
            "sender_canonical_maps" => reading.take(name, "[[sender]]"),
            "canonical_maps" => reading.take(name, "[[sender]] and [aliases]"),
            _ => reading.change(
                name,
                "[[sender]] for senders. Recipients are not rewritten on their way out",
            ),
        }
        for words in unclear {
            reading.found.ask(name, words);
        }
    }
    for (pattern, mailbox) in std::mem::take(&mut reading.mailboxes) {
        let rule = rules.entry((rank(&pattern), pattern)).or_default();
        rule.mailbox = Some(mailbox);
    }
    for ((_, pattern), rule) in rules {
        let mut section = Section::new("[[sender]]");
        section.set("match", &pattern);
        if let Some(from) = &rule.from {
            section.set("from", from);
        }
        if let Some(mailbox) = &rule.mailbox {
            section.set("mailbox", mailbox);
        }
        reading.found.draft.add(section);
    }
}

/// Whole addresses, then domains, then everybody.
fn rank(pattern: &str) -> u8 {
    match pattern {
        "*" => 2,
        _ if pattern.starts_with('@') => 1,
        _ => 0,
    }
}

/// The addresses that a key of a map means.
fn patterns(reading: &Reading, key: &str) -> Vec<String> {
    if key == "*" || key.contains('@') {
        return vec![key.to_owned()];
    }
    let mut domains = vec![reading.settings.value("myorigin")];
    domains.extend(reading.settings.list("mydestination"));
    domains.retain(|domain| !domain.starts_with('/') && !domain.contains(':'));
    domains.sort();
    domains.dedup();
    domains.truncate(MOST_DOMAINS);
    domains
        .iter()
        .map(|domain| format!("{key}@{domain}"))
        .collect()
}

/// An address that a mailbox can have, or a domain as `@contoso.com`.
fn target(reading: &Reading, value: &str) -> Option<String> {
    let value = match value.contains('@') {
        true => value.to_owned(),
        false => format!("{value}@{}", reading.settings.value("myorigin")),
    };
    let whole = match value.strip_prefix('@') {
        Some(domain) => format!("somebody@{domain}"),
        None => value.clone(),
    };
    let address = whole.parse::<Address>().ok()?;
    address.is_routable().then_some(value)
}

fn recipients(reading: &mut Reading, default: Option<&str>) {
    let mut wanted: Vec<(String, Vec<String>, &'static str)> = Vec::new();
    for name in RECIPIENTS {
        let (entries, unread) = entries(reading, name);
        let marks = entries.clone();
        let is_domain = |key: &str| {
            marks
                .iter()
                .any(|(other, _)| other.ends_with(&format!("@{key}")))
        };
        for (key, value) in entries {
            if !is_domain(&key) {
                wanted.push((key, super::settings::items(&value), name));
            }
        }
        if name != "canonical_maps" {
            reading.take(name, "[aliases]");
        }
        for words in unread {
            reading.found.ask(name, words);
        }
    }
    for table in reading
        .settings
        .list("alias_maps")
        .iter()
        .filter(|_| reading.settings.has("alias_maps"))
    {
        let path = table.split_once(':').map_or("", |(_, path)| path);
        match reading.folder.read(path) {
            Ok(text) => wanted.extend(
                aliases(&text)
                    .into_iter()
                    .map(|(name, targets)| (name, super::settings::items(&targets), "alias_maps")),
            ),
            Err(why) => reading.found.ask("alias_maps", why),
        }
    }
    reading.take(
        "alias_maps",
        "[aliases], as far as the aliases lead to addresses",
    );
    write(reading, wanted, default);
}

/// Writes the aliases that lead to an address in the end, and reports the others.
fn write(
    reading: &mut Reading,
    wanted: Vec<(String, Vec<String>, &'static str)>,
    default: Option<&str>,
) {
    let mut good: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut waiting = wanted;
    loop {
        let before = good.len();
        waiting.retain(|(key, targets, _)| {
            let is_known = |target: &String| {
                good.contains_key(&target.to_lowercase()) || reaches(target, default)
            };
            let is_good = is_key(key) && !targets.is_empty() && targets.iter().all(is_known);
            if is_good {
                good.entry(key.to_lowercase())
                    .or_insert_with(|| targets.clone());
            }
            !is_good
        });
        if good.len() == before {
            break;
        }
    }
    let mut lost: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, targets, map) in waiting {
        let targets = targets.join(", ");
        lost.entry(map)
            .or_default()
            .push(format!("{key} ({targets})"));
    }
    for (map, lost) in lost {
        let words = format!(
            "these lead to no address that Exchange delivers to: {}. Write aliases into [aliases] for \
             those whose mail is needed; an alias may lead to another one",
            lost.join(", ")
        );
        reading.found.ask(map, words);
    }
    if good.is_empty() {
        return;
    }
    reading.found.draft.within("[aliases]", |section| {
        for (key, targets) in &good {
            match targets.as_slice() {
                [one] => section.set(key, one),
                several => section.list(key, several),
            };
        }
    });
}

/// What the relay accepts as the name of an alias.
fn is_key(key: &str) -> bool {
    let whole = match key.strip_prefix('@') {
        Some(domain) => format!("somebody@{domain}"),
        None => key.to_owned(),
    };
    whole.parse::<crate::mail::ForwardPath>().is_ok()
}

fn reaches(target: &str, default: Option<&str>) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    match target.contains('@') {
        true => target.parse::<Address>().is_ok_and(|it| it.is_routable()),
        false => default.is_some() && target.chars().all(is_plain),
    }
}

/// The entries of all tables of a parameter, and why others cannot be read.
fn entries(reading: &Reading, name: &str) -> (Vec<(String, String)>, Vec<String>) {
    let (mut entries, mut unread) = (Vec::new(), Vec::new());
    for table in reading.settings.list(name) {
        match reading.folder.table(&table) {
            Table::Entries(found) => entries.extend(found),
            Table::Unread(why) => unread.push(format!("{table}: {why}")),
        }
    }
    (entries, unread)
}
