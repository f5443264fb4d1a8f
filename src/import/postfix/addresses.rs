//! Maps of addresses: `[[sender]]` for those of senders, `[aliases]` for those of recipients.
//!
//! Postfix looks for the whole address first, then for the name, then for the domain; the relay
//! takes the first section that fits. So the sections are written in that order.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::Reading;
use super::settings::items;
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
/// How many aliases may stand between an alias and the addresses to which it leads.
const MOST_STEPS: usize = 50;
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
    let whole = match value.strip_prefix('@') {
        Some(domain) => format!("somebody@{domain}"),
        None => value.clone(),
    };
    let address = whole.parse::<Address>().ok()?;
    address.is_routable().then_some(value)
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
    /// Those that lead to an address, by their names in lower case.
    good: BTreeMap<String, &'w [String]>,
    /// The others.
    lost: Vec<&'w Alias>,
    /// The maps that have good ones.
    maps: BTreeSet<&'static str>,
}

fn recipients(reading: &mut Reading, default: Option<&str>) {
    const ALIASES: &str = "alias_maps";
    let mut wanted: Vec<Alias> = Vec::new();
    let mut unclear: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for name in RECIPIENTS {
        let (entries, unread) = entries(reading, name);
        // The name of a domain that has addresses in the same map is no recipient.
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
        let path = table.split_once(':').map_or("", |(_, path)| path);
        match reading.folder.read(path) {
            Ok(text) => {
                let aliases = aliases(&text).into_iter();
                wanted.extend(aliases.map(|(key, targets)| alias(key, &targets, ALIASES)));
            }
            Err(why) => unclear.entry(ALIASES).or_default().push(why),
        }
    }
    let resolved = resolved(&wanted, default);
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

/// Finds the aliases that lead to an address. Each leads only to addresses and to aliases that were
/// found before it, so that there are no loops.
fn resolved<'w>(wanted: &'w [Alias], default: Option<&str>) -> Resolved<'w> {
    let mut named_by: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    // For how many aliases each one waits, and how many steps it leads over.
    let mut waiting: Vec<(usize, usize)> = Vec::new();
    let mut ready: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (at, alias) in wanted.iter().enumerate() {
        let names = alias.targets.iter().filter(|it| !reaches(it, default));
        let names: Vec<String> = names.map(|it| it.to_lowercase()).collect();
        waiting.push((names.len(), 0));
        if alias.targets.is_empty() || !is_key(&alias.key) {
            continue;
        }
        if names.is_empty() {
            ready.insert((0, at));
        }
        for name in names {
            named_by.entry(name).or_default().push(at);
        }
    }
    let mut good: BTreeMap<String, &[String]> = BTreeMap::new();
    let mut maps = BTreeSet::new();
    let mut found = BTreeSet::new();
    while let Some((steps, at)) = ready.pop_first() {
        let Some(alias) = wanted.get(at) else {
            continue;
        };
        found.insert(at);
        maps.insert(alias.map);
        let key = alias.key.to_lowercase();
        for next in named_by.remove(&key).unwrap_or_default() {
            if let Some((names, most)) = waiting.get_mut(next) {
                *names = names.saturating_sub(1);
                *most = steps + 1;
                if *names == 0 && *most <= MOST_STEPS {
                    ready.insert((*most, next));
                }
            }
        }
        good.entry(key).or_insert(&alias.targets);
    }
    let lost = wanted.iter().enumerate();
    let lost = lost.filter(|(at, _)| !found.contains(at));
    Resolved {
        good,
        lost: lost.map(|(_, alias)| alias).collect(),
        maps,
    }
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
