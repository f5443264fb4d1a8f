//! What Entra, Graph and Exchange can say when mail is sent, in an
//! administrator's words: what happened, what to do, and where.
//!
//! | file | what is said by whom |
//! |---|---|
//! | `entra.rs` | Entra about the app, its credential, the tenant |
//! | `signin.rs` | Entra about consent, users, policies, refresh tokens |
//! | `oauth.rs` | the words of OAuth, where no number came with them |
//! | `graph.rs` | Graph and Exchange, when they refuse |
//! | `service.rs` | Graph and Exchange, when they are busy or in trouble |
//! | `http.rs` | a status without a code, or no answer |
//! | `exchange.rs` | Exchange in SMTP: reports after Graph took the message |
//!
//! Which codes there are and what they mean is from Microsoft's pages "Microsoft
//! Entra authentication and authorization error codes", "Microsoft Graph error
//! responses and resource types", "Microsoft Graph throttling guidance", "Attach
//! large files to Outlook messages" and "Email non-delivery reports and SMTP
//! errors in Exchange Online", and from what others report that they have seen;
//! the texts are our own.
//!
//! It promises that each text is here once and each code has one entry. What
//! becomes of a message, `delivery/outcome/` decides: an entry is words only.
//! `{mailbox}` and `{author}` in a remedy stand for a message's; see [`named`].

mod entra;
mod exchange;
mod graph;
mod http;
mod oauth;
mod place;
mod service;
mod signin;
#[cfg(test)]
mod tests;

pub use graph::ACCESS_DENIED;
pub use graph::INVALID_TOKEN;
pub use graph::INVALID_USER;
pub use graph::MAILBOX_FULL;
pub use graph::NO_LICENCE;
pub use graph::SEND_AS_DENIED;
pub use graph::SUBMISSION_BLOCKED;
pub use http::NOT_GRAPH;
pub use http::PROXY_WANTS_PASSWORD;

/// One thing that can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As Microsoft spells it; `xx` at its end stands for two digits.
    pub code: &'static str,
    /// What happened: one or two sentences.
    pub cause: &'static str,
    /// What to do: imperative, from a small letter, without a full stop at its
    /// end, so that it can stand in a line of the log. See [`named`].
    pub remedy: &'static str,
    /// Where to click, or the line to run, with capitals to fill in.
    pub place: Option<&'static str>,
}

const TABLES: [&[Entry]; 7] = [
    entra::ENTRIES,
    signin::ENTRIES,
    oauth::ENTRIES,
    graph::ENTRIES,
    service::ENTRIES,
    http::ENTRIES,
    exchange::ENTRIES,
];

/// Before the number of each of Entra's codes.
const AADSTS: &str = "AADSTS";

/// Every entry, file by file.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    TABLES.into_iter().flatten()
}

/// The entry of a code: `AADSTS7000215`, `7000215`, `ErrorSendAsDenied`,
/// `invalid_client`, `5.7.705`, `http-407` or `407`, in any case.
pub fn find(code: &str) -> Option<&'static Entry> {
    let code = code.trim();
    exact(code).or_else(|| match code.len() {
        3 if is_number(code) => exact(&format!("http-{code}")),
        _ if is_number(code) => exact(&format!("{AADSTS}{code}")),
        _ => family(code),
    })
}

/// The entry of `AADSTSn`.
pub fn entra(number: u32) -> Option<&'static Entry> {
    exact(&format!("{AADSTS}{number}"))
}

/// The entries of all codes in a text, as it stands in a log or on a screen, in
/// the order of their coming. Bare numbers count where nothing else is found: a
/// text is full of ports, times and lengths.
pub fn found_in(text: &str) -> Vec<&'static Entry> {
    let lower = text.to_lowercase();
    let said = PHRASES.iter().filter(|(words, _)| lower.contains(words));
    let mut found: Vec<&'static Entry> = said.filter_map(|(_, code)| exact(code)).collect();
    let (numbers, words): (Vec<&str>, Vec<&str>) = words(text).partition(|word| is_number(word));
    for word in words {
        let pieces = || word.split('-').filter(|piece| !is_number(piece));
        match find(word) {
            Some(entry) => found.push(entry),
            // `550-5.7.708`.
            None => found.extend(pieces().filter_map(find)),
        }
    }
    if found.is_empty() {
        found.extend(numbers.into_iter().filter_map(find));
    }
    let mut seen: Vec<&str> = Vec::new();
    found.retain(|entry| {
        let is_new = !seen.contains(&entry.code);
        seen.push(entry.code);
        is_new
    });
    found
}

/// What people copy without its code, in lower case.
const PHRASES: [(&str, &str); 4] = [
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

/// The entry whose code is most like this one, if any is like it: a guess for
/// "did you mean". A short code has few letters to be like, and a status in
/// three numbers is another status when one of them differs.
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

/// A text with a mailbox and an author in the places that it has for them.
pub fn named(text: &str, mailbox: &str, author: &str) -> String {
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

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What may be a code, without the marks around it.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)))
        .map(|word| word.trim_matches(['.', '-', '_']))
        .filter(|word| !word.is_empty())
}
