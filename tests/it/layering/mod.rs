//! Checks the structure of the code: the table in the doc of `src/lib.rs` (who may import
//! whom), the length of files, the size of folders, that files form no circles
//! (`circles.rs` says what a circle is), the words in texts, and the reasons of ignored
//! tests. No test is needed for the sandbox: it is a separate package, which cannot use
//! the relay.

mod circles;
mod examples;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// The most lines of a file; a longer one can be split.
const LONGEST_FILE: usize = 500;
/// The most files of a folder; a larger one can be divided.
const MOST_FILES: usize = 12;

type Table = Vec<(String, BTreeSet<String>)>;

#[test]
fn every_row_of_the_table_names_only_lower_rows() {
    let table = table();
    assert!(table.len() > 10, "the table was not found");
    for (at, (module, uses)) in table.iter().enumerate() {
        let below: BTreeSet<String> = table[at + 1..]
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        let wrong: Vec<_> = uses.difference(&below).collect();
        assert!(
            wrong.is_empty(),
            "{module} names {wrong:?}, which are not below it"
        );
    }
}

#[test]
fn modules_use_exactly_the_modules_that_the_table_allows() {
    let table: BTreeMap<_, _> = table().into_iter().collect();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        let allowed = table
            .get(&module)
            .unwrap_or_else(|| panic!("{module} has no row"));
        for name in imports(&text) {
            if name == module {
                continue;
            }
            assert!(
                allowed.contains(&name),
                "{} uses {name}, which the table does not allow to {module}",
                path.display()
            );
            used.entry(module.clone()).or_default().insert(name);
        }
    }
    for (module, allowed) in &table {
        let unused: Vec<_> = allowed
            .difference(used.entry(module.clone()).or_default())
            .collect();
        assert!(
            unused.is_empty(),
            "{module} may use {unused:?} and does not"
        );
    }
}

#[test]
fn no_file_is_longer_than_the_limit() {
    // A language of the admin page is one table in one file, so that a new one is one file.
    let is_language =
        |path: &Path| path.ends_with("texts/english.rs") || path.ends_with("texts/german.rs");
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(
            is_language(&path) || lines <= LONGEST_FILE,
            "{} has {lines} lines",
            path.display()
        );
    }
}

#[test]
fn no_folder_has_more_files_than_the_limit() {
    let mut files: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for (path, _) in sources() {
        *files.entry(path.parent().unwrap().to_owned()).or_default() += 1;
    }
    for (folder, files) in files {
        assert!(
            files <= MOST_FILES,
            "{} has {files} files",
            folder.display()
        );
    }
}

#[test]
fn files_form_no_circles() {
    let root = root().join("src");
    let files = sources().into_iter().map(|(path, text)| {
        let path = path.strip_prefix(&root).unwrap();
        (path.to_owned(), text)
    });
    let circles = circles::circles(&files.collect::<Vec<_>>());
    let found: Vec<_> = circles
        .iter()
        .map(|circle| circle.ties.join("\n"))
        .collect();
    assert!(found.is_empty(), "circles:\n{}", found.join("\n\n"));
}

/// Words that sound translated, so that a reader has to read them twice.
#[test]
fn names_of_tests_are_claims() {
    const QUESTIONS: [&str; 5] = ["what_", "who_", "whoever_", "which_", "whose_"];
    for folder in ["src", "sandbox/src", "tests/it"] {
        for (path, text) in files_below(folder) {
            let mut is_test = false;
            for line in text.lines().map(str::trim_start) {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                let Some((_, name)) = line.split_once("fn ").filter(|_| is_test) else {
                    continue;
                };
                let question = QUESTIONS.iter().find(|word| name.starts_with(*word));
                assert_eq!(question, None, "{}: {line}", path.display());
                is_test = false;
            }
        }
    }
}

#[test]
fn no_text_uses_words_that_need_a_second_reading() {
    const PHRASES: [&str; 21] = [
        " but for ",
        " mend ",
        " mended",
        " anew",
        "burns no",
        "put up with",
        "is told of",
        "of before.",
        "of then.",
        "by the book",
        "strange hand",
        "put aside",
        "beyond all measure",
        "who may not",
        "is no trouble",
        "are no trouble",
        "has its end",
        "whatever becomes of",
        "no more than so many",
        "so many at once",
        "a message is told",
    ];
    let mut texts: Vec<(PathBuf, String)> = ["README.md", "CONTRIBUTING.md", "relay.toml"]
        .map(|name| {
            (
                PathBuf::from(name),
                fs::read_to_string(root().join(name)).unwrap(),
            )
        })
        .into();
    for folder in ["src", "sandbox/src", "tests/it"] {
        texts.extend(files_below(folder));
    }
    texts.extend(with_ending("docs/src", "md"));
    for (path, text) in texts {
        if path.ends_with("layering/mod.rs") {
            continue;
        }
        let text = text.to_lowercase();
        for phrase in PHRASES {
            if text.contains(phrase) {
                let line = text.lines().find(|line| line.contains(phrase));
                panic!("{}: {phrase:?} in {line:?}", path.display());
            }
        }
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is_for() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} has no doc", path.display());
    }
}

/// So that a port to another system begins and ends in one folder.
#[test]
fn only_platform_names_what_only_unix_has() {
    const UNIX: [&str; 12] = [
        "std::os::",
        "rustix",
        "libc::",
        "listenfd::",
        "sd_notify::",
        "uzers::",
        "tokio::net::unix",
        "tokio::signal::unix",
        "UnixDatagram",
        "UnixListener",
        "UnixStream",
        ".unix_socket(",
    ];
    let names = |text: &str| UNIX.iter().any(|name| text.contains(name));
    let mut seen = 0;
    for (path, text) in sources().into_iter().chain(files_below("sandbox/src")) {
        if path.starts_with(root().join("src/platform")) {
            seen += usize::from(names(&text));
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let (path, number) = (path.display(), number + 1);
            assert!(!names(line), "{path}:{number} belongs in platform/: {line}");
        }
    }
    assert!(seen > 0, "platform/ is not where this test looks for it");
}

/// States, outcomes, causes and kinds of tokens have types. Their names are for people,
/// JSON and SQL, and no decision compares them.
#[test]
fn no_decision_compares_the_name_of_a_state_or_an_outcome() {
    const NAMES: [&str; 22] = [
        "waiting",
        "claimed",
        "held",
        "delivered",
        "deferred",
        "failed",
        "doubtful",
        "dropped",
        "quarantined",
        "history",
        "throttled",
        "unavailable",
        "configuration",
        "good",
        "not asked for",
        "refused",
        "signed in",
        "signed out",
        "not signed in",
        "unknown",
        "spool",
        "interrupted",
    ];
    for (path, text) in sources() {
        let found: Vec<_> = NAMES
            .iter()
            .flat_map(|name| compared(&text, name))
            .collect();
        assert!(found.is_empty(), "{}: {found:?}", path.display());
    }
    let found = compared(
        "if state == \"held\" {\n\"held\" => 1,\n\"held\" | _",
        "held",
    );
    assert_eq!(found.len(), 3, "{found:?}");
}

/// The lines that compare a name, or use it as a pattern.
fn compared<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    let quoted = format!("\"{name}\"");
    let lines = text.lines().filter(|line| {
        line.split_once(&quoted).is_some_and(|(before, behind)| {
            let (before, behind) = (before.trim_end(), behind.trim_start());
            before.ends_with("==")
                || before.ends_with("!=")
                || behind.starts_with("==")
                || behind.starts_with("=>")
                || behind.starts_with("| ")
        })
    });
    lines.collect()
}

/// `.ci/run` runs tests that need something in separate steps, and all other ignored
/// tests in one.
#[test]
fn every_ignored_test_gives_a_known_reason() {
    let mut count = 0;
    for (path, text) in files_below("tests/it") {
        for reason in text.split("#[ignore = \"").skip(1) {
            // Except for this line.
            if path.ends_with("layering/mod.rs") {
                continue;
            }
            let known = ["needs ", "scale: "];
            assert!(
                known.iter().any(|kind| reason.starts_with(kind)),
                "{}: {}",
                path.display(),
                reason.lines().next().unwrap()
            );
            count += 1;
        }
    }
    assert!(count > 20, "{count} ignored tests were found");
}

/// The rows of the table: a module, and the modules that it may use.
fn table() -> Table {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | `"));
    rows.map(|row| {
        let names: Vec<String> = row
            .split('`')
            .filter(|name| name.chars().all(|c| c.is_ascii_lowercase()) && !name.is_empty())
            .map(str::to_owned)
            .collect();
        let (module, uses) = names.split_first().unwrap();
        (module.clone(), uses.iter().cloned().collect())
    })
    .collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    files_below("src")
}

fn files_below(folder: &str) -> Vec<(PathBuf, String)> {
    with_ending(folder, "rs")
}

fn with_ending(folder: &str, wanted: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == wanted) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

fn module_of(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap();
    let name = first.as_os_str().to_str().unwrap();
    name.trim_end_matches(".rs").to_owned()
}

/// The modules that a file names with `crate::`, without its tests.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_')
                .collect()
        })
        .filter(|name: &String| !name.is_empty())
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
