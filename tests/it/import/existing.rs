//! `import` in a folder with a relay.toml: what becomes of it with `--write`, and that nothing does
//! without.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Sample;
use crate::common::said;

/// The relay.toml that the packages install.
fn packaged() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packages/relay.toml");
    fs::read_to_string(path).unwrap()
}

/// How each product is imported.
const PRODUCTS: [(&str, &[&str]); 3] = [
    ("postfix", &["postfix", "."]),
    ("smtp2graph", &["smtp2graph", "config.yml"]),
    ("iis", &["iis", "MetaBase.xml"]),
];

/// The contents of all files in the folder of a sample, by their names.
fn files(sample: &Sample) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(sample.folder.path()).unwrap();
    let files = entries.map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    files.collect()
}

#[test]
fn without_write_every_file_stays_as_it_is_and_no_other_appears() {
    for (product, arguments) in PRODUCTS {
        let sample = Sample::of(product);
        let before = files(&sample);
        assert!(before.contains_key("relay.toml"), "{product}");

        let output = sample.import(arguments);

        let words = said(&output);
        assert!(files(&sample) == before, "{product}: {words}");
        let shown = "The relay.toml (--write FILE writes it):";
        assert!(words.contains(shown), "{product}: {words}");
    }
}

#[test]
fn the_packaged_file_keeps_what_it_has_and_a_second_import_changes_nothing() {
    for (product, arguments) in PRODUCTS {
        let sample = Sample::of(product);
        sample.write("new.toml", packaged());
        let write = [arguments, &["--write", "new.toml"]].concat();

        let first = sample.import(&write);
        let text = sample.read("new.toml");
        for line in packaged().lines() {
            assert!(text.lines().any(|it| it == line), "{line}: {text}");
        }
        let table: toml::Table = text.parse().unwrap();
        assert!(table["admin"].get("address").is_some(), "{text}");
        assert!(table.contains_key("listener"), "{text}");

        let second = sample.import(&write);
        assert_eq!(sample.read("new.toml"), text);
        assert!(
            said(&second).contains("Nothing to change"),
            "{}",
            said(&second)
        );
        assert_eq!(first.status.code(), second.status.code());
    }
}

#[test]
fn a_completed_section_is_not_imported_again() {
    let sample = Sample::of("iis");
    let write = ["iis", "MetaBase.xml", "--write", "new.toml"];
    sample.import(&write);
    sample.change("new.toml", "# tenant = ", "tenant = ");

    let text = sample.read("new.toml");
    let output = sample.import(&write);

    assert_eq!(sample.read("new.toml"), text, "{}", said(&output));
}

#[test]
fn other_values_are_replaced_only_if_asked_for_and_the_rest_stays() {
    let sample = Sample::of("postfix");
    let before = "# mine\nhostname = \"mine\"\n\n# The history.\n[history]\nkeep = \"9d\"\n";
    sample.write("new.toml", before);

    let refused = sample.import(&["postfix", ".", "--write", "new.toml"]);
    assert_eq!(refused.status.code(), Some(73));
    let text = said(&refused);
    assert!(
        text.contains("other values for hostname. Use --replace"),
        "{text}"
    );
    assert_eq!(sample.read("new.toml"), before);

    sample.import(&["postfix", ".", "--write", "new.toml", "--replace"]);
    let text = sample.read("new.toml");
    assert!(text.contains("hostname = \"mail.contoso.com\""), "{text}");
    assert!(
        text.contains("# The history.\n[history]\nkeep = \"9d\"\n"),
        "{text}"
    );
    assert!(!text.contains("\"mine\""), "{text}");
    assert_eq!(sample.read("new.toml.old"), before);
}

#[test]
fn a_limit_that_is_not_imported_stays_with_its_comments() {
    let limits = "# Mine.\n[limits]\n# Few.\nrecipients_per_hour_per_client = 100 # per device\n";
    let history = "\n# The history.\n[history]\nkeep = \"9d\"\n";
    let write = ["iis", "MetaBase.xml", "--write", "new.toml"];
    let replaces: [&[&str]; 2] = [&[], &["--replace"]];
    for replace in replaces {
        let sample = Sample::of("iis");
        sample.write("new.toml", format!("{limits}{history}"));
        let write = [&write[..], replace].concat();

        let output = sample.import(&write);

        let text = sample.read("new.toml");
        for part in [limits, history, "\nmessage_size = \"10485760 B\"\n"] {
            assert!(text.contains(part), "{part}: {text}\n{}", said(&output));
        }
        assert_eq!(text.matches("[limits]").count(), 1, "{text}");
        sample.import(&write);
        assert_eq!(sample.read("new.toml"), text);
    }
}

#[test]
fn a_limit_with_another_value_is_replaced_only_if_asked_for() {
    let sample = Sample::of("iis");
    let kept = "recipients_per_hour_per_client = 100\n";
    let before = format!("[limits]\n# Small.\nmessage_size = \"1 MB\" # for scanners\n{kept}");
    sample.write("new.toml", &before);
    let write = ["iis", "MetaBase.xml", "--write", "new.toml"];

    let refused = sample.import(&write);
    assert_eq!(refused.status.code(), Some(73));
    let text = said(&refused);
    assert!(
        text.contains("other values for [limits]. Use --replace"),
        "{text}"
    );
    assert_eq!(sample.read("new.toml"), before);

    sample.import(&[&write[..], &["--replace"]].concat());
    let text = sample.read("new.toml");
    let after = format!("# Small.\nmessage_size = \"10485760 B\" # for scanners\n{kept}");
    assert!(text.contains(&after), "{text}");
}

#[test]
fn another_secret_and_a_file_that_is_not_toml_are_left_alone() {
    let sample = Sample::of("smtp2graph");
    let write = ["smtp2graph", "config.yml", "--write", "new.toml"];
    sample.write("client-secret", "another");
    let output = sample.import(&write);
    assert_eq!(output.status.code(), Some(73), "{}", said(&output));
    assert!(
        said(&output).contains("another secret"),
        "{}",
        said(&output)
    );
    assert!(!sample.path("new.toml").exists());

    sample.write("client-secret", "canary-app-secret");
    sample.write("new.toml", "[half");
    let output = sample.import(&write);
    assert!(
        said(&output).contains("is not valid TOML"),
        "{}",
        said(&output)
    );
    assert_eq!(sample.read("new.toml"), "[half");
}
