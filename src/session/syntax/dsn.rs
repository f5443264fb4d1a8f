//! The parameters of RFC 3461 on a command line: RET and ENVID of MAIL, NOTIFY and
//! ORCPT of RCPT.
//!
//! They concern only reports. So a value that cannot be understood is noted as a
//! deviation and counts as not given: no message is refused because of it, and no report
//! of a failure is lost. `mail/dsn.rs` has the meaning of the values.

use crate::mail::EnvelopeId;
use crate::mail::LONGEST_ENVELOPE_ID;
use crate::mail::LONGEST_ORIGINAL;
use crate::mail::NotifyOn;
use crate::mail::OriginalRecipient;
use crate::mail::RecipientRequest;
use crate::mail::Returned;
use crate::mail::utf8_address_in_ascii;
use crate::session::Quirk;
use crate::session::quirk::Quirks;

/// What MAIL requests about reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct MailReports {
    pub(in crate::session) returned: Option<Returned>,
    pub(in crate::session) envelope_id: Option<EnvelopeId>,
}

/// The parameters of one command, as written.
#[derive(Debug, Default)]
pub(in crate::session) struct Parameters {
    given: Vec<(Name, String)>,
    /// Whether the last word belongs to them, so that the next may continue it.
    is_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Ret,
    Envid,
    Notify,
    Orcpt,
}

impl Name {
    fn of(word: &str) -> Option<Self> {
        match word.to_ascii_uppercase().as_str() {
            "RET" => Some(Self::Ret),
            "ENVID" => Some(Self::Envid),
            "NOTIFY" => Some(Self::Notify),
            "ORCPT" => Some(Self::Orcpt),
            _ => None,
        }
    }

    fn quirk(self) -> Quirk {
        match self {
            Self::Ret => Quirk::BadRet,
            Self::Envid => Quirk::BadEnvid,
            Self::Notify => Quirk::BadNotify,
            Self::Orcpt => Quirk::BadOrcpt,
        }
    }
}

impl Parameters {
    /// Consumes a word of the command if it is one of these parameters or continues one:
    /// some programs write `NOTIFY=SUCCESS, FAILURE`.
    pub(in crate::session) fn take(&mut self, word: &str) -> bool {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if let Some(name) = Name::of(name) {
            self.given.push((name, value.to_owned()));
            self.is_open = true;
            return true;
        }
        match self.given.last_mut() {
            Some((name, value)) if self.is_open && goes_on(*name, value, word) => {
                value.push(' ');
                value.push_str(word);
            }
            Some(_) | None => self.is_open = false,
        }
        self.is_open
    }

    /// The requests in MAIL.
    pub(in crate::session) fn of_mail(&self, quirks: &mut Quirks) -> MailReports {
        self.misplaced(&[Name::Notify, Name::Orcpt], quirks);
        MailReports {
            returned: self.value(Name::Ret, quirks, |text| text.parse().ok()),
            envelope_id: self.value(Name::Envid, quirks, envelope_id),
        }
    }

    /// The requests in RCPT.
    pub(in crate::session) fn of_rcpt(&self, quirks: &mut Quirks) -> RecipientRequest {
        self.misplaced(&[Name::Ret, Name::Envid], quirks);
        RecipientRequest {
            notify: self.value(Name::Notify, quirks, notify),
            original: self.value(Name::Orcpt, quirks, original),
        }
    }

    fn misplaced(&self, names: &[Name], quirks: &mut Quirks) {
        for (name, _) in self.given.iter().filter(|(name, _)| names.contains(name)) {
            quirks.note(name.quirk());
        }
    }

    /// The value of a parameter. RFC 3461 4 allows each once; a repeated one counts if it
    /// has the same value.
    fn value<T: PartialEq>(
        &self,
        name: Name,
        quirks: &mut Quirks,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let given = self.given.iter().filter(|(it, _)| *it == name);
        let mut given = given.map(|(_, text)| (read(text), is_odd(name, text)));
        let (first, mut odd) = given.next()?;
        let mut same = first.is_some();
        for (other, _) in given {
            odd = true;
            same &= other == first;
        }
        if odd || !same {
            quirks.note(name.quirk());
        }
        first.filter(|_| same)
    }
}

/// Whether a word without a name belongs to the value before it. A word that could be
/// another command or another recipient never does.
fn goes_on(name: Name, value: &str, word: &str) -> bool {
    match name {
        Name::Ret => false,
        Name::Envid => {
            word.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
                && !is_keyword(word)
        }
        Name::Notify => word == "," || notify(word).is_some(),
        Name::Orcpt => value.ends_with(';') && !word.contains(['<', '>', '=', ':', ',']),
    }
}

/// Whether a word is another parameter of MAIL.
fn is_keyword(word: &str) -> bool {
    let known = ["SIZE", "BODY", "SMTPUTF8", "AUTH"];
    known.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a value is understood although RFC 3461 does not allow it.
fn is_odd(name: Name, text: &str) -> bool {
    match name {
        Name::Ret => false,
        Name::Notify | Name::Orcpt if text.contains(' ') => true,
        Name::Notify => false,
        // RFC 3461 4: xtext has no `=`, and its digits are capitals.
        Name::Envid | Name::Orcpt => {
            text.contains('=')
                || text
                    .split('+')
                    .skip(1)
                    .any(|piece| piece.bytes().take(2).any(|byte| byte.is_ascii_lowercase()))
        }
    }
}

fn notify(text: &str) -> Option<NotifyOn> {
    text.replace(' ', ",").parse().ok()
}

fn envelope_id(text: &str) -> Option<EnvelopeId> {
    // RFC 3461 4 limits the length of the xtext. If it were cut, it would name another
    // message.
    let fits = text.len() <= LONGEST_ENVELOPE_ID && !text.contains(' ');
    fits.then(|| xtext(text))??.parse().ok()
}

/// RFC 3461 4.2; for addresses beyond ASCII RFC 6533 3.
fn original(text: &str) -> Option<OriginalRecipient> {
    let (kind, address) = text.split_once(';')?;
    let address = address.strip_prefix(' ').unwrap_or(address);
    if text.len() > LONGEST_ORIGINAL || address.contains(' ') {
        return None;
    }
    let address = match kind.eq_ignore_ascii_case("utf-8") {
        // `utf-8-addr-unitext`, which is allowed after SMTPUTF8.
        true if !address.is_ascii() => utf8_address_in_ascii(address),
        true | false => xtext(address)?,
    };
    format!("{kind};{address}").parse().ok()
}

/// Decodes xtext (RFC 3461 4), in which `+` and two digits stand for a character. The
/// result is printable ASCII, so that neither a line end nor a raw byte gets into a
/// report.
fn xtext(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        };
        matches!(byte, b' '..=b'~').then(|| decoded.push(char::from(byte)))?;
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The parameters of a command, and the deviations found while reading them.
    fn read(words: &str) -> (MailReports, RecipientRequest, Vec<Quirk>) {
        let mut parameters = Parameters::default();
        for word in words.split_ascii_whitespace() {
            assert!(parameters.take(word), "{word} in {words:?}");
        }
        let mut quirks = Quirks::default();
        let is_mail = words.to_ascii_uppercase().starts_with(['R', 'E']);
        let (mail, rcpt) = match is_mail {
            true => (parameters.of_mail(&mut quirks), RecipientRequest::default()),
            false => (MailReports::default(), parameters.of_rcpt(&mut quirks)),
        };
        (mail, rcpt, quirks.take().to_vec())
    }

    fn envid(words: &str) -> Option<String> {
        read(words).0.envelope_id.map(|id| id.as_str().to_owned())
    }

    fn orcpt(words: &str) -> Option<String> {
        let original = read(words).1.original;
        original.map(|it| it.as_str().to_owned())
    }

    fn notify_of(words: &str) -> Option<String> {
        read(words).1.notify.map(|it| it.to_string())
    }

    #[test]
    fn right_values_are_read_in_any_order_and_case() {
        let (mail, _, quirks) = read("ret=hdrs EnvId=QQ314159");
        assert_eq!(mail.returned, Some(Returned::Header));
        assert_eq!(
            envid("ENVID=a+20b+2Bc+3Dd RET=FULL").as_deref(),
            Some("a b+c=d")
        );
        assert_eq!(quirks, []);
        let (_, rcpt, quirks) = read("notify=Failure,DELAY orcpt=rfc822;Bob+2Bx@Example.ORG");
        assert_eq!(rcpt.notify.unwrap().to_string(), "FAILURE,DELAY");
        assert_eq!(rcpt.original.unwrap().as_str(), "rfc822;Bob+x@Example.ORG");
        assert_eq!(quirks, []);
        let (_, rcpt, _) = read("ORCPT=utf-8;j\\x{FC}rgen@example.org NOTIFY=NEVER");
        assert_eq!(rcpt.notify, Some(NotifyOn::NEVER));
        assert_eq!(
            rcpt.original.unwrap().as_str(),
            "utf-8;j\\x{FC}rgen@example.org"
        );
        let raw = orcpt("ORCPT=UTF-8;j\u{fc}rgen@example.org");
        assert_eq!(raw.as_deref(), Some("UTF-8;j\\x{FC}rgen@example.org"));
    }

    #[test]
    fn broken_values_count_as_not_given_and_are_noted() {
        let long = format!("ENVID={}", "x".repeat(LONGEST_ENVELOPE_ID + 1));
        let long_address = format!("ORCPT=rfc822;{}@b.c", "x".repeat(LONGEST_ORIGINAL));
        for (words, quirk) in [
            ("RET", Quirk::BadRet),
            ("RET=", Quirk::BadRet),
            ("RET=HEADERS", Quirk::BadRet),
            ("RET=FULL RET=HDRS", Quirk::BadRet),
            ("ENVID", Quirk::BadEnvid),
            ("ENVID=", Quirk::BadEnvid),
            ("ENVID=+20", Quirk::BadEnvid),
            ("ENVID=a+0D+0ABcc:eve", Quirk::BadEnvid),
            ("ENVID=a+00b", Quirk::BadEnvid),
            ("ENVID=a+7F", Quirk::BadEnvid),
            ("ENVID=a+FCb", Quirk::BadEnvid),
            ("ENVID=a+4", Quirk::BadEnvid),
            ("ENVID=a+", Quirk::BadEnvid),
            ("ENVID=a+GGb", Quirk::BadEnvid),
            ("ENVID=a++41", Quirk::BadEnvid),
            ("ENVID=\u{fc}", Quirk::BadEnvid),
            ("ENVID=my id", Quirk::BadEnvid),
            ("ENVID=a ENVID=b", Quirk::BadEnvid),
            (&long, Quirk::BadEnvid),
            ("NOTIFY", Quirk::BadNotify),
            ("NOTIFY=", Quirk::BadNotify),
            ("NOTIFY=,", Quirk::BadNotify),
            ("NOTIFY=ALWAYS", Quirk::BadNotify),
            ("NOTIFY=NEVER,FAILURE", Quirk::BadNotify),
            ("NOTIFY=NEVER NOTIFY=FAILURE", Quirk::BadNotify),
            ("NOTIFY=FAILURE NOTIFY=X", Quirk::BadNotify),
            ("ORCPT", Quirk::BadOrcpt),
            ("ORCPT=you@example.org", Quirk::BadOrcpt),
            ("ORCPT=rfc822;", Quirk::BadOrcpt),
            ("ORCPT=;you@example.org", Quirk::BadOrcpt),
            ("ORCPT=r\u{fc};you@example.org", Quirk::BadOrcpt),
            ("ORCPT=rfc822;you+tag@example.org", Quirk::BadOrcpt),
            ("ORCPT=rfc822;a+0D+0AAction:+20delivered", Quirk::BadOrcpt),
            ("ORCPT=x+0A;a", Quirk::BadOrcpt),
            ("ORCPT=utf-8;a+0Ab", Quirk::BadOrcpt),
            ("ORCPT=rfc822;j\u{fc}rgen@example.org", Quirk::BadOrcpt),
            (&long_address, Quirk::BadOrcpt),
        ] {
            let (mail, rcpt, quirks) = read(words);
            assert_eq!(mail, MailReports::default(), "{words}");
            assert_eq!(rcpt, RecipientRequest::default(), "{words}");
            assert_eq!(quirks, [quirk], "{words}");
        }
    }

    #[test]
    fn odd_values_that_can_be_read_count_and_are_noted() {
        for words in [
            "NOTIFY=SUCCESS, FAILURE",
            "NOTIFY=SUCCESS FAILURE",
            "NOTIFY=SUCCESS , FAILURE",
            "NOTIFY=SUCCESS,FAILURE NOTIFY=failure,success",
        ] {
            let words = words.to_owned();
            assert_eq!(
                notify_of(&words).as_deref(),
                Some("SUCCESS,FAILURE"),
                "{words}"
            );
            assert_eq!(read(&words).2, [Quirk::BadNotify], "{words}");
        }
        for (words, id) in [
            ("ENVID=QUJDRA==", "QUJDRA=="),
            ("ENVID=a+2bb", "a+b"),
            ("ENVID=a ENVID=a", "a"),
        ] {
            assert_eq!(envid(words).as_deref(), Some(id), "{words}");
            assert_eq!(read(words).2, [Quirk::BadEnvid], "{words}");
        }
        let blank = "ORCPT=rfc822; you@example.org";
        assert_eq!(orcpt(blank).as_deref(), Some("rfc822;you@example.org"));
        assert_eq!(read(blank).2, [Quirk::BadOrcpt]);
    }

    #[test]
    fn a_parameter_of_the_other_command_is_noted_and_counts_for_nothing() {
        let mut parameters = Parameters::default();
        for word in ["RET=FULL", "ENVID=x", "NOTIFY=NEVER", "ORCPT=rfc822;a@b.c"] {
            assert!(parameters.take(word));
        }
        let mut quirks = Quirks::default();

        let mail = parameters.of_mail(&mut quirks);
        assert_eq!(quirks.take(), [Quirk::BadNotify, Quirk::BadOrcpt]);
        let rcpt = parameters.of_rcpt(&mut quirks);
        assert_eq!(quirks.take(), [Quirk::BadRet, Quirk::BadEnvid]);

        assert_eq!(mail.returned, Some(Returned::Message));
        assert_eq!(rcpt.notify, Some(NotifyOn::NEVER));
    }

    #[test]
    fn another_command_or_recipient_on_the_same_line_is_never_part_of_a_value() {
        for (given, word) in [
            ("NOTIFY=NEVER", "RCPT"),
            ("NOTIFY=NEVER", "FOO=BAR"),
            ("NOTIFY=NEVER", "<eve@example.org>"),
            ("ORCPT=rfc822;", "<eve@example.org>"),
            ("ORCPT=rfc822;", "TO:<eve@example.org>"),
            ("ORCPT=rfc822;a@b.c", "eve@example.org"),
            ("ENVID=x", "FROM:<eve@example.org>"),
            ("ENVID=x", "eve@example.org"),
            ("ENVID=x", "SMTPUTF8"),
            ("ENVID=x", "SIZE=12"),
            ("ENVID=x", "size"),
            ("ORCPT=rfc", "822"),
            ("RET=FULL", "HDRS"),
        ] {
            let mut parameters = Parameters::default();
            assert!(parameters.take(given));
            assert!(!parameters.take(word), "{given} {word}");
        }
    }

    /// RFC 3461 4, written independently of the decoder.
    fn encoded(text: &str) -> String {
        let plain = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'+' && byte != b'=';
        let encode = |byte: u8| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("+{byte:02X}"),
        };
        text.bytes().map(encode).collect()
    }

    proptest! {
        #[test]
        fn xtext_preserves_every_printable_text(text in "[ -~]{1,40}") {
            prop_assert_eq!(xtext(&encoded(&text)), Some(text.clone()));
            if encoded(&text).len() <= LONGEST_ENVELOPE_ID && !text.trim().is_empty() {
                let (mail, _, quirks) = read(&format!("ENVID={}", encoded(&text)));
                prop_assert_eq!(mail.envelope_id.map(|id| id.as_str().to_owned()), Some(text));
                prop_assert_eq!(quirks, []);
            }
        }

        #[test]
        fn xtext_always_decodes_to_one_printable_line(
            text in "([!-~]|\\+[0-9A-Fa-f]{0,2}|\\PC){0,60}",
        ) {
            if let Some(decoded) = xtext(&text) {
                prop_assert!(decoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
                prop_assert!(decoded.len() <= text.len());
            }
        }

        #[test]
        fn requests_for_reports_are_never_refused(
            name in "(RET|ENVID|notify|ORCPT)",
            value in "(=[!-~\u{fc}]{0,30})?",
        ) {
            let mut parameters = Parameters::default();
            let word = format!("{name}{value}");
            prop_assert!(parameters.take(&word));
            let mut quirks = Quirks::default();
            let _read = (parameters.of_mail(&mut quirks), parameters.of_rcpt(&mut quirks));
        }
    }
}
