//! The client's side of SMTP, as far as this program needs it to reach a relay without TLS
//! and without a password: for `sandbox`, `send-test` and `sendmail`.
//!
//! Every wait is bounded. What a reply means for a message is left to the caller.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection is waited for. A relay on this machine answers at once, or not at
/// all; one on another machine may answer the second SYN.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a reply is waited for, and how long each piece of a message may take (RFC 5321
/// 4.5.3.2.6: ten minutes for the end of DATA; the relay's disk needs less).
const REPLY_PATIENCE: Duration = Duration::from_secs(300);
/// Of one line of a reply; RFC 5321 4.5.3.1.5 allows 512.
const LONGEST_REPLY_LINE: u64 = 8 * 1024;
/// A relay's longest reply is that to EHLO, with ten lines.
const MOST_REPLY_LINES: usize = 100;

/// What a relay says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// RFC 5321 4.2.1.
    pub(super) code: u16,
    /// Without the code.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// 2xx, or 354 after DATA.
    pub(super) fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// 4xx: the same may be accepted later.
    pub(super) fn is_for_now(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The digits of the enhanced status (RFC 3463) behind its class: `7.1` of `5.7.1`.
    pub(super) fn subject_and_detail(&self) -> Option<&str> {
        let word = self.lines.first()?.split(' ').next()?;
        let (class, rest) = word.split_once('.')?;
        (class.len() == 1 && rest.contains('.')).then_some(rest)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.join(" "))
    }
}

/// A connection to a relay.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(super) async fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = timeout(CONNECT_PATIENCE, TcpStream::connect(server)).await;
        let stream = BufReader::new(stream.unwrap_or_else(|_| Err(late()))?);
        Ok(Self { stream })
    }

    /// Sends a line, which must have no line end, and reads its reply.
    pub(super) async fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    /// Sends a piece of a message as it is.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = timeout(REPLY_PATIENCE, self.stream.write_all(bytes)).await;
        written.unwrap_or_else(|_| Err(late()))
    }

    /// Reads the next reply: the greeting, or what follows the end of a message.
    pub(super) async fn reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        while lines.len() < MOST_REPLY_LINES {
            let line = timeout(REPLY_PATIENCE, self.line()).await;
            let line = line.unwrap_or_else(|_| Err(late()))?;
            let (code, rest) = line.split_at_checked(3).unwrap_or((&line, ""));
            let code: u16 = code.parse().map_err(|_| no_reply(&line))?;
            lines.push(rest.get(1..).unwrap_or_default().to_owned());
            if !rest.starts_with('-') {
                return Ok(Reply { code, lines });
            }
        }
        Err(no_reply("a reply without an end"))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut bounded = (&mut self.stream).take(LONGEST_REPLY_LINE);
        if bounded.read_until(b'\n', &mut line).await? == 0 {
            let text = "the relay closed the connection";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

fn no_reply(line: &str) -> io::Error {
    io::Error::other(format!("this is not an SMTP server: it said {line:?}"))
}

/// Sends a message with CRLF line ends and no line that begins with a dot; returns the reply
/// to DATA.
pub(super) async fn send(
    server: SocketAddr,
    from: &str,
    to: &str,
    message: &str,
) -> io::Result<String> {
    let mut connection = Connection::open(server).await?;
    accepted(connection.reply().await?)?;
    let dialog = [
        "EHLO sandbox".to_owned(),
        format!("MAIL FROM:<{from}>"),
        format!("RCPT TO:<{to}>"),
        "DATA".to_owned(),
    ];
    for line in dialog {
        accepted(connection.command(&line).await?)?;
    }
    connection
        .write(format!("{message}.\r\n").as_bytes())
        .await?;
    let queued = accepted(connection.reply().await?)?;
    accepted(connection.command("QUIT").await?)?;
    Ok(queued.to_string())
}

fn accepted(reply: Reply) -> io::Result<Reply> {
    match reply.is_positive() {
        true => Ok(reply),
        false => Err(io::Error::other(reply.to_string())),
    }
}
