//! Follows an alias from target to target, to the addresses at which mail for it arrives.

use std::collections::HashMap;
use std::collections::HashSet;

use super::AliasError;
use super::AliasKey;
use super::MOST_STEPS;
use super::Surroundings;
use crate::mail::Address;
use crate::mail::ForwardPath;

/// Resolves aliases.
pub(super) struct Follower<'a> {
    pub(super) entries: &'a [(AliasKey, Vec<ForwardPath>)],
    pub(super) places: HashMap<&'a AliasKey, usize>,
    pub(super) surroundings: &'a Surroundings,
}

/// Addresses in the order in which they were found, each once.
#[derive(Default)]
pub(super) struct Ends {
    pub(super) addresses: Vec<Address>,
    known: HashSet<String>,
}

impl Follower<'_> {
    /// Adds the targets of an entry. `way` has the entries that led to it, ending with
    /// itself; `done` those that are resolved.
    pub(super) fn follow(
        &self,
        at: usize,
        way: &mut Vec<usize>,
        done: &mut HashSet<usize>,
        ends: &mut Ends,
    ) -> Result<(), AliasError> {
        let targets = self.entries.get(at).map_or(&[][..], |(_, targets)| targets);
        if targets.is_empty() {
            return Err(AliasError::NoTarget);
        }
        for target in targets {
            let next = self.next(target);
            match next {
                // An address that its own alias names is a target, as in Postfix: "a@b.c"
                // = ["a@b.c", "copy@b.c"].
                Some(next) if next == at && target.address().is_some() => {
                    self.end(target, ends)?;
                }
                Some(next) if way.contains(&next) => return Err(self.looping(way, next)),
                Some(next) if done.contains(&next) => {}
                Some(_) if way.len() > MOST_STEPS => return Err(AliasError::TooLong),
                Some(next) => {
                    way.push(next);
                    self.follow(next, way, done, ends)?;
                    way.pop();
                    done.insert(next);
                }
                None => self.end(target, ends)?,
            }
        }
        Ok(())
    }

    /// The next entry, if there is one.
    fn next(&self, target: &ForwardPath) -> Option<usize> {
        let find = |path: &ForwardPath| {
            let keys = self.surroundings.keys(path);
            keys.iter().find_map(|key| self.places.get(key).copied())
        };
        find(target).or_else(|| match target {
            ForwardPath::Name(name) => find(&self.surroundings.completed(name)?.into()),
            ForwardPath::Address(_) => None,
        })
    }

    fn end(&self, target: &ForwardPath, ends: &mut Ends) -> Result<(), AliasError> {
        let address = match target {
            ForwardPath::Address(address) => Some(address.unquoted()),
            ForwardPath::Name(name) => self.surroundings.completed(name),
        };
        let Some(address) = address else {
            return Err(AliasError::NoSuchName(target.to_string()));
        };
        if self.surroundings.reaches(&address).is_err() {
            return Err(AliasError::Unreachable(address));
        }
        if ends.known.insert(address.key()) {
            ends.addresses.push(address);
        }
        Ok(())
    }

    fn looping(&self, way: &[usize], back: usize) -> AliasError {
        let names = way.iter().chain([&back]).filter_map(|at| {
            let (key, _) = self.entries.get(*at)?;
            Some(match key {
                AliasKey::Name(text) | AliasKey::Address(text) => text.clone(),
                AliasKey::Domain(domain) => format!("@{domain}"),
            })
        });
        AliasError::Loop(names.collect::<Vec<_>>().join(", then "))
    }
}
