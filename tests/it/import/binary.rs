//! `import` of files that are something else: a program, a picture, a text for another purpose.

use std::process::Output;

use super::Sample;
use crate::common::said;

/// Every byte, with the beginning of a program.
fn program() -> Vec<u8> {
    let all = (0..=u8::MAX).cycle().take(10_000);
    b"\x7fELF\x02\x01\x01".iter().copied().chain(all).collect()
}

fn assert_one_error(output: &Output, words: &str) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(words), "{text}");
    assert_harmless(output);
}

fn assert_harmless(output: &Output) {
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(stream.clone()).unwrap();
        let mut odd = text.chars().filter(|c| c.is_control() && *c != '\n');
        assert_eq!(odd.next(), None, "{text:?}");
    }
}

#[test]
fn a_binary_file_is_one_error_that_names_it() {
    for (product, file, arguments) in [
        ("postfix", "main.cf", ["postfix", "."]),
        ("smtp2graph", "config.yml", ["smtp2graph", "config.yml"]),
        ("iis", "MetaBase.xml", ["iis", "MetaBase.xml"]),
        ("report", "report.csv", ["report", "report.csv"]),
    ] {
        let sample = Sample::of(product);
        sample.write(file, program());

        let output = sample.import(&arguments);

        let words = format!("{file}: this is not a text file: line 1 has the control character");
        assert_one_error(&output, &words);
    }
}

#[test]
fn a_binary_master_cf_or_table_is_one_row() {
    let sample = Sample::of("postfix");
    for name in ["master.cf", "virtual"] {
        sample.write(name, program());
    }

    let output = sample.import(&["postfix", "."]);

    let text = said(&output);
    assert_eq!(text.matches("this is not a text file").count(), 2, "{text}");
    assert_harmless(&output);
}

#[test]
fn a_text_that_sets_no_parameter_is_not_a_main_cf() {
    let sample = Sample::of("postfix");
    sample.write("main.cf", "# Title\n<html>\n".repeat(100));
    let output = sample.import(&["postfix", "."]);
    assert_one_error(&output, "main.cf: this is not a main.cf: no line sets");

    sample.write("main.cf", "# All defaults.\n");
    let text = said(&sample.import(&["postfix", "."]));
    assert!(text.contains("smtp inet smtpd (master.cf)"), "{text}");
}

#[test]
fn control_characters_of_a_value_do_not_reach_the_terminal() {
    let sample = Sample::of("smtp2graph");
    let red = "tlsCertPath: \"/\\e[31mred.crt\"";
    sample.change("config.yml", "tlsCertPath: app.crt", red);

    let more: [&[&str]; 2] = [&[], &["--write", "new.toml"]];
    for more in more {
        let output = sample.import(&[&["smtp2graph", "config.yml"][..], more].concat());

        assert!(said(&output).contains("red.crt"), "{}", said(&output));
        assert_harmless(&output);
    }
    assert!(sample.read("new.toml").contains("/\\u001b[31mred.crt"));
}
