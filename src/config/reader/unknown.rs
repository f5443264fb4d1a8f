//! Keys that no section reads, and the words about them. Which section a key belongs to is
//! known only when all sections have been read.

use std::ops::Range;

use super::variables::OF_FILE;
use super::variables::Unread;

/// The keys of all sections that were read.
#[derive(Debug, Default)]
pub(super) struct Keys {
    owners: Vec<Owner>,
    unknown: Vec<Unknown>,
}

/// A section, with the keys that it can have.
#[derive(Debug)]
pub(super) struct Owner {
    /// As written in the file: `[limits]`; empty for the top.
    pub(super) name: String,
    /// What the names of its variables begin with.
    pub(super) prefix: String,
    pub(super) known: Vec<&'static str>,
    /// Those of the known keys that are sections.
    pub(super) sections: Vec<&'static str>,
}

/// A key that its section does not have.
#[derive(Debug)]
struct Unknown {
    span: Range<usize>,
    key: String,
    /// For a variable: what follows the key in its name.
    rest: Option<String>,
    /// The number of its section.
    owner: usize,
}

impl Keys {
    /// Adds a section whose keys were all read, and the others that it has in the file and in
    /// the environment.
    pub(super) fn add(
        &mut self,
        owner: Owner,
        in_file: impl Iterator<Item = (Range<usize>, String)>,
        in_variables: Vec<Unread>,
    ) {
        let number = self.owners.len();
        self.unknown.extend(in_file.map(|(span, key)| Unknown {
            span,
            key,
            rest: None,
            owner: number,
        }));
        self.unknown
            .extend(in_variables.into_iter().map(|it| Unknown {
                span: it.span,
                key: it.key,
                rest: Some(it.rest),
                owner: number,
            }));
        self.owners.push(owner);
    }

    /// Returns every section with its keys.
    #[cfg(test)]
    pub(super) fn known(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let owners = self.owners.iter();
        owners.flat_map(|owner| {
            let keys = owner.known.iter();
            let keys = keys.filter(|key| !owner.sections.contains(key));
            keys.map(|key| (owner.name.as_str(), *key))
        })
    }

    /// Returns what to say about each unknown key.
    pub(super) fn problems(&self) -> Vec<(Range<usize>, String)> {
        let unknown = self.unknown.iter().filter_map(|unknown| {
            let owner = self.owners.get(unknown.owner)?;
            let words = match &unknown.rest {
                None => self.of_file(&unknown.key, owner),
                Some(rest) => self.of_variable(&unknown.key, rest, owner),
            };
            Some((unknown.span.clone(), words))
        });
        unknown.collect()
    }

    fn of_file(&self, key: &str, owner: &Owner) -> String {
        let homes = self.homes(key);
        let homes: Vec<&str> = homes.iter().map(|home| home.in_words()).collect();
        let known = owner.known.iter().copied();
        let advice = match (homes.is_empty(), nearest(key, known)) {
            (false, _) => format!("it belongs to {}", homes.join(" or ")),
            (true, Some(near)) => format!("did you mean {near:?}?"),
            (true, None) => owner.keys_in_words(),
        };
        format!("unknown key {key:?}{}: {advice}", owner.place())
    }

    fn of_variable(&self, key: &str, rest: &str, owner: &Owner) -> String {
        let named = |owner: &Owner, key: &str, rest: &str| {
            format!("{}__{}{rest}", owner.prefix, key.to_ascii_uppercase())
        };
        if owner.known.contains(&key) {
            let name = named(owner, key, "");
            return format!("{key} is not a section: did you mean {name}?");
        }
        let (bare, file) = match key.strip_suffix(OF_FILE) {
            Some(bare) if rest.is_empty() => (bare, "_FILE"),
            Some(_) | None => (key, ""),
        };
        let homes = self.homes(bare).into_iter();
        let mut meant: Vec<String> = homes.map(|home| named(home, bare, file)).collect();
        let mut sections = owner.sections.iter();
        let section = sections.find_map(|section| {
            let key = key.strip_prefix(section)?.strip_prefix('_')?;
            Some(format!("{}__{key}", named(owner, section, "")).to_ascii_uppercase() + rest)
        });
        meant.extend(section);
        if meant.is_empty() {
            let of_rest = |known: &&str| rest.is_empty() != owner.sections.contains(known);
            let known = owner.known.iter().filter(|it| of_rest(it)).copied();
            let whole = nearest(key, known.clone()).map(|near| named(owner, near, rest));
            let of_file = || nearest(bare, known).map(|near| named(owner, near, file));
            meant.extend(whole.or_else(of_file));
        }
        let advice = match meant.is_empty() {
            false => format!("did you mean {}?", meant.join(" or ")),
            true => owner.keys_in_words(),
        };
        format!("unknown key {key:?}{}: {advice}", owner.place())
    }

    /// The sections that can have this key, each kind once.
    fn homes(&self, key: &str) -> Vec<&Owner> {
        let all = self.owners.iter();
        let mut homes: Vec<&Owner> = all.filter(|owner| owner.known.contains(&key)).collect();
        homes.sort_by_key(|home| home.in_words());
        homes.dedup_by_key(|home| &home.name);
        homes
    }
}

impl Owner {
    fn in_words(&self) -> &str {
        match self.name.as_str() {
            "" => "the top of the file, before the first section",
            name => name,
        }
    }

    /// All keys and sections that could stand there instead.
    fn keys_in_words(&self) -> String {
        let mut known = self.known.clone();
        known.sort_unstable();
        let kind = match self.sections.is_empty() {
            true => "keys",
            false => "keys and sections",
        };
        format!("the {kind} there are {}", known.join(", "))
    }

    fn place(&self) -> String {
        match self.name.as_str() {
            "" => String::new(),
            name => format!(" in {name}"),
        }
    }
}

/// The known key that was probably meant. A short one has to be more alike than a long one:
/// `colour` is no `cloud`.
fn nearest(key: &str, known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let near = known
        .map(|known| (strsim::damerau_levenshtein(known, key), known))
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .min();
    near.map(|(_, known)| known)
}
