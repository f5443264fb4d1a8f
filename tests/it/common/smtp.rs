//! An SMTP client that sends exactly what the test says.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;

use memchr::memmem;

use super::PATIENCE;

/// An SMTP client that sends what the test says.
pub(crate) struct Smtp<S = TcpStream> {
    stream: BufReader<S>,
}

impl Smtp<TcpStream> {
    /// Connects and reads the greeting.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let mut smtp = Self::connect_only(address);
        let greeting = smtp.reply();
        assert!(greeting.starts_with("220 "), "{greeting}");
        smtp
    }

    pub(crate) fn connect_only(address: SocketAddr) -> Self {
        Self::try_connect(address).unwrap()
    }

    pub(crate) fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}

impl<S: Read + Write> Smtp<S> {
    /// Uses an existing connection, perhaps with TLS.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Reads one reply with all its lines; empty if the connection is closed.
    pub(crate) fn reply(&mut self) -> String {
        self.try_reply().unwrap()
    }

    pub(crate) fn try_reply(&mut self) -> std::io::Result<String> {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Ok(reply);
            }
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    /// Sends a line and returns the reply.
    pub(crate) fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n").as_bytes());
        self.reply()
    }

    pub(crate) fn expect(&mut self, line: &str, code: &str) {
        let reply = self.say(line);
        assert!(reply.starts_with(code), "{line}: {reply}");
    }

    /// A whole transaction after EHLO, with dot-stuffing. Returns the reply to its end.
    pub(crate) fn send(&mut self, from: &str, to: &[&str], content: &[u8]) -> String {
        self.try_send(from, to, content).unwrap()
    }

    /// Like `send`, with an error if the connection breaks.
    pub(crate) fn try_send(
        &mut self,
        from: &str,
        to: &[&str],
        content: &[u8],
    ) -> std::io::Result<String> {
        let mut dialog = vec![format!("MAIL FROM:<{from}>")];
        dialog.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
        dialog.push("DATA".to_owned());
        for line in dialog {
            let reply = self.try_say(&line)?;
            if line == "DATA" && reply.starts_with("452") {
                return Ok(reply);
            }
            assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
        }
        let stream = self.stream.get_mut();
        stream.write_all(&stuffed(content))?;
        stream.write_all(b".\r\n")?;
        self.try_whole_reply()
    }

    /// Like `say`, with an error if the connection breaks.
    pub(crate) fn try_say(&mut self, line: &str) -> std::io::Result<String> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        self.try_whole_reply()
    }

    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one reply with all its lines; an error if the connection breaks.
    pub(crate) fn try_whole_reply(&mut self) -> std::io::Result<String> {
        let reply = self.try_reply()?;
        if reply.ends_with('\n') {
            Ok(reply)
        } else {
            Err(std::io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Reads until the connection is closed.
    pub(crate) fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// RFC 5321 4.5.2.
pub(crate) fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(content.len());
    let mut rest = content;
    if content.starts_with(b".") {
        stuffed.push(b'.');
    }
    while let Some(at) = memmem::find(rest, b"\n.") {
        let (line, next) = rest.split_at(at + 1);
        stuffed.extend_from_slice(line);
        stuffed.push(b'.');
        rest = next;
    }
    stuffed.extend_from_slice(rest);
    stuffed
}
