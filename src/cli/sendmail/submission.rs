//! One message given to the relay by SMTP.
//!
//! Promises: recipients whom the relay refuses for good do not keep the others from getting
//! the message; if it refuses anybody for now, nobody gets it, so that the caller can send
//! the whole message again without sending it twice. More recipients than the relay takes
//! at once (452) get the message in a second transaction.

use std::io;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::content::Content;
use super::failure::Failure;
use super::failure::Step;
use super::failure::exit;
use crate::cli::Exit;
use crate::cli::smtp::Connection;
use crate::cli::smtp::Reply;

/// How much of a message is written at once.
const PIECE: usize = 64 * 1024;
/// A relay that does not say goodbye keeps nobody waiting.
const QUIT_PATIENCE: Duration = Duration::from_secs(2);
/// RFC 5321 4.5.3.1.10: too many recipients.
const TOO_MANY: u16 = 452;

/// An envelope; its addresses are safe to put into a command.
#[derive(Debug)]
pub(super) struct Envelope {
    /// Empty for the null sender.
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// RFC 3461: RET, ENVID and NOTIFY.
    pub(super) ret: Option<String>,
    pub(super) envelope_id: Option<String>,
    pub(super) notify: Option<String>,
}

/// What became of a message that the relay took.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The replies to its transactions.
    pub(super) replies: Vec<Reply>,
    /// Those that do not get it, with the reply to each.
    pub(super) refused: Vec<(String, Reply)>,
}

/// A relay that said EHLO.
pub(super) struct Relay {
    connection: Connection,
    extensions: Vec<String>,
    pub(super) address: SocketAddr,
}

impl Relay {
    /// The first relay that answers.
    pub(super) async fn open(places: &[SocketAddr], host: &str) -> Result<Self, Failure> {
        let mut failures = Vec::new();
        for address in places {
            match Connection::open(*address).await {
                Ok(connection) => {
                    let greeted = Self::greeted(connection, *address, host).await;
                    return greeted.unwrap_or_else(|error| Err(gone(&error, *address)));
                }
                Err(error) => failures.push(format!("{address}: {error}")),
            }
        }
        let tried = failures.join(", ");
        Err(Failure::for_now(&format!("no relay answers ({tried})")))
    }

    async fn greeted(
        mut connection: Connection,
        address: SocketAddr,
        host: &str,
    ) -> io::Result<Result<Self, Failure>> {
        let greeting = connection.reply().await?;
        if !greeting.is_positive() {
            return Ok(Err(Failure::refused(Step::Connection, &greeting)));
        }
        let reply = connection.command(&format!("EHLO {host}")).await?;
        if !reply.is_positive() {
            return Ok(Err(Failure::refused(Step::Connection, &reply)));
        }
        let extensions = reply.lines.into_iter().skip(1);
        Ok(Ok(Self {
            connection,
            extensions: extensions.map(|it| it.to_ascii_uppercase()).collect(),
            address,
        }))
    }

    /// Gives the message to the relay, for all recipients that it accepts.
    pub(super) async fn send(
        &mut self,
        envelope: &Envelope,
        header: &[u8],
        content: &mut Content,
    ) -> Result<Sent, Failure> {
        let mut sent = Sent::default();
        let mut waiting = envelope.to.clone();
        while !waiting.is_empty() {
            let round = self.transaction(envelope, &waiting, header, content).await;
            let round = round.unwrap_or_else(|error| Err(gone(&error, self.address)));
            waiting = match round {
                Ok(Round {
                    reply,
                    refused,
                    rest,
                }) => {
                    sent.replies.extend(reply);
                    sent.refused.extend(refused);
                    rest
                }
                Err(failure) if sent.replies.is_empty() => return Err(failure),
                Err(Failure { exit, words, .. }) => {
                    let missing = waiting.join(", ");
                    let words = format!("{words}. Only these did not get it: {missing}");
                    return Err(Failure {
                        exit,
                        words,
                        is_doubtful: true,
                    });
                }
            };
        }
        Ok(sent)
    }

    /// Ends the session; the relay has the message already.
    pub(super) async fn quit(mut self) {
        drop(timeout(QUIT_PATIENCE, self.connection.command("QUIT")).await);
    }

    async fn transaction(
        &mut self,
        envelope: &Envelope,
        to: &[String],
        header: &[u8],
        content: &mut Content,
    ) -> io::Result<Result<Round, Failure>> {
        let mail = self.mail(envelope, to, content.size(header));
        let reply = self.connection.command(&mail).await?;
        if !reply.is_positive() {
            return Ok(Err(Failure::refused(Step::Sender, &reply)));
        }
        let mut round = Round::default();
        let mut accepted = false;
        for recipient in to {
            let reply = self
                .connection
                .command(&self.rcpt(envelope, recipient))
                .await?;
            if reply.is_positive() {
                accepted = true;
            } else if accepted && reply.code == TOO_MANY {
                round.rest.push(recipient.clone());
            } else if exit(Step::Recipient, &reply) == Exit::TryLater {
                self.connection.command("RSET").await?;
                return Ok(Err(Failure::refused(Step::Recipient, &reply)));
            } else {
                round.refused.push((recipient.clone(), reply));
            }
        }
        if !accepted {
            self.connection.command("RSET").await?;
            return Ok(Ok(round));
        }
        let reply = self.connection.command("DATA").await?;
        if !reply.is_positive() {
            return Ok(Err(Failure::refused(Step::Message, &reply)));
        }
        let written = self.message(header, content).await;
        // Whoever closes the connection may have said why.
        let reply = match (self.connection.reply().await, written) {
            (Ok(reply), _) => reply,
            (Err(_), Err(error)) => return Err(error),
            (Err(error), Ok(())) => return Ok(Err(self.unconfirmed(&error))),
        };
        if !reply.is_positive() {
            return Ok(Err(Failure::refused(Step::Message, &reply)));
        }
        round.reply = Some(reply);
        Ok(Ok(round))
    }

    async fn message(&mut self, header: &[u8], content: &mut Content) -> io::Result<()> {
        self.connection.write(header).await?;
        let body = content.body()?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = body.read(&mut piece)?;
            if read == 0 {
                break;
            }
            let piece = piece.get(..read).unwrap_or_default();
            self.connection.write(piece).await?;
        }
        self.connection.write(b".\r\n").await
    }

    /// The relay has the whole message, and did not say that it keeps it.
    fn unconfirmed(&self, error: &io::Error) -> Failure {
        let words = format!(
            "the connection to the relay at {} failed before it confirmed the message: {error}. \
             The message may have been sent; sending it again may deliver it twice",
            self.address
        );
        Failure {
            is_doubtful: true,
            ..Failure::new(Exit::TryLater, words)
        }
    }

    fn mail(&self, envelope: &Envelope, to: &[String], size: u64) -> String {
        let mut command = format!("MAIL FROM:<{}>", envelope.from);
        let is_ascii = envelope.from.is_ascii() && to.iter().all(|it| it.is_ascii());
        if self.has("SIZE") {
            command.push_str(&format!(" SIZE={size}"));
        }
        if self.has("8BITMIME") {
            command.push_str(" BODY=8BITMIME");
        }
        if !is_ascii && self.has("SMTPUTF8") {
            command.push_str(" SMTPUTF8");
        }
        if self.has("DSN") {
            if let Some(ret) = &envelope.ret {
                command.push_str(&format!(" RET={ret}"));
            }
            if let Some(id) = &envelope.envelope_id {
                command.push_str(&format!(" ENVID={}", xtext(id)));
            }
        }
        command
    }

    fn rcpt(&self, envelope: &Envelope, recipient: &str) -> String {
        let notify = envelope.notify.as_ref().filter(|_| self.has("DSN"));
        let notify = notify.map_or_else(String::new, |notify| format!(" NOTIFY={notify}"));
        format!("RCPT TO:<{recipient}>{notify}")
    }

    fn has(&self, extension: &str) -> bool {
        let names = self.extensions.iter();
        let mut names = names.filter_map(|it| it.split(' ').next());
        names.any(|name| name == extension)
    }
}

/// What came of one transaction.
#[derive(Default)]
struct Round {
    /// The relay took the message.
    reply: Option<Reply>,
    refused: Vec<(String, Reply)>,
    /// Those for whom there was no room in it.
    rest: Vec<String>,
}

fn gone(error: &io::Error, address: SocketAddr) -> Failure {
    Failure::for_now(&format!(
        "the connection to the relay at {address} failed: {error}"
    ))
}

/// RFC 3461 4.
fn xtext(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'+' | b'=' => format!("+{byte:02X}"),
        b'!'..=b'~' => char::from(byte).to_string(),
        _ => format!("+{byte:02X}"),
    });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::xtext;

    #[test]
    fn an_envelope_id_is_written_as_xtext() {
        assert_eq!(xtext("job 1+2=3"), "job+201+2B2+3D3");
    }
}
