//! Real messages and what arrives at Graph: one file in `tests/messages` for each
//! message, and next to it what its recipient sees.
//!
//! `NAME.eml` is sent through SMTP from `relay@contoso.com` to `you@example.org`, in MIME
//! form and in JSON form. A file without any CRLF gets CRLF line ends; any other is sent
//! byte for byte. Three kinds of lines keep large messages small in the repository:
//!
//! ```text
//! %base64 3200000%         base64 of so many zero bytes, in lines of 76
//! %uuencode 9000%          so many zero bytes (a multiple of 45) uuencoded,
//!                          without the lines at the beginning and the end
//! %text 4000000%           so many bytes of text, in lines of 80
//! ```
//!
//! `NAME.txt` is what arrives if both forms show the same; otherwise there are
//! `NAME.mime.txt` and `NAME.json.txt`. `view.rs` describes their lines. Ordinary things
//! are left out: a Date that came in or is the relay's own, a body that goes out byte for
//! byte, a header section in ASCII, the requested form. For every message it is checked
//! that it reaches its envelope's recipients, once each, and nobody else.
//!
//! `NAME.options`, if there is one, has lines of these kinds:
//!
//! ```text
//! mail-from: root@host     instead of relay@contoso.com
//! to: a@b.example c@d.example
//! reaches: a@b.example     whom Graph gets it for, if these are others than in `to`
//! account: from = "mailbox"   a key of [[account]]
//! forms: json              one form only
//! ```
//!
//! `UPDATE_MESSAGES=1 cargo test --test it messages` writes every expectation that is
//! missing or differs, for review with `git diff`.

mod diff;
mod read;
mod send;
mod view;
mod view_json;
mod view_mime;

use std::collections::BTreeMap;

use graph_relay_sandbox::Settings;

use self::read::Form;
use self::read::Sample;
use self::send::send_all;
use crate::common::stand_in_with;

/// Mailboxes of the tenant: the first one sends, the second is `default_from`.
const MAILBOXES: [&str; 2] = ["relay@contoso.com", "default@contoso.com"];

/// Authors of the messages that the mailbox may send as.
const AUTHORS: [&str; 7] = [
    MAILBOXES[1],
    "boss@contoso.com",
    "john@contoso.com",
    "scanner@contoso.com",
    "erp@contoso.com",
    "noreply@contoso.com",
    "info@xn--mller-kva.example",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_message_arrives_as_a_person_should_see_it() {
    let update = std::env::var_os("UPDATE_MESSAGES").is_some();
    let settings = Settings {
        mailboxes: MAILBOXES.map(str::to_owned).to_vec(),
        send_as: AUTHORS.map(str::to_owned).to_vec(),
        mailbox_concurrency: 1000,
        ..Settings::default()
    };
    let graph = stand_in_with(settings).await;
    let samples = read::all();
    // One relay for all messages that are sent in the same way.
    let mut groups: BTreeMap<(Form, &str), Vec<&Sample>> = BTreeMap::new();
    for sample in &samples {
        for form in &sample.forms {
            let group = groups.entry((*form, &sample.account)).or_default();
            group.push(sample);
        }
    }

    let seen: Vec<(&str, Form, String)> = std::thread::scope(|scope| {
        let running: Vec<_> = groups
            .iter()
            .map(|((form, keys), samples)| {
                let graph = &graph;
                scope.spawn(move || {
                    let views = send_all(graph, *form, keys, samples).into_iter();
                    let named = views.map(|(name, view)| (name, *form, view));
                    named.collect::<Vec<_>>()
                })
            })
            .collect();
        let seen = running.into_iter().flat_map(|group| group.join().unwrap());
        seen.collect()
    });

    let mut failures = Vec::new();
    for sample in &samples {
        let views = seen.iter().filter(|(name, ..)| *name == sample.name);
        let views: BTreeMap<Form, &str> = views.map(|(_, form, view)| (*form, &**view)).collect();
        assert_eq!(views.len(), sample.forms.len(), "{}", sample.name);
        if update {
            sample.write_expected(&views);
        } else {
            failures.extend(sample.compare(&views));
        }
    }
    assert!(
        failures.is_empty(),
        "{} expectations of {} messages do not hold (-expected +seen):\n\n{}",
        failures.len(),
        samples.len(),
        failures.join("\n")
    );
}
