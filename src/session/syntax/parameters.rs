//! The ESMTP parameters after the paths of MAIL and RCPT (RFC 5321 4.1.1.11).
//!
//! Parameters of offered extensions are read strictly, and unknown ones are refused. Only
//! the parameters of RFC 3461 about reports never cause a refusal (`dsn.rs`).

use super::Mail;
use super::dsn;
use crate::mail::RecipientRequest;
use crate::session::Reply;
use crate::session::quirk::Quirks;

/// Reads the parameters of MAIL.
pub(in crate::session) fn of_mail(
    parameters: &str,
    mail: &mut Mail,
    quirks: &mut Quirks,
) -> Result<(), Reply> {
    let mut seen: Vec<String> = Vec::new();
    let mut reports = dsn::Parameters::default();
    for parameter in parameters.split_ascii_whitespace() {
        if reports.take(parameter) {
            continue;
        }
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.to_ascii_uppercase(), Some(value)),
            None => (parameter.to_ascii_uppercase(), None),
        };
        match (name.as_str(), value) {
            _ if seen.contains(&name) => return Err(Reply::syntax("Parameter given twice")),
            ("SIZE", Some(digits)) => mail.size = Some(size(digits)?),
            ("BODY", Some(body)) if is_body(body) => {}
            ("BODY" | "SIZE", _) => return Err(Reply::syntax("Bad value of BODY or SIZE")),
            ("SMTPUTF8", None) => mail.utf8 = true,
            ("SMTPUTF8", Some(_)) => return Err(Reply::syntax("SMTPUTF8 takes no value")),
            // RFC 4954 5: the author according to another server; the relay does not use
            // it.
            ("AUTH", Some(_)) => {}
            _ => return Err(Reply::unknown_parameter()),
        }
        seen.push(name);
    }
    mail.reports = reports.of_mail(quirks);
    Ok(())
}

/// Reads the parameters of RCPT. Only RFC 3461 defines any that are offered.
pub(in crate::session) fn of_rcpt(
    parameters: &str,
    quirks: &mut Quirks,
) -> Result<RecipientRequest, Reply> {
    let mut reports = dsn::Parameters::default();
    match parameters
        .split_ascii_whitespace()
        .all(|it| reports.take(it))
    {
        true => Ok(reports.of_rcpt(quirks)),
        false => Err(Reply::unknown_parameter()),
    }
}

/// RFC 1870 3: 1 to 20 digits. A value above 64 bits is certainly too big.
fn size(digits: &str) -> Result<u64, Reply> {
    if digits.is_empty() || digits.len() > 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reply::syntax("SIZE takes a number"));
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

/// RFC 6152 2.
fn is_body(value: &str) -> bool {
    value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME")
}
