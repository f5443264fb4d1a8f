//! One SMTP connection of the load, as an ordinary client holds it: it waits for each reply before
//! it goes on, or, asked to pipeline, sends MAIL, RCPT and DATA in one piece (RFC 2920).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;

use crate::message::Message;

/// How the commands of a transaction are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Each command waits for the reply to the one before.
    InTurn,
    /// MAIL, RCPT and DATA in one piece.
    Pipelined,
}

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The server said so.
    Reply(String),
    /// The connection broke.
    Broken(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reply(reply) => f.write_str(reply),
            Self::Broken(error) => error.fmt(f),
        }
    }
}

/// An open connection, greeted.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
}

impl Connection {
    /// Connects, waits for the greeting and says EHLO.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self, Refusal> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self {
            stream: BufReader::new(stream),
            line: Vec::with_capacity(LONGEST_LINE),
        };
        connection.expect(b"220").await?;
        connection
            .command(b"EHLO client.bench.example\r\n", b"250")
            .await?;
        Ok(connection)
    }

    /// Hands one message over; gives the time from the last byte of the message to its reply.
    pub(crate) async fn send(
        &mut self,
        message: &Message,
        manner: Manner,
    ) -> Result<Duration, Refusal> {
        let mail = format!("MAIL FROM:<{}>\r\n", message.reverse_path);
        let rcpt = format!("RCPT TO:<{}>\r\n", message.forward_path);
        match manner {
            Manner::InTurn => {
                self.command(mail.as_bytes(), b"250").await?;
                self.command(rcpt.as_bytes(), b"250").await?;
                self.command(b"DATA\r\n", b"354").await?;
            }
            Manner::Pipelined => {
                self.write(format!("{mail}{rcpt}DATA\r\n").as_bytes())
                    .await?;
                self.expect(b"250").await?;
                self.expect(b"250").await?;
                self.expect(b"354").await?;
            }
        }
        self.write(&message.data).await?;
        let sent = Instant::now();
        self.expect(b"250").await?;
        Ok(sent.elapsed())
    }

    /// Takes leave.
    pub(crate) async fn quit(mut self) -> Result<(), Refusal> {
        self.command(b"QUIT\r\n", b"221").await
    }

    async fn command(&mut self, command: &[u8], code: &[u8]) -> Result<(), Refusal> {
        self.write(command).await?;
        self.expect(code).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes).await
    }

    /// Reads one reply, which may have several lines (RFC 5321 4.2.1).
    async fn expect(&mut self, code: &[u8]) -> Result<(), Refusal> {
        loop {
            self.line.clear();
            (&mut self.stream)
                .take(LONGEST_LINE as u64)
                .read_until(b'\n', &mut self.line)
                .await?;
            if self.line.last() != Some(&b'\n') {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            if self.line.get(3) == Some(&b'-') {
                continue;
            }
            if self.line.starts_with(code) {
                return Ok(());
            }
            let reply = String::from_utf8_lossy(&self.line);
            return Err(Refusal::Reply(reply.trim_end().to_owned()));
        }
    }
}

/// RFC 5321 4.5.3.1.5 allows reply lines of 512 bytes; a server may be generous.
const LONGEST_LINE: usize = 2048;
