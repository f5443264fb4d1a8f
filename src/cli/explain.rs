//! `explain`: a code of Entra's, Graph's or Exchange's in words: cause, remedy, and
//! where.

use serde::Serialize;

use super::Exit;
use super::say;
use super::talk;
use crate::catalogue;
use crate::catalogue::Entry;

#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// AADSTS7000215, ErrorSendAsDenied, 5.7.705, or the whole message; nothing lists all
    #[arg(value_name = "CODE")]
    code: Vec<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// As `--json` prints it.
#[derive(Serialize)]
struct Line {
    code: &'static str,
    cause: &'static str,
    remedy: String,
    place: Option<&'static str>,
}

pub(super) fn run(options: &Options) -> Exit {
    let text = options.code.join(" ");
    if text.trim().is_empty() {
        catalogue::all().for_each(|entry| list(entry, options.json));
        return Exit::Done;
    }
    let found = catalogue::found_in(&text);
    if found.is_empty() {
        talk(&unknown(&text));
        return Exit::CheckFailed;
    }
    for (at, entry) in found.into_iter().enumerate() {
        if options.json {
            json(entry);
            continue;
        }
        if at > 0 {
            say("");
        }
        tell(entry);
    }
    Exit::Done
}

fn list(entry: &'static Entry, as_json: bool) {
    if as_json {
        return json(entry);
    }
    let first = entry.cause.split_inclusive(". ").next().unwrap_or_default();
    say(&format!("{:22}  {}", entry.code, first.trim_end()));
}

fn tell(entry: &Entry) {
    say(&format!("code    {}", entry.code));
    say(&format!("cause   {}", entry.cause));
    say(&format!("remedy  {}", remedy(entry)));
    if let Some(place) = entry.place {
        say(&format!("place   {place}"));
    }
}

fn json(entry: &'static Entry) {
    let line = Line {
        code: entry.code,
        cause: entry.cause,
        remedy: remedy(entry),
        place: entry.place,
    };
    say(&serde_json::to_string(&line).unwrap_or_default());
}

fn remedy(entry: &Entry) -> String {
    catalogue::named(entry.remedy, "MAILBOX", "ADDRESS")
}

fn unknown(text: &str) -> String {
    let near = catalogue::nearest(text);
    let near = near.map_or_else(String::new, |entry| {
        format!(" Did you mean {}?", entry.code)
    });
    format!(
        "graph-relay: no code in {text:?} is known here.{near} The log has the request-id, by which \
         Microsoft finds it: graph-relay queue show ID"
    )
}
