//! AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN: turns what the client sends into a
//! name and a password.
//!
//! It is tolerant of what devices do: mechanisms in any case, LOGIN with an initial
//! response. It is strict where tolerance could be abused: base64 with its padding,
//! UTF-8, exactly two NULs in PLAIN, and no authorization identity except the client's
//! own name. The listener checks the password.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

use super::Reply;

/// A name and a password, unverified.
#[derive(Debug)]
pub struct Credentials {
    /// As the client sent it.
    pub name: String,
    /// As the client sent it.
    pub password: SecretString,
    /// How the client sent them.
    pub mechanism: Mechanism,
}

/// The offered mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// Name and password, each in answer to a prompt.
    Login,
}

impl Mechanism {
    pub(super) fn of(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" => Some(Self::Plain),
            "LOGIN" => Some(Self::Login),
            _ => None,
        }
    }

    /// Its name (RFC 4422).
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the client must send next.
#[derive(Debug)]
pub(super) enum Exchange {
    Plain,
    LoginName,
    LoginPassword(String),
}

/// How strictly the client's answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As strictly as the module's doc says.
    Strict,
    /// The answer is not used: any charset and any authorization identity are accepted.
    Any,
}

/// The next step of an exchange.
#[derive(Debug)]
pub(super) enum Progress {
    /// The client is asked for more.
    Ask(Exchange, Reply),
    /// The client has sent everything.
    Done(Credentials),
}

/// RFC 4954 4: the longest line of the exchange.
pub(super) const LONGEST_AUTH_LINE: usize = 12_288;

/// Begins the exchange; `=` is an empty initial response.
pub(super) fn begin(
    mechanism: Mechanism,
    initial: Option<&[u8]>,
    reading: Reading,
) -> Result<Progress, Reply> {
    let first = match mechanism {
        Mechanism::Plain => Exchange::Plain,
        Mechanism::Login => Exchange::LoginName,
    };
    match (initial, mechanism) {
        (Some(b"="), _) => step(first, b"", reading),
        (Some(response), _) => step(first, response, reading),
        (None, Mechanism::Plain) => Ok(Progress::Ask(first, Reply::challenge(""))),
        (None, Mechanism::Login) => Ok(Progress::Ask(first, Reply::challenge(ASK_NAME))),
    }
}

/// `Username:` and `Password:`, exactly as old devices require.
const ASK_NAME: &str = "VXNlcm5hbWU6";
const ASK_PASSWORD: &str = "UGFzc3dvcmQ6";

/// The client has answered a challenge.
pub(super) fn step(exchange: Exchange, line: &[u8], reading: Reading) -> Result<Progress, Reply> {
    if line == b"*" {
        return Err(Reply::auth_cancelled());
    }
    let bytes = STANDARD.decode(line).map_err(|_| Reply::bad_base64())?;
    let text = match reading {
        Reading::Strict => String::from_utf8(bytes).map_err(|_| Reply::bad_base64())?,
        Reading::Any => String::from_utf8_lossy(&bytes).into_owned(),
    };
    match exchange {
        Exchange::Plain => plain(&text, reading).map(Progress::Done),
        Exchange::LoginName => {
            let ask = Reply::challenge(ASK_PASSWORD);
            Ok(Progress::Ask(Exchange::LoginPassword(text), ask))
        }
        Exchange::LoginPassword(name) => Ok(Progress::Done(Credentials {
            name,
            password: text.into(),
            mechanism: Mechanism::Login,
        })),
    }
}

/// RFC 4616 2: `[authzid] NUL authcid NUL passwd`.
fn plain(message: &str, reading: Reading) -> Result<Credentials, Reply> {
    let mut parts = message.split('\0');
    let (Some(authorization), Some(name), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reply::bad_credentials_form());
    };
    if reading == Reading::Strict && !authorization.is_empty() && authorization != name {
        return Err(Reply::other_identity());
    }
    Ok(Credentials {
        name: name.to_owned(),
        password: password.to_owned().into(),
        mechanism: Mechanism::Plain,
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn plain_of(response: &str) -> Result<(String, String), u16> {
        match begin(Mechanism::Plain, Some(response.as_bytes()), Reading::Strict) {
            Ok(Progress::Done(credentials)) => Ok((
                credentials.name,
                credentials.password.expose_secret().to_owned(),
            )),
            Ok(Progress::Ask(..)) => panic!("{response} is asked for more"),
            Err(reply) => Err(reply.code),
        }
    }

    #[test]
    fn plain_takes_name_and_password_apart() {
        let encode = |text: &str| STANDARD.encode(text);
        let anna = Ok(("anna".to_owned(), "pass word".to_owned()));

        assert_eq!(plain_of(&encode("\0anna\0pass word")), anna);
        assert_eq!(plain_of(&encode("anna\0anna\0pass word")), anna);
        for (message, code) in [
            ("eve\0anna\0pass word", 535),
            ("\0anna", 501),
            ("a\0b\0c\0d", 501),
            ("", 501),
        ] {
            assert_eq!(plain_of(&encode(message)), Err(code), "{message:?}");
        }
        for wrong in ["=", "!!!!", "YQ", "YQ==YQ==", "/w=="] {
            assert_eq!(plain_of(wrong), Err(501), "{wrong}");
        }
    }

    #[test]
    fn login_uses_the_prompts_that_devices_expect() {
        let Ok(Progress::Ask(exchange, reply)) = begin(Mechanism::Login, None, Reading::Strict)
        else {
            panic!()
        };
        assert_eq!(reply.lines, ["VXNlcm5hbWU6"]);
        let Ok(Progress::Ask(exchange, reply)) = step(exchange, b"YW5uYQ==", Reading::Strict)
        else {
            panic!()
        };
        assert_eq!(reply.lines, ["UGFzc3dvcmQ6"]);
        let Ok(Progress::Done(credentials)) = step(exchange, b"c2VjcmV0", Reading::Strict) else {
            panic!()
        };

        assert_eq!(credentials.name, "anna");
        assert_eq!(credentials.password.expose_secret(), "secret");
        assert!(!format!("{credentials:?}").contains("secret\""));
    }

    #[test]
    fn an_asterisk_cancels_at_every_step() {
        for exchange in [
            Exchange::Plain,
            Exchange::LoginName,
            Exchange::LoginPassword(String::new()),
        ] {
            assert_eq!(step(exchange, b"*", Reading::Any).unwrap_err().code, 501);
        }
    }
}
