//! What a process and its descendants used, read from /proc.
//!
//! CPU time is utime + stime of every living process of the tree and, with them, the times of the
//! children each has already waited for: so the short-lived processes of Postfix are counted by
//! their master, none is counted twice, and a cgroup isn't needed. Memory is VmHWM, the most that
//! was ever resident, summed over the living processes; pages that processes share are counted once
//! in the proportional set size beside it.

use std::fs;
use std::time::Duration;

/// What a tree of processes used up to now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    /// Sum of VmHWM.
    pub(crate) peak_resident_kib: u64,
    /// Sum of the proportional set sizes now; 0 where that may not be read.
    pub(crate) proportional_kib: u64,
    /// How many processes there are.
    pub(crate) processes: usize,
}

impl Usage {
    /// Reads the tree that begins with this process.
    pub(crate) fn of_tree(root: u32) -> Self {
        let mut usage = Self::default();
        for process in tree(root) {
            usage.cpu += process.cpu();
            usage.peak_resident_kib += number_in_file(process.identity.id, "status", "VmHWM:");
            usage.proportional_kib += number_in_file(process.identity.id, "smaps_rollup", "Pss:");
            usage.processes += 1;
        }
        usage
    }
}

/// A process that can be told from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: u32,
    /// Ticks since boot.
    started: u64,
}

impl Identity {
    /// Whether it is still there.
    pub(crate) fn lives(&self) -> bool {
        Stat::read(self.id).is_some_and(|stat| stat.identity == *self && !stat.ended)
    }
}

/// A process and all its living descendants.
pub(crate) fn identities(root: u32) -> Vec<Identity> {
    tree(root).iter().map(|process| process.identity).collect()
}

/// One line of /proc/ID/stat, as far as it is used.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    identity: Identity,
    /// A zombie: only its exit status is left.
    ended: bool,
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn read(id: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    /// The second field is the command in brackets and may hold anything; the rest is numbers.
    fn parse(line: &str) -> Option<Self> {
        let id = line.split(' ').next()?.parse().ok()?;
        let (_, rest) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| fields.get(at)?.trim_end().parse::<u64>().ok();
        Some(Self {
            identity: Identity {
                id,
                started: number(19)?,
            },
            ended: *fields.first()? == "Z",
            parent: fields.get(1)?.parse().ok()?,
            // utime, stime, cutime, cstime: fields 14 to 17 of proc(5); starttime is field 22.
            ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        })
    }

    fn cpu(&self) -> Duration {
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        Duration::from_millis(self.ticks * 1000 / ticks_per_second)
    }
}

/// The process, its children, theirs, and so on.
fn tree(root: u32) -> Vec<Stat> {
    let mut others: Vec<Stat> = all_ids().filter_map(Stat::read).collect();
    let mut tree = Vec::new();
    let mut parents = vec![root];
    if let Some(at) = others
        .iter()
        .position(|process| process.identity.id == root)
    {
        tree.push(others.swap_remove(at));
    }
    while let Some(parent) = parents.pop() {
        let (children, rest) = others
            .into_iter()
            .partition::<Vec<_>, _>(|process| process.parent == parent);
        parents.extend(children.iter().map(|child| child.identity.id));
        tree.extend(children);
        others = rest;
    }
    tree
}

fn all_ids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The number after `key` in a file of /proc/ID; 0 if it can't be read.
fn number_in_file(id: u32, file: &str, key: &str) -> u64 {
    fs::read_to_string(format!("/proc/{id}/{file}"))
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.strip_prefix(key)?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_a_command_with_brackets() {
        let line = "77 (a) b (c)) S 12 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 4096\n";

        let stat = Stat::parse(line).unwrap();

        assert_eq!(
            stat,
            Stat {
                identity: Identity {
                    id: 77,
                    started: 99
                },
                ended: false,
                parent: 12,
                ticks: 26
            }
        );
    }

    #[test]
    fn this_process_is_in_its_own_tree() {
        let usage = Usage::of_tree(std::process::id());

        assert!(usage.processes >= 1);
        assert!(usage.peak_resident_kib > 0);
    }
}
