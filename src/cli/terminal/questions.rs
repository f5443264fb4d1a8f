//! Questions to the user at the terminal. Without a terminal nothing is asked.

use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::sync::Mutex;
use std::sync::Once;
use std::sync::PoisonError;
use std::sync::mpsc;

use secrecy::SecretString;

use super::clean;
use crate::platform::signals;
use crate::platform::terminal;
use crate::platform::terminal::Settings;

/// Whether there is a terminal.
pub(in crate::cli) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question until the answer is yes or no; an empty answer means `usual`.
pub(in crate::cli) fn agreed(question: &str, usual: bool) -> bool {
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

/// Returns the meaning of an answer.
pub(in crate::cli) fn is_yes(answer: &str, usual: bool) -> bool {
    match answer.to_ascii_lowercase().as_str() {
        "" => usual,
        answer => answer == "y" || answer == "yes",
    }
}

/// Reads one line, without spaces around it.
pub(in crate::cli) fn ask(text: &str) -> io::Result<String> {
    prompt(text);
    line()
}

/// Prints a prompt.
pub(in crate::cli) fn prompt(text: &str) {
    let _gone = write!(io::stderr().lock(), "{}", clean(text));
}

/// The state of the terminal before it hid the input.
static SHOWN: Mutex<Option<Settings>> = Mutex::new(None);

/// From now on Ctrl-C and similar signals restore the terminal, and wait for actions that are
/// [uninterrupted].
pub(in crate::cli) fn mind_interrupts() {
    static MINDED: Once = Once::new();
    MINDED.call_once(begin_to_mind);
}

fn begin_to_mind() {
    let (ready, is_ready) = mpsc::channel();
    // A thread of its own, because questions block theirs. It ends with the program.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let Ok(runtime) = runtime else { return };
        let number = runtime.block_on(async {
            let mut hangup = signals::hangup().ok()?;
            let mut interrupt = signals::interrupt().ok()?;
            let mut quit = signals::quit().ok()?;
            let mut terminate = signals::terminate().ok()?;
            ready.send(()).ok()?;
            tokio::select! {
                _ = hangup.recv() => Some(1),
                _ = interrupt.recv() => Some(2),
                _ = quit.recv() => Some(3),
                _ = terminate.recv() => Some(15),
            }
        });
        let Some(number) = number else { return };
        let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shown) = &*shown {
            let _gone = shown.apply();
        }
        let _gone = writeln!(io::stderr().lock());
        // The exit code of shells for a signal.
        std::process::exit(128 + number);
    });
    // If the thread could not start, the system's default remains.
    let _broken = is_ready.recv();
}

/// Does something that an interrupt must not cut in two.
pub(in crate::cli) fn uninterrupted<T>(work: impl FnOnce() -> T) -> T {
    let _held = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Reads one line without showing it.
pub(in crate::cli) fn ask_secret(prompt: &str) -> io::Result<SecretString> {
    mind_interrupts();
    let hidden = Hidden::begin()?;
    let answer = ask(prompt);
    drop(hidden);
    let _gone = writeln!(io::stderr().lock());
    answer.map(SecretString::from)
}

/// While this value exists, the terminal does not show the input.
struct Hidden;

impl Hidden {
    fn begin() -> io::Result<Self> {
        let shown = terminal::settings()?;
        let hidden = shown.hidden();
        // First stored, then hidden: no interrupt leaves it hidden.
        *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        let begun = Self;
        hidden.apply()?;
        Ok(begun)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(shown) = shown {
            let _gone = shown.apply();
        }
    }
}

/// Reads one line of standard input; the end of input is an error.
pub(in crate::cli) fn line() -> io::Result<String> {
    let mut line = String::new();
    if io::stdin().read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim().to_owned())
}
