//! Asking the person at the terminal. Nothing is ever asked where there is none.

use std::io;
use std::io::IsTerminal;
use std::io::Write;

use rustix::termios;
use rustix::termios::LocalModes;
use rustix::termios::OptionalActions;
use secrecy::SecretString;

/// Whether there is somebody to ask.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question that is answered by yes or no, until it is; an empty answer is
/// `usual`.
pub(super) fn agreed(question: &str, usual: bool) -> bool {
    let hint = if usual { "[Y/n]" } else { "[y/N]" };
    loop {
        let Ok(answer) = ask(&format!("{question} {hint} ")) else {
            return false;
        };
        let answer = answer.to_ascii_lowercase();
        if ["", "y", "yes", "n", "no"].contains(&answer.as_str()) {
            return is_yes(&answer, usual);
        }
    }
}

/// What an answer means.
pub(super) fn is_yes(answer: &str, usual: bool) -> bool {
    match answer.to_ascii_lowercase().as_str() {
        "" => usual,
        answer => answer == "y" || answer == "yes",
    }
}

/// One line, without blanks around it.
pub(super) fn ask(text: &str) -> io::Result<String> {
    prompt(text);
    line()
}

/// Says what an answer is waited for.
pub(super) fn prompt(text: &str) {
    let _gone = write!(io::stderr().lock(), "{text}");
}

/// One line that is not shown while it is typed.
pub(super) fn ask_secret(prompt: &str) -> io::Result<SecretString> {
    let terminal = io::stdin();
    let shown = termios::tcgetattr(&terminal)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    termios::tcsetattr(&terminal, OptionalActions::Now, &hidden)?;
    let answer = ask(prompt);
    let restored = termios::tcsetattr(&terminal, OptionalActions::Now, &shown);
    let _gone = writeln!(io::stderr().lock());
    restored?;
    answer.map(SecretString::from)
}

/// One line of standard input; an error at its end.
pub(super) fn line() -> io::Result<String> {
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim().to_owned())
}
