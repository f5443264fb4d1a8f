//! `explain`: prints what an error code of Entra, Graph, Exchange or the relay
//! means, from the catalogue in this program, without network access.

use std::collections::BTreeMap;

use crate::catalogue;
use crate::catalogue::Entry;
use crate::cli::Exit;
use crate::cli::say;
use crate::cli::talk;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// An error code (AADSTS7000215, ErrorSendAsDenied, 5.7.708), an SMTP reply of the relay (535
    /// 5.7.8), or a whole message that contains one. Without it, list all codes
    #[arg(value_name = "CODE")]
    text: Vec<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) fn run(options: &Options) -> Exit {
    if options.text.is_empty() {
        for entry in catalogue::all() {
            let line = if options.json {
                json(entry)
            } else {
                row(entry)
            };
            say(&line);
        }
        return Exit::Done;
    }
    let text = options.text.join(" ");
    let found = catalogue::found_in(&text);
    if found.is_empty() {
        talk(&unknown(&text));
        return Exit::CheckFailed;
    }
    for (at, entry) in found.into_iter().enumerate() {
        if options.json {
            say(&json(entry));
            continue;
        }
        if at > 0 {
            say("");
        }
        for (label, text) in entry.lines() {
            say(&format!("{label:8}{text}"));
        }
    }
    Exit::Done
}

/// A code and the first sentence of its cause.
fn row(entry: &Entry) -> String {
    format!("{:38}  {}", entry.code, entry.summary())
}

fn json(entry: &Entry) -> String {
    let lines = entry.lines().map(|(label, text)| (label, Some(text)));
    // Last wins: what has no place says so.
    let fields: BTreeMap<_, _> = [("place", None)].into_iter().chain(lines).collect();
    serde_json::json!(fields).to_string()
}

fn unknown(text: &str) -> String {
    let mut words = text.split_whitespace();
    let what = match (words.next(), words.next()) {
        (Some(word), None) => format!("unknown code {word:?}"),
        _ => "this text contains no known code".to_owned(),
    };
    let near = text
        .split_whitespace()
        .find_map(|word| catalogue::nearest(word.trim_matches(|c: char| !c.is_alphanumeric())));
    let guess = near.map_or_else(String::new, |entry| {
        format!("; did you mean {}?", entry.code)
    });
    let number = |word: &str| -> Option<u32> {
        word.to_ascii_uppercase()
            .strip_prefix("AADSTS")?
            .parse()
            .ok()
    };
    let page = text.split_whitespace().find_map(number);
    let page = page.map_or_else(String::new, |number| {
        format!(
            "\nMicrosoft explains its code at https://login.microsoftonline.com/error?code={number}"
        )
    });
    format!(
        "graph-relay: {what}{guess}{page}\n\
         Look for the request-id (Graph) or the Trace ID (Entra) next to it in the log: Microsoft \
         support can look it up. graph-relay explain lists all known codes."
    )
}
