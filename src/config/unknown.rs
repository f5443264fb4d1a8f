//! Keys that no section reads, and the words about them. Which section a key belongs to is
//! known only when all sections have been read.

use std::ops::Range;

/// The keys of all sections that were read.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// Each section by its name as written in the file, with the keys that it can have.
    sections: Vec<(String, Vec<&'static str>)>,
    /// Position and name of each key that its section does not have, and the section's number.
    unknown: Vec<(Range<usize>, String, usize)>,
}

impl Keys {
    /// Adds a section whose keys were all read: those that it can have, and the others that it
    /// has in the file.
    pub(super) fn add(
        &mut self,
        section: String,
        known: Vec<&'static str>,
        unknown: impl Iterator<Item = (Range<usize>, String)>,
    ) {
        let number = self.sections.len();
        let unknown = unknown.map(|(span, key)| (span, key, number));
        self.unknown.extend(unknown);
        self.sections.push((section, known));
    }

    /// Returns what to say about each unknown key.
    pub(super) fn problems(&self) -> Vec<(Range<usize>, String)> {
        let unknown = self.unknown.iter().filter_map(|(span, key, number)| {
            let (section, known) = self.sections.get(*number)?;
            Some((span.clone(), self.words(key, section, known)))
        });
        unknown.collect()
    }

    fn words(&self, key: &str, section: &str, known: &[&'static str]) -> String {
        let place = match section {
            "" => String::new(),
            section => format!(" in {section}"),
        };
        let homes = self.homes(key);
        let nearest = known
            .iter()
            .map(|known| (strsim::damerau_levenshtein(known, key), *known))
            .filter(|(distance, known)| *distance <= 1 + known.len() / 3)
            .min();
        let advice = match (homes.is_empty(), nearest) {
            (false, _) => format!("it belongs to {}", homes.join(" or ")),
            (true, Some((_, near))) => format!("did you mean {near:?}?"),
            (true, None) => "see relay.toml for all keys".to_owned(),
        };
        format!("unknown key {key:?}{place}: {advice}")
    }

    /// The sections that can have this key.
    fn homes(&self, key: &str) -> Vec<&str> {
        let all = self.sections.iter();
        let all = all.filter(|(_, known)| known.contains(&key));
        let mut homes: Vec<&str> = all
            .map(|(section, _)| match section.as_str() {
                "" => "the top of the file, before the first section",
                section => section,
            })
            .collect();
        homes.sort_unstable();
        homes.dedup();
        homes
    }
}
