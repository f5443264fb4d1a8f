//! What counts as a circle and what does not: `circles.rs` on a few files.

use std::path::PathBuf;

use super::circles::Circle;
use super::circles::circles;

/// The files of each circle.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = files
        .iter()
        .map(|(file, text)| (PathBuf::from(file), (*text).to_owned()))
        .collect();
    let names = |circle: Circle| {
        let files = circle
            .files
            .iter()
            .map(|file| file.to_string_lossy().into_owned());
        files.collect::<Vec<_>>().join(" ")
    };
    circles(&files).into_iter().map(names).collect()
}

#[test]
fn two_files_of_one_folder_may_know_each_other_and_three_may_not() {
    let two = [
        ("a/b.rs", "use super::c::C;\n"),
        ("a/c.rs", "fn c() { super::b::b() }\n"),
    ];
    assert_eq!(found(&two), [""; 0]);
    let three = [
        ("a/b.rs", "use super::c::C;\n"),
        ("a/c.rs", "use super::d;\n\nfn c() { d::d() }\n"),
        ("a/d.rs", "use crate::a::b::B;\n"),
    ];
    assert_eq!(found(&three), ["a/b.rs a/c.rs a/d.rs"]);
}

#[test]
fn files_of_different_folders_may_not_know_each_other() {
    let files = [
        ("a/b.rs", "use crate::c::d::D;\n"),
        ("c/d.rs", "use crate::a::b::B;\n"),
    ];
    assert_eq!(found(&files), ["a/b.rs c/d.rs"]);
}

#[test]
fn a_folder_may_know_its_files_and_they_what_it_says_for_all_of_them() {
    let files = [
        (
            "a/mod.rs",
            "mod b;\nmod c;\n\nuse self::b::B;\nuse self::c::d::D;\n\nstruct A;\n",
        ),
        ("a/b.rs", "use super::A;\n"),
        ("a/c/mod.rs", "pub(super) mod d;\n"),
        ("a/c/d.rs", "use crate::a::A;\n"),
    ];
    assert_eq!(found(&files), [""; 0]);
}

#[test]
fn a_reexport_hides_no_circle() {
    let files = [
        ("a/mod.rs", "pub use self::b::B;\n"),
        ("a/b.rs", "use crate::c::C;\n"),
        ("c/mod.rs", "pub use self::d::C;\n"),
        ("c/d.rs", "use crate::a::B;\n"),
    ];
    assert_eq!(found(&files), ["a/b.rs c/d.rs"]);
}

#[test]
fn methods_of_one_type_in_several_files_hide_no_circle() {
    let files = [
        (
            "a/b.rs",
            "struct B;\n\nimpl B {\n    fn run(&self) { self.c() }\n}\n",
        ),
        (
            "a/c/d.rs",
            "use crate::a::b::B;\n\nimpl B {\n    fn c(&self) {}\n}\n",
        ),
    ];
    assert_eq!(found(&files), ["a/b.rs a/c/d.rs"]);
}

#[test]
fn comments_texts_and_tests_are_not_counted() {
    let tests = "#[cfg(test)]\nmod tests {\n    use crate::c::d::D;\n}\n";
    let files = [
        ("a/mod.rs", "#[cfg(test)]\nmod e;\nmod b;\n"),
        ("a/b.rs", tests),
        ("a/e.rs", "use crate::c::d::D;\n"),
        (
            "a/f.rs",
            "// crate::c::d::D\nconst D: &str = \"crate::c::d::D \\\" crate::c::d::D\";\n",
        ),
        (
            "c/d.rs",
            "use crate::a::b::B;\nuse crate::a::e::E;\nuse crate::a::f::F;\n",
        ),
    ];
    assert_eq!(found(&files), [""; 0]);
}
