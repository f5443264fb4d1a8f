//! `hash-password`: from a password to what `[[user]] password_hash` takes.

use std::io;
use std::io::BufRead;
use std::io::IsTerminal;

use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::Exit;
use super::say;
use super::talk;
use crate::config::PasswordHash;

pub(super) fn run() -> Exit {
    if io::stdin().is_terminal() {
        talk(
            "Type the password and press Enter (it is shown). Letters and digits only, 16 to 20 of \
             them, is what every device can type.",
        );
    }
    let password = match read() {
        Ok(password) => password,
        Err(error) => {
            talk(&format!(
                "graph-relay: the password cannot be read: {error}"
            ));
            return Exit::Usage;
        }
    };
    if password.expose_secret().is_empty() {
        talk("graph-relay: no password came on standard input: echo it, or type it");
        return Exit::Usage;
    }
    match PasswordHash::of(password.expose_secret()) {
        Ok(hash) => {
            say(&hash.to_string());
            Exit::Done
        }
        Err(error) => {
            talk(&format!(
                "graph-relay: the password cannot be hashed: {error}"
            ));
            Exit::TryLater
        }
    }
}

/// One line, without its end.
fn read() -> io::Result<SecretString> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}
