//! The messages of the load: all alike in size, each with its own number in Subject and Message-ID.
//!
//! The bytes are what follows DATA on the wire, end mark included. No line begins with a dot, so
//! there is nothing to make transparent and the size on the wire is the size of the message.

/// Who sends the messages of a run and how large their bodies are.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// Tells this run's Message-IDs from those of any other.
    run: String,
    /// From addresses, taken in turn.
    mailboxes: u64,
    body: Vec<u8>,
}

/// One message with its envelope.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) reverse_path: String,
    pub(crate) forward_path: &'static str,
    /// Content and the line with the dot.
    pub(crate) data: Vec<u8>,
}

impl Template {
    /// Messages with a body of `body_size` bytes from `mailboxes` addresses in turn.
    pub(crate) fn new(run: &str, body_size: usize, mailboxes: u64) -> Self {
        Self {
            run: run.to_owned(),
            mailboxes: mailboxes.max(1),
            body: body(body_size),
        }
    }

    /// The message with this number.
    pub(crate) fn message(&self, number: u64) -> Message {
        let reverse_path = mailbox(number % self.mailboxes);
        let header = format!(
            "From: Bench <{reverse_path}>\r\n\
             To: <{FORWARD_PATH}>\r\n\
             Subject: bench {number:08}\r\n\
             Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n\
             Message-ID: <{run}.{number:08}@bench.example>\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\
             \r\n",
            run = self.run,
        );

        let mut data = Vec::with_capacity(header.len() + self.body.len() + END.len());
        data.extend_from_slice(header.as_bytes());
        data.extend_from_slice(&self.body);
        data.extend_from_slice(END);

        Message {
            reverse_path,
            forward_path: FORWARD_PATH,
            data,
        }
    }
}

/// The address of the n-th sending mailbox.
pub(crate) fn mailbox(n: u64) -> String {
    format!("bench{n}@contoso.example")
}

/// Lines of a usual length, `size` bytes with their line ends; the last line fills up.
fn body(size: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(size);
    while body.len() + 2 * LINE.len() <= size {
        body.extend_from_slice(LINE);
    }
    body.resize(size.saturating_sub(LINE_END.len()), b'x');
    body.extend_from_slice(LINE_END);
    body
}

const FORWARD_PATH: &str = "someone@fabrikam.example";

const LINE: &[u8] = b"The quick brown fox jumps over the lazy dog, and then once more, slowly\r\n";

const LINE_END: &[u8] = b"\r\n";

/// RFC 5321 4.1.1.4: the end of mail data, after a line end that is the message's own.
const END: &[u8] = b".\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_has_the_size_asked_for() {
        for size in [2, 73, 74, 4096, 10_000] {
            assert_eq!(body(size).len(), size);
            assert!(body(size).ends_with(b"\r\n"));
        }
    }

    #[test]
    fn numbers_and_mailboxes_differ() {
        let template = Template::new("run", 4096, 2);

        let first = template.message(1);
        let second = template.message(2);

        assert_eq!(first.reverse_path, "bench1@contoso.example");
        assert_eq!(second.reverse_path, "bench0@contoso.example");
        assert_ne!(first.data, second.data);
        assert!(first.data.ends_with(b"\r\n.\r\n"));
    }
}
