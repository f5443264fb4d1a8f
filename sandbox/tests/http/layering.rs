//! The shape of the stand-in's own code: no circle of files that use each other, and no file or folder
//! past its ceiling.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Past this a file has a seam.
const LONGEST_FILE: usize = 500;
/// Past this a folder has two subjects.
const FULLEST_FOLDER: usize = 12;

#[test]
fn no_files_use_each_other_in_a_circle() {
    let uses = uses();
    assert!(uses["lib.rs"].contains("server/shared.rs"));
    for file in uses.keys() {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(from) = open.pop() {
            let more = uses[from].iter().filter(|to| reached.insert(*to));
            open.extend(more);
        }

        assert!(
            !reached.contains(file),
            "{file} is in a circle: {reached:?}"
        );
    }
}

#[test]
fn files_and_folders_have_their_ceilings() {
    let mut folders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{path} has {lines} lines");
        let folder = Path::new(&path).parent().unwrap();
        *folders.entry(folder.to_owned()).or_default() += 1;
    }
    for (folder, files) in folders {
        assert!(files <= FULLEST_FOLDER, "{} has {files}", folder.display());
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{path} has no doc");
    }
}

/// The files that each file uses, itself left out.
fn uses() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let of = |path: &String, text: &str| {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        assert!(!code.contains("super::"), "{path} names a file by super::");
        let code = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let named = code.flat_map(|line| line.split("crate::").skip(1));
        let mut used: BTreeSet<_> = named.map(|name| file(name, &sources)).collect();
        used.remove(path);
        used
    };
    sources
        .iter()
        .map(|(path, text)| (path.clone(), of(path, text)))
        .collect()
}

/// The file of a name such as `graph::errors::Refusal`: the longest beginning that is one.
fn file(name: &str, sources: &BTreeMap<String, String>) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let name = name.split(|c| !is_name(c)).next().unwrap();
    let mut modules: Vec<_> = name.split("::").collect();
    while !modules.is_empty() {
        let path = modules.join("/");
        for path in [format!("{path}.rs"), format!("{path}/mod.rs")] {
            if sources.contains_key(&path) {
                return path;
            }
        }
        modules.pop();
    }
    "lib.rs".to_owned()
}

/// The text of each file, by its path within `src`.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}
