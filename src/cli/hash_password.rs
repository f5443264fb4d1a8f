//! `hash-password`: makes the value of `[[user]] password_hash` from a password.

use std::io;
use std::io::BufRead;

use secrecy::ExposeSecret;
use secrecy::SecretString;

use super::Exit;
use super::say_exactly;
use super::talk;
use super::terminal;
use crate::credentials::PasswordHash;

pub(super) fn run() -> Exit {
    let password = match read() {
        Ok(password) => password,
        Err(error) => {
            talk(&format!("graph-relay: cannot read the password: {error}"));
            return Exit::Usage;
        }
    };
    if password.expose_secret().is_empty() {
        talk(
            "graph-relay: there is no password on standard input. Run graph-relay hash-password in \
             a terminal and type it",
        );
        return Exit::Usage;
    }
    match PasswordHash::of(password.expose_secret()) {
        Ok(hash) => {
            say_exactly(&hash.to_string());
            Exit::Done
        }
        Err(error) => {
            talk(&format!("graph-relay: cannot hash the password: {error}"));
            Exit::TryLater
        }
    }
}

/// Reads one line, without its end.
fn read() -> io::Result<SecretString> {
    if terminal::is_there() {
        return terminal::ask_secret(
            "Password (not shown; 16 to 20 letters and digits work on every device): ",
        );
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}
