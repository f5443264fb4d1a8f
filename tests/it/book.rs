//! The README and the book in `docs/`: the commands that they show exist, and their
//! configurations are correct.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::sync::LazyLock;

use crate::common::Home;
use crate::common::binary;
use crate::common::keys;
use crate::common::said;
use crate::common::write_private;
use crate::reference::generated;

const ACCOUNT: &str = "\n[[account]]\ntenant = \"contoso.onmicrosoft.com\"\nclient_id = \"1\"\n\
    client_secret_file = \"\"\nmailbox = \"noreply@contoso.com\"\n";
const TLS: &str = "\n[tls]\ncertificate_file = \"\"\nprivate_key_file = \"\"\n";
const USER: &str =
    "\n[[user]]\nname = \"scanner\"\npassword_hash = \"$argon2id$...\"\nsenders = [\"*\"]\n";
/// A hash of a canary, with the parameters that `hash-password` uses.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA\
    $mFzbGLkJHdHqXL3Ivbs8WGVhBVvMQc8wtQhfLmxIlh8";

#[test]
fn every_command_and_option_of_the_book_exists() {
    let mut typed: BTreeSet<(PathBuf, String)> = BTreeSet::new();
    for (path, text) in PAGES.iter() {
        let mut prose = String::new();
        for (at, piece) in text.split("```").enumerate() {
            match (at % 2, piece.split_once('\n')) {
                (1, Some(("sh", block))) => {
                    typed.extend(block.lines().map(|line| (path.clone(), line.to_owned())));
                }
                (1, _) => {}
                _ => prose.push_str(piece),
            }
        }
        let spans = prose.split('`').skip(1).step_by(2);
        typed.extend(spans.map(|span| (path.clone(), span.replace('\n', " "))));
    }

    let commands: BTreeSet<_> = typed.iter().filter_map(command).collect();

    assert!(commands.len() > 40, "{commands:#?}");
    let mut helps = BTreeMap::new();
    for (path, words, options) in commands {
        let help = helps.entry(words.clone()).or_insert_with(|| {
            let output = binary().args(&words).arg("--help").output().unwrap();
            output.status.success().then(|| said(&output))
        });
        let help = help.as_ref().unwrap_or_else(|| {
            panic!("{}: no command {words:?}", path.display());
        });
        for option in options {
            assert!(
                help.contains(&option),
                "{}: {words:?} has no option {option}",
                path.display()
            );
        }
    }
}

/// The words of the command and the long options in a line that calls the relay.
fn command((path, line): &(PathBuf, String)) -> Option<(PathBuf, Vec<String>, Vec<String>)> {
    let line = line.trim().trim_start_matches("sudo ");
    let line = line.rsplit_once("target/debug/").map_or(line, |it| it.1);
    let line = line.strip_prefix("graph-relay ")?;
    let line = line.split(['#', '|', '<']).next()?;
    let is_name = |word: &&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| c.is_ascii_lowercase())
            && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let names: Vec<_> = line.split_whitespace().take_while(is_name).collect();
    let depth = match names.first() {
        Some(&("import" | "queue" | "sessions" | "spool")) => 2,
        Some(_) => 1,
        None => 0,
    };
    let names = names.into_iter().take(depth).map(str::to_owned).collect();
    let options = line.split_whitespace().filter(|it| it.starts_with("--"));
    Some((path.clone(), names, options.map(str::to_owned).collect()))
}

#[test]
fn every_configuration_of_the_book_is_correct() {
    let mut count = 0;
    for (path, text) in PAGES.iter() {
        for block in blocks(text, "toml") {
            let home = Home::empty();
            let whole = completed(&block, &home);
            fs::write(&home.config, &whole).unwrap();

            let arguments = ["check", "--config", home.config.to_str().unwrap()];
            let output = binary().args(arguments).output().unwrap();

            let words = said(&output);
            assert!(
                output.status.success(),
                "{}: {words}\n{whole}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

/// Completes a block of a page to a whole configuration: adds the missing sections, and
/// uses files that exist.
fn completed(block: &str, home: &Home) -> String {
    let mut text = block.to_owned();
    let is_there = |text: &str, key: &str| {
        let mut lines = text.lines();
        lines.any(|line| line.starts_with(key))
    };
    if !is_there(&text, "[[account]]") {
        text.push_str(ACCOUNT);
    } else if !is_there(&text, "tenant") && !is_there(&text, "managed_identity") {
        // Only the keys that the page mentions.
        let missing = ACCOUNT.lines().filter(|line| {
            let key = line.split(" = ").next().unwrap_or_default();
            !is_there(block, key)
        });
        let missing: Vec<_> = missing.collect();
        let account = format!("[[account]]\n{}", missing.join("\n"));
        text = text.replacen("[[account]]", &account, 1);
    }
    let has_tls = |line: &str| line.starts_with("tls = ") && !line.starts_with("tls = \"off\"");
    if text.lines().any(has_tls) && !is_there(&text, "[tls]") {
        text.push_str(TLS);
    }
    let needs_user = ["\"required\"", "\"optional\""]
        .iter()
        .any(|kind| text.contains(&format!("authentication = {kind}")));
    if needs_user && !is_there(&text, "[[user]]") {
        text.push_str(USER);
    }
    for (name, content) in [
        ("secret", "a-secret"),
        ("certificate", keys::APP.certificate),
        ("key", keys::APP.key),
        ("token", "e30.e30.e30"),
    ] {
        write_private(&home.path(name), content);
    }
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some((key, _)) => match file_of(key.trim()) {
            Some(name) => format!("{key} = {:?}", home.path(name)),
            None => line.replace("$argon2id$...", HASH),
        },
        None => line.to_owned(),
    });
    let text: Vec<_> = lines.collect();
    let data_dir = format!("data_dir = {:?}\n", home.path("data"));
    let data_dir = if is_there(block, "data_dir") {
        String::new()
    } else {
        data_dir
    };
    format!("{data_dir}{}\n", text.join("\n"))
}

/// The test's file in place of the one that a key names.
fn file_of(key: &str) -> Option<&'static str> {
    match key {
        "client_secret_file" | "secret_file" => Some("secret"),
        "certificate_file" | "ca_file" => Some("certificate"),
        "private_key_file" => Some("key"),
        "federated_token_file" => Some("token"),
        _ => None,
    }
}

#[test]
fn the_book_and_the_readme_show_the_same_sandbox_output() {
    let first = |path: &str| {
        let text = fs::read_to_string(root().join(path)).unwrap();
        blocks(&text, "text").swap_remove(0)
    };
    assert_eq!(first("docs/src/start/sandbox.md"), first("README.md"));
}

#[test]
fn every_link_of_the_book_has_a_target() {
    let mut count = 0;
    let texts: BTreeMap<PathBuf, String> = PAGES.iter().cloned().collect();
    let book = root().join("docs/src");
    for (path, text) in &texts {
        for link in outside_blocks(text).split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.starts_with("https://") || link.starts_with("http://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            let target = normal(&target);
            let page = texts.get(&target);
            // The built book is elsewhere: its pages lead to each other only.
            let is_there = if path.starts_with(&book) {
                // mdbook copies files that are no pages.
                let is_copied = target.extension().is_some_and(|it| it != "md");
                (page.is_some() || is_copied && target.is_file()) && target.starts_with(&book)
            } else {
                target.exists()
            };
            assert!(is_there, "{}: {link}", path.display());
            assert!(
                anchor.is_empty() || page.is_some_and(|text| anchors(text).contains(anchor)),
                "{}: {link}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn every_picture_of_the_book_is_small_and_a_page_shows_it() {
    let texts: Vec<&str> = PAGES.iter().map(|(_, text)| text.as_str()).collect();
    let pictures = fs::read_dir(root().join("docs/src/run/images")).unwrap();
    let mut count = 0;
    for picture in pictures {
        let picture = picture.unwrap();
        let name = picture.file_name().into_string().unwrap();
        let size = picture.metadata().unwrap().len();
        assert!(size < 60_000, "{name}: {size}");
        let shown = format!("](images/{name})");
        let is_shown = texts.iter().any(|text| text.contains(&shown));
        assert!(is_shown, "{name}: no page shows it");
        count += 1;
    }
    assert!(count >= 4, "{count}");
}

/// `a/b/../c` as `a/c`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

/// The anchors that mdBook makes for the headings of a page, or that these name.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = outside_blocks(text);
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let headings = headings.map(|line| line.trim_start_matches('#').trim());
    let of = |heading: &str| {
        if let Some((_, id)) = heading.split_once(" {#") {
            return id.trim_end_matches('}').to_owned();
        }
        let heading = heading.to_lowercase();
        let kept = heading.chars().filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c),
            ' ' => Some('-'),
            _ => None,
        });
        kept.collect()
    };
    headings.map(of).collect()
}

fn outside_blocks(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The README and every page of the book, with their texts; what mdBook gets. Made once for all tests.
pub(crate) static PAGES: LazyLock<Vec<(PathBuf, String)>> = LazyLock::new(pages);

fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "md") {
                paths.push(path);
            }
        }
    }
    assert!(paths.len() > 20, "{paths:?}");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, generated::filled(&text).unwrap())
    };
    let mut pages: Vec<_> = paths.into_iter().map(read).collect();
    for family in generated::codes() {
        for page in family.below.iter().chain([&family]) {
            pages.push((root().join("docs/src").join(&page.path), page.text.clone()));
        }
    }
    pages
}

/// The blocks in a language, without the indentation of a surrounding list.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (before, block) in text.split("```").zip(text.split("```").skip(1)).step_by(2) {
        let Some((kind, block)) = block.split_once('\n') else {
            continue;
        };
        if kind == language {
            let indent = before.rsplit('\n').next().unwrap();
            let lines = block.lines();
            let lines = lines.map(|line| line.strip_prefix(indent).unwrap_or(line));
            found.push(lines.collect::<Vec<_>>().join("\n"));
        }
    }
    found
}
