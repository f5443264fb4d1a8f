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

/// Asks a question that is answered by yes or no; an empty answer is `usual`.
pub(super) fn agreed(question: &str, usual: bool) -> bool {
    let hint = if usual { "[Y/n]" } else { "[y/N]" };
    let answer = ask(&format!("{question} {hint} ")).unwrap_or_else(|_| "no".to_owned());
    match answer.to_ascii_lowercase().as_str() {
        "" => usual,
        "y" | "yes" => true,
        _ => false,
    }
}

/// One line, without blanks around it.
pub(super) fn ask(prompt: &str) -> io::Result<String> {
    let _gone = write!(io::stderr().lock(), "{prompt}");
    line()
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
