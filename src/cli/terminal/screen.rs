//! The terminal that a stream of output leads to, if there is one: its size, and whether it
//! shows colours and obeys commands.

use std::env;
use std::io;
use std::io::IsTerminal;

use crate::platform::terminal;

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// Of a terminal that does not say how large it is.
const USUAL: (usize, usize) = (80, 24);
/// In fewer columns an ID with its indent does not fit.
const NARROWEST: usize = 30;

impl Stream {
    fn is_terminal(self) -> bool {
        match self {
            Self::Out => io::stdout().is_terminal(),
            Self::Err => io::stderr().is_terminal(),
        }
    }

    /// Columns and lines; none where nothing must be cut, because it is no terminal.
    pub(super) fn size(self) -> Option<(usize, usize)> {
        if !self.is_terminal() {
            return None;
        }
        let size = match self {
            Self::Out => terminal::size(&io::stdout()),
            Self::Err => terminal::size(&io::stderr()),
        };
        let asked = |name| env::var(name).ok()?.parse::<usize>().ok();
        let known = |number: u16| Some(usize::from(number)).filter(|number| *number > 0);
        let columns = size.and_then(|(columns, _)| known(columns));
        let lines = size.and_then(|(_, lines)| known(lines));
        let columns = columns.or_else(|| asked("COLUMNS")).unwrap_or(USUAL.0);
        let lines = lines.or_else(|| asked("LINES")).unwrap_or(USUAL.1);
        Some((columns.max(NARROWEST), lines))
    }

    pub(super) fn columns(self) -> Option<usize> {
        self.size().map(|(columns, _)| columns)
    }

    /// Whether it shows colours: <https://no-color.org>, <https://bixense.com/clicolors>.
    pub(super) fn has_colour(self) -> bool {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_forced = env::var_os("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        if is_set("NO_COLOR") {
            return false;
        }
        is_forced || (self.is_terminal() && !is_dumb())
    }

    /// Whether a line can be shown and taken back.
    pub(super) fn can_move(self) -> bool {
        self.is_terminal() && !is_dumb()
    }
}

/// A terminal that only shows text, such as the shell of an editor.
fn is_dumb() -> bool {
    env::var_os("TERM").is_none_or(|kind| kind.is_empty() || kind == "dumb")
}
