//! What the client sent last, if that explains a line that is not a command.

use super::Reply;
use super::syntax;

/// What preceded a line.
#[derive(Debug, Default)]
pub(super) enum Before {
    /// Nothing that explains it.
    #[default]
    Command,
    /// A DATA that was refused: the client may send the content all the same.
    RefusedData(Reply),
    /// The end of an accepted message: the client may send more of its text.
    Message,
}

impl Before {
    /// A line that got this refusal.
    pub(super) fn refused(line: &[u8], reply: &Reply) -> Self {
        match syntax::is_data(line) {
            true => Self::RefusedData(reply.clone()),
            false => Self::Command,
        }
    }

    /// The reply to a line, with the fix.
    pub(super) fn explain(&self, reply: Reply) -> Reply {
        match self {
            Self::Message if reply.code == 500 => reply.remedy(DOTS),
            Self::Command | Self::RefusedData(_) | Self::Message => reply,
        }
    }
}

/// RFC 5321 4.5.2.
const DOTS: &str = "the message before it may be cut off: the client does not double the dot at \
    the beginning of a line, so a line with only a dot ended the message; make the client double \
    it, or use a mail library";
