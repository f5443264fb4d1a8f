//! Which files of `src` know each other, read from the text of the code.
//!
//! A file knows another when it names something that is defined there: by `use`, or by a
//! path in its code. A re-export is followed to the file with the definition. A method
//! counts too where the `impl` blocks of one type stand in several files: a block that
//! calls `self.method()` knows the file that has the method. Tests are left out.
//!
//! A file may know the `mod.rs` of its own folder and of the folders above it, and that
//! `mod.rs` may know the file: a folder's `mod.rs` says what all its files share. So
//! what a file takes from there is not counted. Everything else is:
//!
//! - files of different folders form no circle;
//! - files of one folder form none of more than two.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

/// Which files each file knows, and by which names. Paths are those below `src`.
type Arrows = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// Files that know each other, if only by way of others.
pub(super) struct Circle {
    pub(super) files: BTreeSet<PathBuf>,
    /// In words, what each takes from another.
    pub(super) ties: Vec<String>,
}

/// The circles that must not be. `files` are paths below `src`, and their texts.
pub(super) fn circles(files: &[(PathBuf, String)]) -> Vec<Circle> {
    let arrows = Tree::new(files).arrows();
    let forbidden = components(&arrows).into_iter().filter(|files| {
        let folders: BTreeSet<_> = files.iter().map(|file| file.parent()).collect();
        files.len() > 2 || folders.len() > 1
    });
    forbidden
        .map(|files| Circle {
            ties: ties(&arrows, &files),
            files,
        })
        .collect()
}

fn ties(arrows: &Arrows, files: &BTreeSet<PathBuf>) -> Vec<String> {
    let mut ties = Vec::new();
    for (from, known) in arrows.iter().filter(|(from, _)| files.contains(*from)) {
        for (to, names) in known.iter().filter(|(to, _)| files.contains(*to)) {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            let (from, to) = (from.display(), to.display());
            ties.push(format!("{from} -> {to}: {}", names.join(", ")));
        }
    }
    ties
}

/// A module's path, without `crate`.
type ModulePath = Vec<String>;

/// One file of `src`.
struct Module {
    file: PathBuf,
    code: String,
    /// What `use` brings in: the name here, and the path.
    uses: BTreeMap<String, Vec<String>>,
}

/// All files of `src` that are not tests.
struct Tree(BTreeMap<ModulePath, Module>);

impl Tree {
    fn new(files: &[(PathBuf, String)]) -> Self {
        let codes: Vec<_> = files
            .iter()
            .map(|(file, text)| (file, without_tests(&bare(text))))
            .collect();
        let tests: BTreeSet<ModulePath> = codes
            .iter()
            .flat_map(|(file, (_, tests))| tests.iter().map(|name| child(&module_path(file), name)))
            .collect();
        let modules = codes.into_iter().filter_map(|(file, (code, _))| {
            let path = module_path(file);
            let is_test = tests.iter().any(|test| path.starts_with(test));
            let name = file.file_stem()?.to_str()?;
            let is_counted =
                !is_test && !name.ends_with("_tests") && !["lib", "main"].contains(&name);
            is_counted.then(|| {
                let uses = uses(&path, &code);
                let file = file.clone();
                (path, Module { file, code, uses })
            })
        });
        Self(modules.collect())
    }

    /// Which files each file knows; what it takes from a `mod.rs` above it is left out.
    fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        let mut add = |from: &PathBuf, to: &PathBuf, name: &str| {
            if from != to && !is_above(to, from) {
                let known = arrows.entry(from.clone()).or_default();
                known.entry(to.clone()).or_default().insert(name.to_owned());
            }
        };
        for (path, module) in &self.0 {
            for named in paths(&module.code) {
                let absolute = self.absolute(path, &named);
                if let Some(file) = absolute.and_then(|path| self.defines(&path, 0)) {
                    add(&module.file, file, &named.join("::"));
                }
            }
        }
        for (from, to, method) in self.calls_of_methods_elsewhere() {
            add(from, to, method);
        }
        arrows
    }

    /// A path in the code of a module, from `crate` on; `None` where it is not ours.
    fn absolute(&self, module: &ModulePath, named: &[String]) -> Option<Vec<String>> {
        let (first, rest) = named.split_first()?;
        let begin = match first.as_str() {
            "crate" | "self" | "super" => return from_crate(module, named),
            name if self.0.contains_key(&child(module, name)) => child(module, name),
            name => self.0.get(module)?.uses.get(name)?.clone(),
        };
        Some(begin.into_iter().chain(rest.iter().cloned()).collect())
    }

    /// The file with the definition that a path names; `None` for a module as such.
    fn defines(&self, path: &[String], depth: usize) -> Option<&PathBuf> {
        let deepest = (0..=path.len())
            .rev()
            .find(|length| self.0.contains_key(&path[..*length]))?;
        let is_module = deepest == path.len();
        // A function may be called like a module beside it.
        let (module, item) = match is_module {
            true => (&path[..deepest.checked_sub(1)?], deepest - 1),
            false => (&path[..deepest], deepest),
        };
        let module = self.0.get(module)?;
        match module.uses.get(&path[item]) {
            Some(target) if depth < 8 && target != path => {
                let target: Vec<_> = target.iter().chain(&path[item + 1..]).cloned().collect();
                self.defines(&target, depth + 1)
            }
            _ => (!is_module).then_some(&module.file),
        }
    }

    /// Files with an `impl` block that calls a method of the same type in another file.
    fn calls_of_methods_elsewhere(&self) -> Vec<(&PathBuf, &PathBuf, &str)> {
        /// A type is its file and its name.
        type Type<'t> = (&'t PathBuf, String);
        let mut blocks: Vec<(Type<'_>, &PathBuf, &str)> = Vec::new();
        for (path, module) in &self.0 {
            for (name, block) in impls(&module.code) {
                let foreign = self
                    .absolute(path, std::slice::from_ref(&name))
                    .and_then(|path| self.defines(&path, 0));
                blocks.push(((foreign.unwrap_or(&module.file), name), &module.file, block));
            }
        }
        let mut methods: BTreeMap<(Type<'_>, &str), &PathBuf> = BTreeMap::new();
        for (of, file, block) in &blocks {
            for method in words_behind(block, "fn ") {
                methods.insert((of.clone(), method), file);
            }
        }
        let mut calls = Vec::new();
        for (of, file, block) in &blocks {
            for receiver in ["self.", "Self::"] {
                for method in words_behind(block, receiver) {
                    if let Some(to) = methods.get(&(of.clone(), method)) {
                        calls.push((*file, *to, method));
                    }
                }
            }
        }
        calls
    }
}

/// Whether a file is the `mod.rs` of another's folder, or of one above it.
fn is_above(file: &Path, other: &Path) -> bool {
    file.ends_with("mod.rs")
        && file
            .parent()
            .is_some_and(|folder| other.starts_with(folder))
}

fn module_path(file: &Path) -> ModulePath {
    let path = file.with_extension("");
    let mut names: Vec<String> = path
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if names
        .last()
        .is_some_and(|name| name == "mod" || name == "lib")
    {
        names.pop();
    }
    names
}

fn child(module: &ModulePath, name: &str) -> ModulePath {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

/// A path that begins with `crate`, `self` or `super`, without these.
fn from_crate(module: &ModulePath, named: &[String]) -> Option<Vec<String>> {
    let mut path = module.clone();
    let mut rest = named;
    while let Some((first, behind)) = rest.split_first() {
        match first.as_str() {
            "crate" => path.clear(),
            "self" => {}
            "super" => {
                path.pop()?;
            }
            _ => break,
        }
        rest = behind;
    }
    path.extend(rest.iter().cloned());
    Some(path)
}

/// What `use` brings into a module. One `use` brings one name, as everywhere here.
fn uses(module: &ModulePath, code: &str) -> BTreeMap<String, Vec<String>> {
    let lines = code.lines().filter_map(|line| {
        let line = line.trim().strip_suffix(';')?;
        let (visibility, used) = line.split_once("use ")?;
        if !visibility.is_empty() && !visibility.starts_with("pub") {
            return None;
        }
        let (path, name) = match used.split_once(" as ") {
            Some((path, name)) => (path, Some(name)),
            None => (used, None),
        };
        let named: Vec<String> = path.split("::").map(str::to_owned).collect();
        let name = name
            .or_else(|| named.last().map(String::as_str))?
            .to_owned();
        let first = named.first()?;
        let is_ours = ["crate", "self", "super"].contains(&first.as_str());
        if !is_ours {
            return None;
        }
        assert!(
            !used.contains(['{', '*']),
            "several names in one `use`: {used}"
        );
        Some((name, from_crate(module, &named)?))
    });
    lines.collect()
}

/// Code without comments and without what stands in quotes.
fn bare(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if let Some(character) = character(rest) {
            character
        } else if next == '"' {
            quoted(rest)
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
    }
    code
}

/// The length of a character in quotes; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let length = match first {
        '\\' => 2 + inside.get(2..)?.find('\'')?,
        _ => first.len_utf8(),
    };
    inside[length..].starts_with('\'').then_some(length + 2)
}

/// The length of a text in quotes.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Code without what is for tests only, and the modules of tests that it declares.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let mut kept = String::new();
    let mut modules = Vec::new();
    let mut rest = code;
    while let Some((before, behind)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let end = behind.find([';', '{']).unwrap_or(behind.len());
        let item = &behind[..end];
        if behind[end..].starts_with('{') {
            rest = &behind[end + block(&behind[end..]).len()..];
        } else {
            modules.extend(words_behind(item, "mod ").map(str::to_owned));
            rest = &behind[end..];
        }
    }
    kept.push_str(rest);
    (kept, modules)
}

/// The block in braces that a text begins with.
fn block(text: &str) -> &str {
    let mut open = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return &text[..=at];
        }
    }
    text
}

/// The types that have methods of their own in this code, and the blocks with them.
fn impls(code: &str) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("\nimpl") {
        let head = &code[at + 5..];
        let Some(begin) = head.find('{') else {
            continue;
        };
        let signature = match head[..begin].trim_start().strip_prefix('<') {
            // The parameters of the block.
            Some(rest) => rest.split_once('>').map_or("", |(_, rest)| rest),
            None => &head[..begin],
        };
        if signature.contains(" for ") {
            continue;
        }
        let name: String = signature
            .trim()
            .chars()
            .take_while(|c| is_of_a_name(*c))
            .collect();
        found.push((name, block(&head[begin..])));
    }
    found
}

/// The paths of two or more names in code.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let ends = |c: char| !is_of_a_name(c) && c != ':';
    for run in code.split(ends) {
        let names: Vec<String> = run
            .split("::")
            .take_while(|name| !name.is_empty() && !name.contains(':'))
            .map(str::to_owned)
            .collect();
        if names.len() > 1 {
            found.push(names);
        }
    }
    found
}

/// The names that stand directly behind a text.
fn words_behind<'t>(code: &'t str, text: &'t str) -> impl Iterator<Item = &'t str> {
    code.match_indices(text).map(move |(at, _)| {
        let rest = &code[at + text.len()..];
        let end = rest.find(|c| !is_of_a_name(c)).unwrap_or(rest.len());
        &rest[..end]
    })
}

fn is_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The files that reach each other.
fn components(arrows: &Arrows) -> BTreeSet<BTreeSet<PathBuf>> {
    let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = arrows
        .keys()
        .map(|from| {
            let mut reached = BTreeSet::new();
            let mut next = vec![from];
            while let Some(file) = next.pop() {
                for to in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
                    if reached.insert(to) {
                        next.push(to);
                    }
                }
            }
            (from, reached)
        })
        .collect();
    let circle = |file: &PathBuf| -> BTreeSet<PathBuf> {
        let back = |other: &&PathBuf| reached.get(*other).is_some_and(|it| it.contains(file));
        reached[file]
            .iter()
            .copied()
            .filter(|other| back(other))
            .cloned()
            .collect()
    };
    arrows
        .keys()
        .map(circle)
        .filter(|files| files.len() > 1)
        .collect()
}
