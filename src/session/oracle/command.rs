//! The oracle of the command parser.

use secrecy::ExposeSecret;

use super::wire;
use crate::mail::Address;
use crate::mail::ForwardPath;
use crate::mail::LONGEST_ENVELOPE_ID;
use crate::mail::LONGEST_ORIGINAL;
use crate::session::Reply;
use crate::session::quirk::Quirks;
use crate::session::syntax::Command;
use crate::session::syntax::Mail;
use crate::session::syntax::Rcpt;
use crate::session::syntax::parse;

/// Tries a line, without its line end.
pub fn command(line: &[u8]) {
    let parsed = read(line);
    if let Err(reply) = &parsed {
        assert!(reply.is_refusal(), "{reply:?}");
        wire(reply);
    }
    let shown = shown(&parsed);
    assert_eq!(shown, self::shown(&read(&other_case(line))), "other case");
    match &parsed {
        Ok(Command::Http) => {}
        Ok(Command::Mail(mail)) => same_again(mail),
        Ok(Command::Rcpt(rcpt)) => same_recipient_again(rcpt),
        Ok(Command::Helo(name) | Command::Ehlo(name)) => {
            assert!(!name.is_empty() && name.chars().count() <= 255, "{name:?}");
            assert!(
                !name.contains(|c: char| c.is_control() && c != '\t'),
                "{name:?}"
            );
        }
        Ok(Command::Auth { initial, .. }) => {
            let initial = initial.as_ref().map(|initial| initial.expose_secret());
            let last = line
                .split(|byte| b" \t".contains(byte))
                .rfind(|word| !word.is_empty());
            assert!(initial.is_none_or(|initial| Some(initial.as_bytes()) == last));
            assert_eq!(shown, self::shown(&read(&masked(line))), "a secret shows");
        }
        Ok(_) => {}
        Err(_) => {
            let secret = masked(line);
            assert_eq!(shown, self::shown(&read(&secret)), "a secret shows");
        }
    }
}

fn read(line: &[u8]) -> Result<Command, Reply> {
    parse(line, &mut Quirks::default())
}

fn shown(parsed: &Result<Command, Reply>) -> String {
    format!("{parsed:?}")
}

/// The verb in the other case.
fn other_case(line: &[u8]) -> Vec<u8> {
    let mut line = line.to_vec();
    let blank = |byte: &u8| b" \t".contains(byte);
    let begin = line.iter().take_while(|byte| blank(byte)).count();
    for byte in line.iter_mut().skip(begin).take_while(|byte| !blank(byte)) {
        *byte ^= if byte.is_ascii_alphabetic() { 0x20 } else { 0 };
    }
    line
}

/// AUTH with its argument replaced by other letters and digits; other commands are
/// unchanged.
fn masked(line: &[u8]) -> Vec<u8> {
    let mut words = 0;
    let mut blank = true;
    let mut verbs = line.split(|byte| b" \t".contains(byte));
    let verb = verbs.find(|word| !word.is_empty()).unwrap_or_default();
    let is_auth = verb
        .get(..4)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH"));
    let masked = line.iter().map(|byte| {
        let was_blank = std::mem::replace(&mut blank, b" \t".contains(byte));
        words += usize::from(was_blank && !blank);
        if is_auth && words > 2 && byte.is_ascii_alphanumeric() {
            b'x'
        } else {
            *byte
        }
    });
    masked.collect()
}

/// A parsed command, written according to RFC 5321 4.1.2, is parsed to the same result.
fn same_again(mail: &Mail) {
    if let Some(address) = mail.reverse_path.address() {
        is_one_address(address);
        assert!(mail.utf8 || address.is_ascii(), "{address} needs SMTPUTF8");
    }
    let mut line = format!("MAIL FROM:{}", mail.reverse_path);
    if let Some(size) = mail.size {
        line.push_str(&format!(" SIZE={size}"));
    }
    if mail.utf8 {
        line.push_str(" SMTPUTF8");
    }
    if let Some(returned) = mail.reports.returned {
        line.push_str(&format!(" RET={returned}"));
    }
    // One that was accepted although it contained a bare `=` may be longer in xtext than
    // is allowed.
    let id = mail.reports.envelope_id.as_ref();
    let id = id.map(|id| xtext(id.as_str()));
    if id.as_ref().is_some_and(|id| id.len() > LONGEST_ENVELOPE_ID) {
        return;
    }
    if let Some(id) = id {
        line.push_str(&format!(" ENVID={id}"));
    }
    let again = read(line.as_bytes());
    assert!(
        matches!(&again, Ok(Command::Mail(again)) if again == mail),
        "{line:?}: {again:?}"
    );
}

/// The same for RCPT.
fn same_recipient_again(rcpt: &Rcpt) {
    if let ForwardPath::Address(address) = &rcpt.path {
        is_one_address(address);
    }
    let mut line = format!("RCPT TO:<{}>", rcpt.path);
    if let Some(notify) = rcpt.reports.notify {
        line.push_str(&format!(" NOTIFY={notify}"));
    }
    if let Some(original) = &rcpt.reports.original {
        let (kind, address) = original.as_str().split_once(';').expect("a type");
        let original = format!("{kind};{}", xtext(address));
        if original.len() > LONGEST_ORIGINAL {
            return;
        }
        line.push_str(&format!(" ORCPT={original}"));
    }
    let again = read(line.as_bytes());
    assert!(
        matches!(&again, Ok(Command::Rcpt(again)) if again == rcpt),
        "{line:?}: {again:?}"
    );
}

/// Text written according to RFC 3461 4; it is printable ASCII.
fn xtext(text: &str) -> String {
    let encode = |c: char| match c {
        ' ' | '+' | '=' => format!("+{:02X}", u32::from(c)),
        c => {
            assert!(c.is_ascii_graphic(), "{text:?} is not printable");
            c.to_string()
        }
    };
    text.chars().map(encode).collect()
}

/// Every program reads it as one address, and it is not a header field.
fn is_one_address(address: &Address) {
    let text = address.as_str();
    assert_eq!(text.parse().as_ref(), Ok(address), "{text:?} is not itself");
    assert!(!text.contains(char::is_control), "{text:?}");
    assert_eq!(
        format!("{}@{}", address.local_part(), address.domain()),
        text
    );
    assert_eq!(
        address.canonical().key(),
        address.key(),
        "{text:?} has two keys"
    );
    let local = address.local_part();
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let bare = if quoted { address.domain() } else { text };
    let special = |c: char| c.is_whitespace() || "<>,;()\"\\".contains(c);
    assert!(!bare.contains(special), "{text:?} could be two");
    assert_eq!(bare.matches('@').count(), usize::from(!quoted), "{text:?}");
    if quoted {
        let inside = local.get(1..local.len() - 1).unwrap_or_default();
        let unescaped = inside.replace("\\\\", "").replace("\\\"", "");
        assert!(!unescaped.contains('"'), "{text:?} closes early");
    }
}
