//! Sending one message by SMTP, as an application would: for `sandbox`, which
//! shows its way.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;

/// Sends a message with CRLF line ends and no line that begins with a dot;
/// returns the reply to DATA.
pub(super) async fn send(
    server: SocketAddr,
    from: &str,
    to: &str,
    message: &str,
) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(server).await?);
    expect(&mut stream, '2').await?;
    let dialog = [
        ("EHLO sandbox".to_owned(), '2'),
        (format!("MAIL FROM:<{from}>"), '2'),
        (format!("RCPT TO:<{to}>"), '2'),
        ("DATA".to_owned(), '3'),
    ];
    for (line, wanted) in dialog {
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        expect(&mut stream, wanted).await?;
    }
    stream
        .write_all(format!("{message}.\r\n").as_bytes())
        .await?;
    let queued = expect(&mut stream, '2').await?;
    stream.write_all(b"QUIT\r\n").await?;
    expect(&mut stream, '2').await?;
    Ok(queued)
}

/// The last line of a reply, which must begin with this digit.
async fn expect(stream: &mut BufReader<TcpStream>, wanted: char) -> io::Result<String> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.as_bytes().get(3) == Some(&b'-') {
            continue;
        }
        let line = line.trim_end().to_owned();
        if line.starts_with(wanted) {
            return Ok(line);
        }
        return Err(io::Error::other(line));
    }
}
