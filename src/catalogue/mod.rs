//! Error codes in an administrator's words: what each code of Entra, Graph,
//! Exchange and the relay itself means, what to do about it, and where.
//!
//! | file | whose codes |
//! |---|---|
//! | `entra.rs` | Entra's, about the app, its credential and the tenant |
//! | `signin.rs` | Entra's, about consent, users, policies and refresh tokens |
//! | `oauth.rs` | OAuth's error words, for answers without an AADSTS number |
//! | `graph.rs` | Graph's and Exchange's, for refusals |
//! | `service.rs` | Graph's and Exchange's, for overload and other temporary problems |
//! | `http.rs` | an HTTP status without a code, or no answer |
//! | `exchange.rs` | Exchange's in SMTP, also in reports after Graph accepted a message |
//! | `relay.rs` | the relay's own, in SMTP replies and failure reports |
//!
//! The codes and their meanings are from Microsoft's pages "Microsoft Entra
//! authentication and authorization error codes", "Microsoft Graph error
//! responses and resource types", "Microsoft Graph throttling guidance", "Attach
//! large files to Outlook messages", "Unexpected error when performing consent to
//! an application" and "Email non-delivery reports and SMTP errors in Exchange
//! Online", and from reports of what people have seen. The texts are our own.
//!
//! Each text is here once, and each code has one entry; `explain` and the pages of the book print
//! the same [`lines`](Entry::lines). An entry is words only: `delivery/outcome/` decides what
//! happens to a message. `{mailbox}` and `{author}` in a remedy are placeholders; see [`named`].

mod entra;
mod exchange;
mod graph;
mod http;
mod oauth;
mod place;
mod relay;
mod service;
mod signin;
#[cfg(test)]
mod tests;

pub use graph::ACCESS_DENIED;
pub use graph::INVALID_RECIPIENTS;
pub use graph::INVALID_TOKEN;
pub use graph::INVALID_USER;
pub use graph::MAILBOX_FULL;
pub use graph::NO_LICENCE;
pub use graph::SEND_AS_DENIED;
pub use graph::SUBMISSION_BLOCKED;
pub use http::NOT_GRAPH;
pub use http::PROXY_WANTS_PASSWORD;

/// One code, with its meaning and remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As Microsoft spells it; `xx` at its end stands for two digits. A reply of the
    /// relay has its code and enhanced status: `535 5.7.8`.
    pub code: &'static str,
    /// What happened: one or two sentences.
    pub cause: &'static str,
    /// What to do: imperative, begins with a small letter and ends without a full
    /// stop, so that it fits into a log line. See [`named`].
    pub remedy: &'static str,
    /// Where to click, or the command to run; words in capitals are placeholders.
    pub place: Option<&'static str>,
}

impl Entry {
    /// The lines that `explain` prints, each as a label and a text; the documentation has the
    /// same. Without a message, MAILBOX and ADDRESS stand for the names in it.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, String)> {
        let place = self.place.map(|place| ("place", place.to_owned()));
        let lines = [
            ("code", self.code.to_owned()),
            ("cause", self.cause.to_owned()),
            ("remedy", named(self.remedy, "MAILBOX", "ADDRESS")),
        ];
        lines.into_iter().chain(place)
    }

    /// The place, with the names in it as far as they are known.
    pub fn place_of(&self, app: Option<App<'_>>, mailbox: &str) -> Option<String> {
        let place = self.place?.replace("MAILBOX", mailbox);
        Some(app.map_or_else(|| place.clone(), |app| app.fill_in(&place)))
    }

    /// The first sentence of the cause: what stands next to the code in a list.
    pub fn summary(&self) -> String {
        let first = self.cause.split(". ").next().unwrap_or_default();
        format!("{}.", first.trim_end_matches('.'))
    }
}

/// An app registration, for the places that name one.
#[derive(Clone, Copy, Debug)]
pub struct App<'a> {
    /// Its tenant.
    pub tenant: &'a str,
    /// Its client ID.
    pub client_id: &'a str,
    /// Scheme and host of Entra in its cloud.
    pub login_url: &'a str,
}

impl App<'_> {
    /// Returns the address at which an administrator of the tenant consents to what the app asks
    /// for.
    pub fn admin_consent(&self) -> String {
        self.fill_in(place::CONSENT.unwrap_or_default())
    }

    fn fill_in(&self, place: &str) -> String {
        place
            .replace(place::LOGIN_URL, self.login_url)
            .replace("/TENANT/", &format!("/{}/", self.tenant))
            .replace("APP_ID", self.client_id)
    }
}

/// Codes of one kind: whoever reads one knows by its form, and by where it appeared, which
/// family to look into.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// A heading.
    pub name: &'static str,
    /// Where these codes appear, in a sentence or two.
    pub about: &'static str,
    tables: &'static [&'static [Entry]],
}

impl Family {
    /// Its entries.
    pub fn entries(&self) -> impl Iterator<Item = &'static Entry> {
        self.tables.iter().copied().flatten()
    }
}

/// Every entry has its place in one of these.
pub const FAMILIES: [Family; 6] = [
    Family {
        name: "Entra (AADSTS)",
        about: "Entra ID refuses to issue a token to the relay, or to let a mailbox sign in. The \
            number says why.",
        tables: &[entra::ENTRIES, signin::ENTRIES],
    },
    Family {
        name: "OAuth",
        about: "The same refusals in the words of OAuth. Usually an AADSTS number is next to the \
            word, and says more.",
        tables: &[oauth::ENTRIES],
    },
    Family {
        name: "Graph",
        about: "Microsoft Graph, or Exchange behind it, does not accept a request of the relay.",
        tables: &[graph::ENTRIES, service::ENTRIES],
    },
    Family {
        name: "HTTP and network",
        about: "There was no answer, or an answer without a code of Graph: often from a proxy or a \
            firewall. These names are the relay's own.",
        tables: &[http::ENTRIES],
    },
    Family {
        name: "Exchange (5.x.x)",
        about: "Exchange has accepted the message and cannot deliver it: the code is in the \
            non-delivery report in the inbox of the sending mailbox. Or a program still sends \
            through Microsoft's SMTP server instead of the relay.",
        tables: &[exchange::ENTRIES],
    },
    Family {
        name: "The relay itself",
        about: "A program that sends mail got this reply from the relay, or a failure report of the \
            relay has this status. The reply itself says more.",
        tables: &[relay::ENTRIES],
    },
];

/// The beginning of each of Entra's codes.
const AADSTS: &str = "AADSTS";

/// Every entry, family by family.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    FAMILIES
        .into_iter()
        .flat_map(|family| family.tables.iter().copied().flatten())
}

/// The entry of a code: `AADSTS7000215`, `7000215`, `ErrorSendAsDenied`,
/// `invalid_client`, `5.7.705`, `535 5.7.8`, `http-407` or `407`, in any case.
pub fn find(code: &str) -> Option<&'static Entry> {
    let code = code.trim();
    exact(code).or_else(|| match code.len() {
        3 if is_number(code) => exact(&format!("http-{code}")),
        _ if is_number(code) => exact(&format!("{AADSTS}{code}")),
        _ => family(code),
    })
}

/// The entry of an answer to a request. The status of a 413 says more than its code, unless the code
/// is about the mailbox's own limit.
pub fn of_answer(status: Option<u16>, code: Option<&str>) -> Option<&'static Entry> {
    match status {
        Some(413) if code != Some(TOO_LARGE_TO_SEND) => exact(TOO_LARGE),
        Some(_) | None => find(code?),
    }
}

/// The entry of `AADSTSn`.
pub fn entra(number: u32) -> Option<&'static Entry> {
    exact(&format!("{AADSTS}{number}"))
}

/// The entries of all codes in a text from a log or a screen, in the order in
/// which they appear. Bare numbers count only if the text has no other code, because
/// texts are full of ports, times and lengths.
pub fn found_in(text: &str) -> Vec<&'static Entry> {
    let lower = text.to_lowercase();
    let phrases = PHRASES.iter().filter(|(words, _)| lower.contains(words));
    let mut found: Vec<&'static Entry> = phrases.filter_map(|(_, code)| exact(code)).collect();
    let (mut numbers, mut before) = (Vec::new(), None);
    for word in words(text) {
        if is_number(word) {
            numbers.push(word);
        } else if is_status(word) {
            found.extend(of_status(before, word));
        } else if let Some(entry) = find(word) {
            found.push(entry);
        } else {
            found.extend(in_pieces(word));
        }
        before = Some(word);
    }
    if found.is_empty() {
        found.extend(numbers.iter().filter_map(|number| find(number)));
    }
    if found.is_empty() {
        found = first_number(text);
    }
    let mut seen: Vec<&str> = Vec::new();
    found.retain(|entry| {
        let is_new = !seen.contains(&entry.code);
        seen.push(entry.code);
        is_new
    });
    found
}

/// The entries of the number that a text begins with, as a reply of the relay and,
/// if the text is nothing else, as an HTTP status.
fn first_number(text: &str) -> Vec<&'static Entry> {
    let mut words = words(text);
    let Some(code) = words.next().filter(|word| is_reply_code(word)) else {
        return Vec::new();
    };
    let mut found: Vec<_> = of_reply_code(code).collect();
    let may_be_http = found.is_empty() || IN_BOTH.contains(&code);
    if may_be_http && words.next().is_none() {
        found.extend(family(&format!("http-{code}")));
    }
    found
}

/// Codes of the relay's replies that are common as HTTP statuses too.
const IN_BOTH: [&str; 3] = ["500", "502", "503"];

/// The codes in `550-5.7.708`, as in the lines of a long reply.
fn in_pieces(word: &str) -> Vec<&'static Entry> {
    match word.split_once('-') {
        Some((code, status)) if is_status(status) => of_status(Some(code), status),
        Some(_) | None => {
            let pieces = word.split('-').filter(|piece| !is_number(piece));
            pieces.filter_map(find).collect()
        }
    }
}

/// The entries of an enhanced status: those of the reply with this code or, if
/// there is no such reply, all that have the status.
fn of_status(code: Option<&str>, status: &str) -> Vec<&'static Entry> {
    if let Some(entry) = code.and_then(|code| exact(&format!("{code} {status}"))) {
        return vec![entry];
    }
    let replies = replies().filter(|(_, other, _)| *other == status);
    let known = find(status).into_iter();
    known.chain(replies.map(|(_, _, entry)| entry)).collect()
}

/// The entries of all replies with this code.
fn of_reply_code(code: &str) -> impl Iterator<Item = &'static Entry> {
    let replies = replies().filter(move |(other, _, _)| *other == code);
    replies.map(|(_, _, entry)| entry)
}

/// The entries of replies, with code and enhanced status.
fn replies() -> impl Iterator<Item = (&'static str, &'static str, &'static Entry)> {
    all().filter_map(|entry| {
        let (code, status) = entry.code.split_once(' ')?;
        Some((code, status, entry))
    })
}

/// A request that is too large.
const TOO_LARGE: &str = "http-413";
/// A message that is larger than its mailbox may send.
const TOO_LARGE_TO_SEND: &str = "ErrorMessageSizeExceeded";

/// Texts that people copy without their code, or whose code says nothing, in lower case.
const PHRASES: [(&str, &str); 8] = [
    ("maximum request length", TOO_LARGE),
    ("need admin approval", "AADSTS90094"),
    (
        "credential type not allowed as per assigned policy",
        "CredentialTypeNotAllowedAsPerAppPolicy",
    ),
    (
        "credential lifetime exceeds the max value allowed as per assigned policy",
        "CredentialInvalidLifetimeAsPerAppPolicy",
    ),
    (
        "insufficient privileges to complete",
        "Authorization_RequestDenied",
    ),
    ("access is denied. check credentials", "ErrorAccessDenied"),
    (
        "mailbox is either inactive, soft-deleted",
        "MailboxNotEnabledForRESTAPI",
    ),
    (
        "access token has expired or is not yet valid",
        "InvalidAuthenticationToken",
    ),
];

/// The entry whose code is most similar to this one, if any is similar: a guess for
/// "did you mean". Short codes must be more similar than long ones. A code that
/// begins with a digit is never guessed: another digit makes it another code.
pub fn nearest(code: &str) -> Option<&'static Entry> {
    let code = code.trim().to_ascii_lowercase();
    let code = if is_number(&code) && code.len() > 3 {
        format!("{AADSTS}{code}").to_ascii_lowercase()
    } else {
        code
    };
    all()
        .filter(|entry| {
            entry
                .code
                .starts_with(|first: char| first.is_ascii_alphabetic())
        })
        .map(|entry| {
            let known = entry.code.to_ascii_lowercase();
            (strsim::damerau_levenshtein(&known, &code), entry)
        })
        .filter(|(distance, entry)| {
            let length = entry.code.len();
            *distance <= 1 + length / 5 && distance * 3 < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, entry)| entry)
}

/// The From address in a remedy, where it is not known.
pub const SOME_ADDRESS: &str = "ADDRESS";

/// Instead of Send As on its own address, which a mailbox always has.
const OWN_ADDRESS: &str = "check in Exchange that {mailbox} is an address of its mailbox, not only its \
    user principal name";

/// The text with its placeholders `{mailbox}` and `{author}` filled in. It may be longer than the
/// remedy in it.
pub fn named(text: &str, mailbox: &str, author: &str) -> String {
    let text = match author.eq_ignore_ascii_case(mailbox) {
        true => text.replace(SEND_AS_DENIED.remedy, OWN_ADDRESS),
        false => text.to_owned(),
    };
    text.replace("{mailbox}", mailbox)
        .replace("{author}", author)
}

fn exact(code: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.code.eq_ignore_ascii_case(code))
}

/// `5.7.512` is one of `5.7.5xx`, `http-418` of `http-4xx`.
fn family(code: &str) -> Option<&'static Entry> {
    let (head, tail) = code.split_at_checked(code.len().checked_sub(2)?)?;
    let is_member = is_number(tail) && head.ends_with(|last: char| last.is_ascii_digit());
    is_member.then(|| exact(&format!("{head}xx"))).flatten()
}

/// Whether it looks like an enhanced status (RFC 3463): `5.7.8`.
fn is_status(text: &str) -> bool {
    let mut numbers = text.split('.');
    text.starts_with(['2', '4', '5'])
        && numbers.clone().count() == 3
        && numbers.all(|number| is_number(number) && number.len() <= 3)
}

/// Whether it looks like the code of a refusal, in SMTP or in HTTP.
fn is_reply_code(text: &str) -> bool {
    text.len() == 3 && is_number(text) && text.starts_with(['4', '5'])
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The words that may be codes, without punctuation around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .map(|word| word.trim_matches(['.', '-', '_']))
        .filter(|word| !word.is_empty())
}
