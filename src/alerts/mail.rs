//! An alert as a message in the queue, from the account's own address.
//!
//! It is an ordinary entry of the spool: it is retried, limited and listed like any other.
//! It has a null reverse-path and is marked as automatic (RFC 3834), so nothing answers it
//! and nothing is reported about it, and the spool knows it as an alert, so that its failure
//! is not reported by mail. It is put into the queue only while the account works.

use super::notice::NotSent;
use super::notice::Notice;
use crate::admin::AdminState;
use crate::config::Mailbox;
use crate::config::alerts::AlertMail;
use crate::http::one_line;
use crate::mail::Destination;
use crate::mail::SpoolId;
use crate::mime::seven_bit;
use crate::mime::unstructured;
use crate::spool::AlertMessage;

/// The most characters of a Subject.
const LONGEST_SUBJECT: usize = 150;

/// Puts it into the queue.
pub(super) async fn send(
    to: &AlertMail,
    notice: &Notice,
    hostname: &str,
    admin_state: &AdminState,
) -> Result<SpoolId, NotSent> {
    let destination = destination(to);
    let way = admin_state.check_way(&destination).await;
    way.map_err(|why| NotSent(one_line(&format!("it would wait in the queue: {why}"))))?;
    let id = admin_state.spool.new_id();
    let subject: String = notice
        .title(hostname)
        .chars()
        .take(LONGEST_SUBJECT)
        .collect();
    let subject = one_line(&subject);
    let message = AlertMessage {
        id,
        content: compose(to, notice, hostname, id, &subject),
        message_id: id.message_id(hostname),
        subject,
        author: to.author.clone(),
        recipient: to.to.clone(),
        destination,
    };
    let accepted = admin_state.spool.accept_alert(message).await;
    accepted.map_err(|error| NotSent(one_line(&format!("it cannot be queued: {error}"))))?;
    Ok(id)
}

fn destination(to: &AlertMail) -> Destination {
    let mailbox = match &to.mailbox {
        Mailbox::Fixed(mailbox) => mailbox,
        Mailbox::From => &to.author,
    };
    Destination {
        account: to.account.clone(),
        mailbox: mailbox.canonical(),
    }
}

fn compose(to: &AlertMail, notice: &Notice, hostname: &str, id: SpoolId, subject: &str) -> Vec<u8> {
    let text = format!("{}\n", notice.text(hostname)).replace('\n', "\r\n");
    let (encoding, text) = seven_bit(text.as_bytes());
    let mut message = format!(
        "Date: {}\r\nFrom: \"graph-relay on {hostname}\" <{}>\r\nTo: {}\r\n",
        notice.at.rfc5322(),
        to.author,
        to.to,
    );
    message.push_str(&unstructured("Subject", "", subject));
    message.push_str(&format!(
        "Message-ID: {}\r\nAuto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n{text}",
        id.message_id(hostname)
    ));
    message.into_bytes()
}
