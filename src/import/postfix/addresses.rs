//! Maps of addresses: `[[sender]]` for those of senders, `[aliases]` for those of recipients.
//!
//! Postfix looks for the whole address first, then for the name, then for the domain; the relay
//! takes the first section that fits. So the sections are written in that order.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;

use super::Reading;
use super::settings::items;
use super::tables::Table;
use super::tables::WITH_TEXT;
use super::tables::aliases;
use crate::import::draft::Section;
use crate::mail::Address;
use crate::mail::AliasKey;
use crate::mail::Aliases;
use crate::mail::ForwardPath;
use crate::mail::MOST_STEPS;
use crate::mail::Surroundings;

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
    let surroundings = Surroundings {
        hostname: reading.settings.value("myhostname").to_ascii_lowercase(),
        default_domain: default,
        ..Surroundings::default()
    };
    recipients(reading, surroundings);
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
    let somebody = Address::of_domain(&origin);
    if is_here || somebody.is_none_or(|it| !it.is_routable()) {
        reading.change("myorigin", "mail for a name without a domain needs an alias in [aliases]: the relay has no mailboxes of this machine");
        return None;
    }
    reading.found.draft.top("default_recipient_domain", &origin);
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
    let origin = reading.settings.value("myorigin");
    let domains = domains(reading, &origin);
    for name in SENDERS {
        let (entries, unread) = entries(reading, name);
        let mut unclear = unread;
        let mut is_taken = false;
        for (key, value) in entries {
            let patterns = patterns(&domains, &key);
            match target(&origin, &value) {
                Some(from) if !patterns.is_empty() => {
                    is_taken = true;
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
        report(reading, name, is_taken, unclear);
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

/// Adds the rows of a map: what becomes of it, and what somebody has to decide about. If nothing of
/// it is taken over, there are only the latter.
fn report(reading: &mut Reading, name: &str, is_taken: bool, unclear: Vec<String>) {
    let mut unclear = unclear.into_iter();
    if !is_taken && let Some(words) = unclear.next() {
        reading.ask(name, words);
    } else {
        match name {
            "sender_canonical_maps" => reading.take(name, "[[sender]]"),
            "canonical_maps" => reading.take(name, "[[sender]] and [aliases]"),
            "smtp_generic_maps" => reading.change(
                name,
                "[[sender]] for senders. Recipients are not rewritten on their way out",
            ),
            _ => reading.take(name, "[aliases], as far as the aliases lead to addresses"),
        }
    }
    for words in unclear {
        reading.found.ask(name, words);
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

/// The domains of this machine, each of which a name without a domain may have.
fn domains(reading: &Reading, origin: &str) -> Vec<String> {
    let mut domains = vec![origin.to_owned()];
    domains.extend(reading.settings.list("mydestination"));
    domains.retain(|domain| !domain.starts_with('/') && !domain.contains(':'));
    domains.sort();
    domains.dedup();
    domains.truncate(MOST_DOMAINS);
    domains
}

/// The addresses that a key of a map means.
fn patterns(domains: &[String], key: &str) -> Vec<String> {
    if key == "*" || key.contains('@') {
        return vec![key.to_owned()];
    }
    let addresses = domains.iter().map(|domain| format!("{key}@{domain}"));
    addresses.collect()
}

/// An address that a mailbox can have, or a domain as `@contoso.com`.
fn target(origin: &str, value: &str) -> Option<String> {
    let value = match value.contains('@') {
        true => value.to_owned(),
        false => format!("{value}@{origin}"),
    };
    let address = match value.strip_prefix('@') {
        Some(domain) => Address::of_domain(domain),
        None => value.parse().ok(),
    };
    address?.is_routable().then_some(value)
}

/// An alias as a map has it.
struct Alias {
    key: String,
    targets: Vec<String>,
    /// The parameter that names the map.
    map: &'static str,
}

/// What becomes of the aliases of all maps.
struct Resolved<'w> {
    /// Those that lead to an address, by their names.
    good: BTreeMap<&'w str, &'w [String]>,
    /// The others.
    lost: Vec<&'w Alias>,
    /// The maps that have good ones.
    maps: BTreeSet<&'static str>,
}

fn recipients(reading: &mut Reading, surroundings: Surroundings) {
    const ALIASES: &str = "alias_maps";
    let mut wanted: Vec<Alias> = Vec::new();
    let mut unclear: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for name in RECIPIENTS {
        let (entries, unread) = entries(reading, name);
        // The name of a domain that has addresses in the same map is not a recipient.
        let addresses = entries.iter().filter_map(|(key, _)| key.rsplit_once('@'));
        let domains: BTreeSet<String> = addresses.map(|(_, domain)| domain.to_owned()).collect();
        let entries = entries.into_iter();
        let aliases = entries.filter(|(key, _)| !domains.contains(key));
        wanted.extend(aliases.map(|(key, targets)| alias(key, &targets, name)));
        // Those of senders have been reported.
        if !SENDERS.contains(&name) {
            unclear.insert(name, unread);
        }
    }
    for table in reading
        .settings
        .set(ALIASES)
        .iter()
        .flat_map(|it| items(it))
    {
        let (kind, path) = split(&table);
        if !WITH_TEXT.contains(&kind) {
            let words = format!("{table}: write the aliases that you need into [aliases]");
            unclear.entry(ALIASES).or_default().push(words);
            continue;
        }
        match reading.folder.read(path) {
            Ok(text) => {
                let aliases = aliases(&text).into_iter();
                wanted.extend(aliases.map(|(key, targets)| alias(key, &targets, ALIASES)));
            }
            Err(why) => unclear.entry(ALIASES).or_default().push(why),
        }
    }
    let resolved = resolved(&wanted, &surroundings);
    for (map, words) in lost(&resolved) {
        unclear.entry(map).or_default().push(words);
    }
    for name in RECIPIENTS.into_iter().chain([ALIASES]) {
        let unclear = unclear.remove(name).unwrap_or_default();
        match SENDERS.contains(&name) {
            false => report(reading, name, resolved.maps.contains(name), unclear),
            true => unclear
                .into_iter()
                .for_each(|it| reading.found.ask(name, it)),
        }
    }
    write(reading, &resolved);
}

/// The type of a table, and where it is.
fn split(table: &str) -> (&str, &str) {
    let table = table.strip_prefix("proxy:").unwrap_or(table);
    table.split_once(':').unwrap_or_default()
}

fn alias(key: String, targets: &str, map: &'static str) -> Alias {
    Alias {
        key,
        targets: items(targets),
        map,
    }
}

/// Of each map, what to do about the aliases that lead to no address.
fn lost(resolved: &Resolved<'_>) -> BTreeMap<&'static str, String> {
    let mut lost: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Alias { key, targets, map } in &resolved.lost {
        let words = format!("{key} ({})", targets.join(", "));
        lost.entry(map).or_default().push(words);
    }
    let words = |aliases: Vec<String>| {
        format!(
            "these lead to no address that Exchange delivers to: {}. Write aliases into [aliases] for \
             those whose mail is needed; an alias may lead to another one, in at most {MOST_STEPS} \
             steps",
            aliases.join(", ")
        )
    };
    let lost = lost.into_iter();
    lost.map(|(map, aliases)| (map, words(aliases))).collect()
}

/// Writes the aliases that lead to an address in the end.
fn write(reading: &mut Reading, resolved: &Resolved<'_>) {
    if resolved.good.is_empty() {
        return;
    }
    reading.found.draft.within("[aliases]", |section| {
        for (key, targets) in &resolved.good {
            match targets {
                [one] => section.set(key, one),
                several => section.list(key, several),
            };
        }
    });
}

/// Finds the aliases that lead to an address, as the relay resolves them. Of several with one name
/// the first counts, as in Postfix, also if it leads nowhere.
fn resolved<'w>(wanted: &'w [Alias], surroundings: &Surroundings) -> Resolved<'w> {
    let mut known = HashSet::new();
    let (mut entries, mut named, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for alias in wanted {
        match AliasKey::parse(&alias.key) {
            None => lost.push(alias),
            Some(key) => {
                if known.insert(key.clone()) {
                    entries.push((key, targets(alias)));
                    named.push(alias);
                }
            }
        }
    }
    let errors = Aliases::check(&entries, surroundings);
    let bad: BTreeSet<usize> = errors.into_iter().map(|(at, _)| at).collect();
    let (mut good, mut maps) = (BTreeMap::new(), BTreeSet::new());
    for (at, alias) in named.into_iter().enumerate() {
        if bad.contains(&at) {
            lost.push(alias);
        } else {
            maps.insert(alias.map);
            good.insert(alias.key.as_str(), alias.targets.as_slice());
        }
    }
    Resolved { good, lost, maps }
}

/// None if one of them is a program, a file or something else that the relay cannot deliver to.
fn targets(alias: &Alias) -> Vec<ForwardPath> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    let targets = alias.targets.iter().map(|target| {
        let is_name = target.chars().all(is_plain);
        let target = target.parse().ok();
        target.filter(|it| is_name || matches!(it, ForwardPath::Address(_)))
    });
    targets.collect::<Option<_>>().unwrap_or_default()
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
