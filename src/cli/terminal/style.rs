//! Colours, for the few words that somebody looks for first. Only on a terminal.

/// How a text is shown where there is colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cli) enum Style {
    /// As everything else.
    #[default]
    Plain,
    /// The head of a table.
    Head,
    /// All is well.
    Good,
    /// Somebody may have to look at it.
    Warning,
    /// Something is wrong.
    Bad,
}

impl Style {
    /// ECMA-48, 8.3.117 (SGR).
    pub(super) fn on(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Head => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[1;31m",
        }
    }

    /// A text in this style, if there is colour.
    pub(super) fn paint(self, text: &str, has_colour: bool) -> String {
        match has_colour && !text.is_empty() {
            true => format!("{}{text}{}", self.on(), self.off()),
            false => text.to_owned(),
        }
    }

    pub(super) fn off(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Head | Self::Good | Self::Warning | Self::Bad => "\x1b[0m",
        }
    }
}
