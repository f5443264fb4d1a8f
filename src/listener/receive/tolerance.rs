//! Bytes that no message may contain: which of them the listener accepts and notes.
//! `session/data.rs` says what they become.

use crate::config::Listener;
use crate::config::Tolerance;
use crate::mime::Header;
use crate::session::DataReader;
use crate::session::Faults;
use crate::session::LineEnd;
use crate::session::Quirk;
use crate::session::Session;
use crate::session::Verdict;
use crate::spool::Incoming;

/// Reads the content behind a DATA line that ended like this.
pub(super) fn reader(line_end: LineEnd, listener: &Listener) -> DataReader {
    match (line_end, listener.bare_cr) {
        (LineEnd::CrCrLf, Tolerance::Normalise) => DataReader::behind_cr_cr_lf(),
        _ => DataReader::default(),
    }
}

/// Records the faults of a message; returns the verdict if it is refused for them.
pub(in crate::listener) fn tolerate(
    faults: Faults,
    content: &Incoming,
    listener: &Listener,
    session: &mut Session,
) -> Result<(), Verdict> {
    let refuses = |tolerance| tolerance == Tolerance::Refuse;
    let refused = Faults {
        bare_lf: faults.bare_lf && refuses(listener.bare_lf),
        bare_cr: faults.bare_cr && refuses(listener.bare_cr),
        nul: faults.nul && refuses(listener.nul),
        cr_cr_lf: false,
    };
    if refused != Faults::default() {
        return Err(Verdict::Malformed(refused));
    }
    if is_binary(faults, content) {
        return Err(Verdict::Binary);
    }
    for (seen, quirk) in [
        (faults.bare_lf, Quirk::BareLf),
        (faults.cr_cr_lf, Quirk::CrCrLf),
        (faults.bare_cr, Quirk::BareCr),
        (faults.nul, Quirk::Nul),
    ] {
        if seen {
            session.note(quirk);
        }
    }
    Ok(())
}

/// Whether the faults are those of a file without an encoding, which would be damaged.
/// Text has such bytes by mistake, and is improved by the correction.
fn is_binary(faults: Faults, content: &Incoming) -> bool {
    if !faults.nul && !faults.bare_cr {
        return false;
    }
    let head = content.head();
    let Some(header) = Header::of_message(head, head.len() as u64 == content.size()) else {
        return false;
    };
    let first_word = |name: &str| {
        let field = header.all(name).next()?;
        let text = field.text().trim().to_ascii_lowercase();
        let word = text.split(['/', ';', ' ', '\t', '\r', '\n']).next()?;
        Some(word.trim_matches('"').to_owned())
    };
    let encoding = first_word("Content-Transfer-Encoding").unwrap_or_default();
    match first_word("Content-Type").unwrap_or_default().as_str() {
        "" | "text" => false,
        // One of its parts may be the file: a file of some size has both.
        "multipart" | "message" => faults.nul && faults.bare_cr,
        _ => !["base64", "quoted-printable"].contains(&encoding.as_str()),
    }
}
