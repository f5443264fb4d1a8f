//! Parses command lines (RFC 5321 4.1.1), only as tolerantly as real clients need.
//!
//! Accepted beyond the grammar: blanks before the command, any case, HELO without a name,
//! a sender without a domain (this machine's), an `AUTH=` parameter (ignored), and the
//! forms of a path in `path.rs`. Deviations are noted. A line with two possible meanings
//! is refused. The session decides whether a command is allowed now.

mod dsn;
mod parameters;
pub(super) mod path;

use std::borrow::Cow;

use secrecy::SecretString;

use self::dsn::MailReports;
use self::path::PathError;
use super::Quirk;
use super::Reply;
use super::auth::Mechanism;
use super::quirk::Quirks;
use crate::mail::Address;
use crate::mail::AddressError;
use crate::mail::ForwardPath;
use crate::mail::RecipientRequest;
use crate::mail::ReversePath;

/// One command with its arguments.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Helo(String),
    Ehlo(String),
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    StartTls,
    Auth {
        mechanism: Mechanism,
        initial: Option<SecretString>,
    },
    /// Not offered, and followed by bytes that are not commands (RFC 3030 2).
    Bdat,
    /// A browser was made to connect to this port.
    Http,
}

/// The arguments of MAIL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) reverse_path: ReversePath,
    /// The announced size in bytes (RFC 1870).
    pub(super) size: Option<u64>,
    /// SMTPUTF8 (RFC 6531 3.4).
    pub(super) utf8: bool,
    /// RET and ENVID (RFC 3461 4.3, 4.4).
    pub(super) reports: MailReports,
}

/// The arguments of RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rcpt {
    pub(super) path: ForwardPath,
    /// NOTIFY and ORCPT (RFC 3461 4.1, 4.2).
    pub(super) reports: RecipientRequest,
}

impl Command {
    /// Whether a mail client sends it after its DATA was refused; anything else may be
    /// content that looks like a command.
    pub(super) fn goes_on(&self) -> bool {
        match self {
            Self::Helo(_)
            | Self::Ehlo(_)
            | Self::Mail(_)
            | Self::Rcpt(_)
            | Self::Data
            | Self::Rset
            | Self::Noop
            | Self::Quit => true,
            Self::Vrfy
            | Self::Help
            | Self::StartTls
            | Self::Auth { .. }
            | Self::Bdat
            | Self::Http => false,
        }
    }
}

/// Reads one line, without its line end.
pub(super) fn parse(line: &[u8], quirks: &mut Quirks) -> Result<Command, Reply> {
    let line = match std::str::from_utf8(line) {
        Ok(line) => Cow::Borrowed(line),
        // Machines with a name in Latin-1; the name decides nothing.
        Err(_) if is(line, b"EHLO") || is(line, b"HELO") => String::from_utf8_lossy(line),
        Err(_) => return Err(Reply::syntax("Command is not valid UTF-8")),
    };
    if line.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Reply::syntax("Control character in command"));
    }
    let line = line.trim_end_matches([' ', '\t']);
    let bare = line.trim_start_matches([' ', '\t']);
    let command = command(bare, quirks)?;
    if bare.len() < line.len() {
        quirks.note(Quirk::BlankBeforeCommand);
    }
    Ok(command)
}

fn command(line: &str, quirks: &mut Quirks) -> Result<Command, Reply> {
    let (verb, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let argument = argument.trim_start_matches([' ', '\t']);
    if argument
        .rsplit(' ')
        .next()
        .is_some_and(|word| word.starts_with("HTTP/"))
    {
        return Ok(Command::Http);
    }
    match verb.to_ascii_uppercase().as_str() {
        "HELO" => Ok(Command::Helo(hello(argument, quirks))),
        "EHLO" => Ok(Command::Ehlo(hello(argument, quirks))),
        "MAIL" => mail(argument, quirks).map(Command::Mail),
        "RCPT" => rcpt(argument, quirks).map(Command::Rcpt),
        "DATA" => bare(argument, Command::Data),
        "RSET" => bare(argument, Command::Rset),
        "QUIT" => bare(argument, Command::Quit),
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        "HELP" => Ok(Command::Help),
        // RFC 3207 4: 501 if there are parameters.
        "STARTTLS" => bare(argument, Command::StartTls),
        "AUTH" => auth(argument, quirks),
        "BDAT" => Ok(Command::Bdat),
        "EXPN" | "TURN" | "ETRN" => Err(Reply::not_offered()),
        "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT" | "DELETE" => Ok(Command::Http),
        // `MAILFROM:`, `MAIL FROM` without a blank, and everything else.
        _ => Err(Reply::unknown_command()),
    }
}

/// Whether a line is DATA, with or without an argument.
pub(super) fn is_data(line: &[u8]) -> bool {
    is(line, b"DATA")
}

fn is(line: &[u8], verb: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace);
    let said = words.find(|word| !word.is_empty());
    said.is_some_and(|said| said.eq_ignore_ascii_case(verb))
}

/// RFC 5321 4.1.1.5: DATA, RSET and QUIT take no argument.
fn bare(argument: &str, command: Command) -> Result<Command, Reply> {
    if argument.is_empty() {
        Ok(command)
    } else {
        Err(Reply::syntax("Command takes no argument"))
    }
}

/// Any name of a client is accepted, and so is none, because the name decides nothing.
fn hello(argument: &str, quirks: &mut Quirks) -> String {
    if argument.is_empty() {
        quirks.note(Quirk::HelloWithoutName);
        return NAMELESS.to_owned();
    }
    if !is_hello(argument) {
        quirks.note(Quirk::OddHello);
    }
    argument.chars().take(LONGEST_HELLO).collect()
}

/// The name of a client that gives none.
const NAMELESS: &str = "unknown";

/// RFC 5321 4.1.1.1: a domain, or an address literal in brackets.
fn is_hello(argument: &str) -> bool {
    let literal = argument.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    let literal = literal.map(|literal| literal.strip_prefix("IPv6:").unwrap_or(literal));
    let is_literal = literal.is_some_and(|literal| literal.parse::<std::net::IpAddr>().is_ok());
    let is_ip = argument.parse::<std::net::IpAddr>().is_ok();
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    is_literal || (!is_ip && argument.split('.').all(label))
}

/// RFC 5321 4.5.3.1.2: a domain has at most 255 octets.
const LONGEST_HELLO: usize = 255;

/// RFC 4954 4.
fn auth(argument: &str, quirks: &mut Quirks) -> Result<Command, Reply> {
    let mut words = argument.split_ascii_whitespace();
    let missing = || Reply::syntax("AUTH takes a mechanism: PLAIN or LOGIN");
    let name = words.next().ok_or_else(missing)?;
    let mechanism = Mechanism::of(name).ok_or_else(Reply::unknown_mechanism)?;
    let initial = words.next().map(SecretString::from);
    if words.next().is_some() {
        return Err(Reply::syntax("AUTH takes a mechanism and one response"));
    }
    if initial.is_some() && mechanism == Mechanism::Login {
        quirks.note(Quirk::AuthLoginInitialResponse);
    }
    Ok(Command::Auth { mechanism, initial })
}

fn mail(argument: &str, quirks: &mut Quirks) -> Result<Mail, Reply> {
    let rest =
        keyword(argument, "FROM:").ok_or_else(|| Reply::syntax("Write MAIL FROM:<address>"))?;
    let path = path::read(rest, quirks).map_err(Reply::bad_sender)?;
    let parameters = path.parameters;
    let mut mail = Mail {
        reverse_path: match path.address.as_ref() {
            "" => ReversePath::Null,
            path => {
                let address = sender(path, quirks).map_err(Reply::bad_sender)?;
                ReversePath::Address(address)
            }
        },
        size: None,
        utf8: false,
        reports: MailReports::default(),
    };
    parameters::of_mail(parameters, &mut mail, quirks)?;
    if !mail.utf8
        && let ReversePath::Address(address) = &mail.reverse_path
        && !address.is_ascii()
    {
        let ascii = address.in_ascii().ok_or_else(Reply::needs_utf8)?;
        mail.reverse_path = ReversePath::Address(ascii);
    }
    Ok(mail)
}

/// An address. `root` or `My Scanner` alone gets this machine's domain, in which there
/// are no mailboxes, so that nothing is ever sent as that address.
fn sender(path: &str, quirks: &mut Quirks) -> Result<Address, PathError> {
    match path.parse() {
        Ok(address) => Ok(address),
        Err(_) if !path.contains(['@', '"']) => {
            let plain = format!("{path}@{HERE}").parse();
            let address = plain.or_else(|_| format!("\"{path}\"@{HERE}").parse())?;
            quirks.note(Quirk::NoDomain);
            Ok(address)
        }
        Err(AddressError::NoDomain) if !path.contains('@') => {
            let address = format!("{path}@{HERE}").parse()?;
            quirks.note(Quirk::NoDomain);
            Ok(address)
        }
        Err(error) => Err(path::explain(path, error)),
    }
}

/// The domain of an address that has none.
const HERE: &str = "localhost";

fn rcpt(argument: &str, quirks: &mut Quirks) -> Result<Rcpt, Reply> {
    let rest = keyword(argument, "TO:").ok_or_else(|| Reply::syntax("Write RCPT TO:<address>"))?;
    let read = path::read(rest, quirks).map_err(Reply::bad_recipient)?;
    let path = recipient(&read.address).map_err(Reply::bad_recipient)?;
    let reports = parameters::of_rcpt(read.parameters, quirks)?;
    Ok(Rcpt { path, reports })
}

/// An address, or a name without a domain, as `<Postmaster>` (RFC 5321 4.5.1).
fn recipient(path: &str) -> Result<ForwardPath, PathError> {
    path.parse().map_err(|error| path::explain(path, error))
}

/// What follows a keyword such as `FROM:`; some clients put blanks before the colon.
fn keyword<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let (name, colon) = keyword.split_at_checked(keyword.len() - 1)?;
    let (found, rest) = argument.split_at_checked(name.len())?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    rest.trim_start_matches([' ', '\t']).strip_prefix(colon)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[u8]) -> Result<Command, Reply> {
        super::parse(line, &mut Quirks::default())
    }

    fn mail_of(line: &str) -> Result<Mail, u16> {
        match parse(line.as_bytes()) {
            Ok(Command::Mail(mail)) => Ok(mail),
            Ok(other) => panic!("{other:?}"),
            Err(reply) => Err(reply.code),
        }
    }

    #[test]
    fn every_way_to_write_mail_that_clients_use_is_read() {
        for line in [
            "MAIL FROM:<a@b>",
            "mail from:<a@b>",
            "MAIL FROM: <a@b>",
            "MAIL FROM: a@b",
            "MAIL FROM:a@b",
            "MAIL  FROM : <a@b>",
            "MAIL FROM:<a@b> ",
            "MAIL FROM:<@relay.example:a@b>",
            "MAIL FROM:<a@b> BODY=8BITMIME SIZE=12",
            "MAIL FROM:a@b size=12 body=7bit",
            "MAIL FROM:<a@b> AUTH=<> SMTPUTF8",
            "MAIL FROM:<a@b> RET=HDRS SIZE=1 ENVID=x BODY=7BIT",
            "MAIL FROM:<a@b> RET=nonsense ENVID=a+0Ab RET",
        ] {
            let mail = mail_of(line).unwrap_or_else(|code| panic!("{line}: {code}"));
            assert_eq!(mail.reverse_path.to_string(), "<a@b>", "{line}");
        }
        assert_eq!(
            mail_of("MAIL FROM:<>").unwrap().reverse_path,
            ReversePath::Null
        );
        assert_eq!(
            mail_of("MAIL FROM: <> SIZE=3").unwrap().reverse_path,
            ReversePath::Null
        );
    }

    #[test]
    fn wrong_mail_commands_get_their_code() {
        for (line, code) in [
            ("MAIL", 501),
            ("MAIL FROM", 501),
            ("MAIL FROM:", 501),
            ("MAIL FROM <a@b>", 501),
            ("MAIL FROM:<a@b", 501),
            ("MAIL FROM:<a@b>x", 501),
            ("MAIL FROM:<a@b><c@d>", 501),
            ("MAIL FROM:<a b@c>", 501),
            ("MAIL FROM:<a@b> <c@d>", 501),
            ("MAIL FROM:<a@b> SIZE=", 501),
            ("MAIL FROM:<a@b> SIZE", 501),
            ("MAIL FROM:<a@b> SIZE=-1", 501),
            ("MAIL FROM:<a@b> SIZE=1 SIZE=2", 501),
            ("MAIL FROM:<a@b> BODY=x", 501),
            ("MAIL FROM:<a@b> SMTPUTF8=1", 501),
            ("MAIL FROM:<a@b> FOO=BAR", 555),
            ("MAIL FROM:<jürgen@b>", 553),
        ] {
            assert_eq!(mail_of(line), Err(code), "{line}");
        }
        // Only the domain is not ASCII, and it has an ASCII form.
        let mail = mail_of("MAIL FROM:<info@müller.example>").unwrap();
        assert_eq!(
            mail.reverse_path.to_string(),
            "<info@xn--mller-kva.example>"
        );
    }

    #[test]
    fn a_sender_without_a_domain_is_of_this_machine() {
        let mail = mail_of("MAIL FROM:<root> SIZE=1").unwrap();

        assert_eq!(mail.reverse_path.to_string(), "<root@localhost>");
        assert_eq!(mail_of("MAIL FROM:<root@>"), Err(501));
        let mail = mail_of("MAIL FROM:<My Scanner>").unwrap();
        assert_eq!(mail.reverse_path.to_string(), "<\"My Scanner\"@localhost>");
    }

    #[test]
    fn a_size_beyond_64_bits_does_not_wrap() {
        let mail = mail_of("MAIL FROM:<a@b> SIZE=18446744073709551616").unwrap();

        assert_eq!(mail.size, Some(u64::MAX));
    }

    #[test]
    fn recipients_keep_their_quoting() {
        let rcpt = |line: &str| match parse(line.as_bytes()) {
            Ok(Command::Rcpt(rcpt)) => Ok(rcpt.path.to_string()),
            Ok(other) => panic!("{other:?}"),
            Err(reply) => Err(reply.code),
        };

        assert_eq!(rcpt("RCPT TO:<\"a b>c\"@d>"), Ok("\"a b>c\"@d".into()));
        assert_eq!(rcpt("RCPT TO: a@b"), Ok("a@b".into()));
        assert_eq!(rcpt("RCPT TO:<@r:a@b>"), Ok("a@b".into()));
        assert_eq!(rcpt("RCPT TO:<>"), Err(501));
        assert_eq!(rcpt("RCPT TO:<Postmaster>"), Ok("Postmaster".into()));
        assert_eq!(rcpt("RCPT TO:<root>"), Ok("root".into()));
        assert_eq!(rcpt("RCPT TO:<a@b,c@d>"), Err(501));
        assert_eq!(rcpt("RCPT TO:<a@b> NOTIFY=NEVER"), Ok("a@b".into()));
        assert_eq!(rcpt("RCPT TO:<a@b> NOTIFY=NEVER FOO"), Err(555));
        assert_eq!(
            rcpt("RCPT TO:<a@b> ORCPT=rfc822;c@d RCPT TO:<c@d>"),
            Err(555)
        );
        assert_eq!(rcpt("RCPT TO:<a@b>\tBCC:"), Err(555));
    }

    #[test]
    fn deviations_from_the_rfc_are_noted() {
        for (line, quirk) in [
            ("MAIL FROM:a@b", Some(Quirk::NoAngleBrackets)),
            ("MAIL FROM: <a@b>", Some(Quirk::BlankAfterColon)),
            ("RCPT TO:<@r:a@b>", Some(Quirk::SourceRoute)),
            ("AUTH login YQ==", Some(Quirk::AuthLoginInitialResponse)),
            ("EHLO my printer", Some(Quirk::OddHello)),
            ("HELO", Some(Quirk::HelloWithoutName)),
            (" NOOP", Some(Quirk::BlankBeforeCommand)),
            ("RCPT TO:<a@b >", Some(Quirk::BlankInPath)),
            ("RCPT TO:<Postmaster>", None),
            ("EHLO under_score", Some(Quirk::OddHello)),
            ("HELO 192.0.2.1", Some(Quirk::OddHello)),
            ("HELO [192.0.2.1]", None),
            ("EHLO a-1.example", None),
            ("MAIL FROM:<root>", Some(Quirk::NoDomain)),
            ("MAIL FROM:<a@b>", None),
            ("AUTH PLAIN AGEAYg==", None),
        ] {
            let mut quirks = Quirks::default();

            super::parse(line.as_bytes(), &mut quirks).unwrap();

            let noted: Vec<Quirk> = quirks.take().to_vec();
            assert_eq!(noted, quirk.into_iter().collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn an_unknown_mechanism_is_not_taken_for_another() {
        for (line, code) in [
            ("AUTH", 501),
            ("AUTH CRAM-MD5", 504),
            ("AUTH NTLM TlRMTVNTUAAB", 504),
            ("AUTH PLAIN a b", 501),
            ("STARTTLS x", 501),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap_err().code, code, "{line}");
        }
    }

    #[test]
    fn control_characters_are_never_part_of_a_command() {
        for line in [
            &b"RCPT TO:<a\0@b>"[..],
            b"EHLO a\rb",
            b"EHLO \x0b",
            b"MAIL FROM:<\xff@b>",
            b"NOOP \xff",
        ] {
            assert_eq!(parse(line).unwrap_err().code, 501, "{line:?}");
        }
    }
}
