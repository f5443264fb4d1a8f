//! A PROXY protocol header where none is expected: at the beginning of a dialog, from an
//! address that is not in `proxy_protocol_from`, or after the first header. It is not
//! believed, only recognised, so that the log and the reply can name it.

/// How version 2 begins: lines, to SMTP, the last of them QUIT.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// After this many bytes of it there is no doubt.
const TELLING: usize = 7;

/// Whether bytes begin with a preamble, of either version.
pub(in crate::listener) fn is_preamble(bytes: &[u8]) -> bool {
    let kinds: [&[u8]; 3] = [b"PROXY TCP", b"PROXY UNKNOWN", SIGNATURE];
    kinds.iter().any(|kind| bytes.starts_with(kind))
}

/// How much of the signature has come as lines, if nothing else has.
#[derive(Debug)]
pub(in crate::listener) struct Preamble(Option<usize>);

impl Default for Preamble {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl Preamble {
    /// Whether the connection begins with a preamble, before a line is taken off.
    pub(in crate::listener) fn begins(&self, input: &[u8]) -> bool {
        self.0 == Some(0) && is_preamble(input)
    }

    /// A line has come; whether the lines so far can only be a preamble.
    pub(in crate::listener) fn is_shown_by(&mut self, line: &[u8]) -> bool {
        self.0 = self.0.and_then(|came| {
            let rest = SIGNATURE.get(came..)?;
            rest.starts_with(line).then_some(came + line.len())
        });
        self.0 == Some(TELLING)
    }
}
