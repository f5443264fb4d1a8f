//! Follows aliases from target to target, to the addresses at which mail for them arrives.
//!
//! Whether an alias is valid depends on no order, and is found in time linear in the number of
//! targets: files with many thousand aliases are read too.

use std::collections::HashMap;
use std::collections::HashSet;

use super::AliasError;
use super::AliasKey;
use super::MOST_STEPS;
use super::Surroundings;
use super::Unreachable;
use crate::mail::Address;
use crate::mail::ForwardPath;

/// Aliases whose targets are found.
pub(super) struct Follower<'a> {
    entries: &'a [(AliasKey, Vec<ForwardPath>)],
    /// Where the targets of each entry lead.
    steps: Vec<Result<Vec<Step>, AliasError>>,
    /// The entries that lead to addresses only, in at most [`MOST_STEPS`] steps.
    good: HashSet<usize>,
}

/// Where a target leads.
enum Step {
    /// To another entry.
    Entry(usize),
    /// To an address that mail can reach.
    End(Address),
}

/// Addresses in the order in which they were found, each once.
#[derive(Default)]
struct Ends {
    addresses: Vec<Address>,
    known: HashSet<String>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(
        entries: &'a [(AliasKey, Vec<ForwardPath>)],
        surroundings: &Surroundings,
    ) -> Self {
        let keys = entries.iter().enumerate();
        let places: HashMap<_, _> = keys.map(|(at, (key, _))| (key, at)).collect();
        let step = |at, target| step(at, target, &places, surroundings);
        let all = entries.iter().enumerate();
        let steps = all.map(|(at, (_, targets))| match targets.is_empty() {
            true => Err(AliasError::NoTarget),
            false => targets.iter().map(|target| step(at, target)).collect(),
        });
        let steps: Vec<Result<Vec<Step>, AliasError>> = steps.collect();
        let good = good(&steps);
        Self {
            entries,
            steps,
            good,
        }
    }

    /// Returns why entries are invalid, each with its position.
    pub(super) fn errors(&self) -> Vec<(usize, AliasError)> {
        // The first target of an invalid entry that is invalid too.
        let steps = self.steps.iter().enumerate();
        let following = steps.filter_map(|(at, steps)| {
            let next = steps.as_ref().ok()?.iter().find_map(|step| match step {
                Step::Entry(next) => (!self.good.contains(next)).then_some(*next),
                Step::End(_) => None,
            });
            Some((at, next?))
        });
        let following: HashMap<usize, usize> = following.collect();
        let bad = (0..self.entries.len()).filter(|at| !self.good.contains(at));
        bad.map(|at| (at, self.error(at, &following))).collect()
    }

    fn error(&self, at: usize, following: &HashMap<usize, usize>) -> AliasError {
        let (mut way, mut last) = (vec![at], at);
        loop {
            if let Some(Err(error)) = self.steps.get(last) {
                return error.clone();
            }
            match following.get(&last) {
                Some(next) if way.contains(next) => return self.looping(&way, *next),
                Some(next) if way.len() <= MOST_STEPS => {
                    way.push(*next);
                    last = *next;
                }
                Some(_) | None => return AliasError::TooLong,
            }
        }
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

    /// Returns the addresses to which a valid entry leads.
    pub(super) fn addresses(&self, at: usize) -> Vec<Address> {
        let mut ends = Ends::default();
        self.add(at, &mut HashSet::new(), &mut ends);
        ends.addresses
    }

    /// Adds the addresses of a valid entry, unless it is `done`.
    fn add(&self, at: usize, done: &mut HashSet<usize>, ends: &mut Ends) {
        if !done.insert(at) {
            return;
        }
        for step in self.steps.get(at).into_iter().flatten().flatten() {
            match step {
                Step::Entry(next) => self.add(*next, done, ends),
                Step::End(address) => {
                    if ends.known.insert(address.key()) {
                        ends.addresses.push(address.clone());
                    }
                }
            }
        }
    }
}

/// Returns the entries that lead to addresses only, in at most [`MOST_STEPS`] steps.
fn good(steps: &[Result<Vec<Step>, AliasError>]) -> HashSet<usize> {
    let mut good = HashSet::new();
    let all = steps.iter().enumerate();
    let all = all.filter_map(|(at, steps)| Some((at, steps.as_ref().ok()?)));
    let mut others: Vec<(usize, &Vec<Step>)> = all.collect();
    // Each round finds those that need one step more. It never finds those in a circle.
    for _ in 0..=MOST_STEPS {
        let is_open = |step: &Step| matches!(step, Step::Entry(next) if !good.contains(next));
        let (open, found): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|(_, steps)| steps.iter().any(is_open));
        good.extend(found.into_iter().map(|(at, _)| at));
        others = open;
    }
    good
}

/// Returns where a target of an entry leads.
fn step(
    at: usize,
    target: &ForwardPath,
    places: &HashMap<&AliasKey, usize>,
    surroundings: &Surroundings,
) -> Result<Step, AliasError> {
    let find = |path: &ForwardPath| {
        let keys = surroundings.keys(path);
        keys.iter().find_map(|key| places.get(key).copied())
    };
    let next = find(target).or_else(|| match target {
        ForwardPath::Name(name) => find(&surroundings.completed(name)?.into()),
        ForwardPath::Address(_) => None,
    });
    match next {
        // An address that its own alias names is a target, as in Postfix: "a@b.c"
        // = ["a@b.c", "copy@b.c"].
        Some(next) if next == at && target.address().is_some() => end(target, surroundings),
        Some(next) => Ok(Step::Entry(next)),
        None => end(target, surroundings),
    }
}

fn end(target: &ForwardPath, surroundings: &Surroundings) -> Result<Step, AliasError> {
    let address = match target {
        ForwardPath::Address(address) => Some(address.unquoted()),
        ForwardPath::Name(name) => surroundings.completed(name),
    };
    let Some(address) = address else {
        return Err(AliasError::NoSuchName(target.to_string()));
    };
    match surroundings.reaches(&address) {
        Ok(()) => Ok(Step::End(address)),
        Err(Unreachable::Odd) => Err(AliasError::Odd(address)),
        Err(Unreachable::Domain | Unreachable::NoDomain) => Err(AliasError::Unreachable(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Aliases;

    type Entry = (AliasKey, Vec<ForwardPath>);

    fn entry(name: &str, targets: &[&str]) -> Entry {
        let targets = targets.iter().map(|it| it.parse().unwrap());
        (AliasKey::parse(name).unwrap(), targets.collect())
    }

    /// Aliases c1 to c60, each of which leads to the next one.
    fn chain() -> Vec<Entry> {
        let mut entries = vec![entry("c60", &["it@contoso.com"])];
        for at in 1..60 {
            let next = format!("c{}", at + 1);
            entries.push(entry(&format!("c{at}"), &[&next]));
        }
        entries
    }

    fn too_long(entries: &[Entry]) -> Vec<&AliasKey> {
        let errors = Aliases::check(entries, &Surroundings::default());
        let keys = errors.into_iter().map(|(at, error)| {
            assert_eq!(error, AliasError::TooLong);
            &entries[at].0
        });
        keys.collect()
    }

    #[test]
    fn the_order_of_targets_does_not_decide_whether_a_chain_is_too_long() {
        for targets in [["c50", "b"], ["b", "c50"], ["c10", "b"], ["b", "c10"]] {
            let mut entries = vec![entry("a", &targets), entry("b", &["c1"])];
            entries.extend(chain());

            let long = too_long(&entries);

            // From c10 there are 50 steps to c60.
            let expected: Vec<AliasKey> = ["a", "b"]
                .map(str::to_owned)
                .into_iter()
                .chain((1..10).map(|at| format!("c{at}")))
                .map(AliasKey::Name)
                .collect();
            assert_eq!(long.len(), expected.len(), "{targets:?}: {long:?}");
            for key in &expected {
                assert!(long.contains(&key), "{targets:?}: {key:?}: {long:?}");
            }
        }
    }

    #[test]
    fn every_alias_of_an_invalid_list_is_invalid() {
        let list = (0..50).map(|at| format!("a{at}@contoso.com"));
        for end in ["it@contoso.com", "nobody", "list", "c1"] {
            let targets = list.clone().chain([end.to_owned()]).collect::<Vec<_>>();
            let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
            let names = (0..100).map(|at| format!("n{at}"));
            let mut entries: Vec<_> = names.map(|name| entry(&name, &["list"])).collect();
            entries.push(entry("list", &targets));
            entries.extend(chain());

            let errors = Aliases::check(&entries, &Surroundings::default());

            let bad = errors.iter().filter(|(at, _)| *at <= 100).count();
            let expected = if end == "it@contoso.com" { 0 } else { 101 };
            assert_eq!(bad, expected, "{end}");
        }
    }
}
