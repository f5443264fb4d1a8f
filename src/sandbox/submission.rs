//! A message as it was given, by sendMail or as a draft, whichever its form, and the rules that hold
//! for it when it is sent.

use axum::body::Bytes;
use axum::http::StatusCode;

use crate::sandbox::Settings;
use crate::sandbox::addresses::SEND_AS_DENIED;
use crate::sandbox::errors::Refusal;
use crate::sandbox::exchange::Exchange;
use crate::sandbox::store::Arrival;
use crate::sandbox::store::Attachment;
use crate::sandbox::store::BccBy;
use crate::sandbox::store::Form;
use crate::sandbox::store::Route;
use crate::sandbox::wall;

/// A message that could be read.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub(super) form: Form,
    /// The MIME message, or the JSON body.
    pub(super) raw: Bytes,
    /// The addresses of the From field; none leaves it to Graph to fill in the mailbox.
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) bcc: Vec<String>,
    pub(super) bcc_by: Option<BccBy>,
    pub(super) subject: String,
    pub(super) message_id: Option<String>,
    /// The files within the JSON; those of MIME are in `raw` and nowhere else.
    pub(super) attachments: Vec<Attachment>,
    pub(super) copy: SentCopy,
}

/// Whether a sent message stays in Sent Items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentCopy {
    Kept,
    Unwanted,
}

impl Submission {
    pub(super) fn recipients(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
    }

    /// What is shown of it once it was taken by sendMail.
    pub(super) fn arrival(self, mailbox: &str, exchange: &Exchange) -> Arrival {
        Arrival {
            id: 0,
            time: wall::now(),
            mailbox: mailbox.to_owned(),
            route: Route::SendMail,
            form: self.form,
            raw: self.raw,
            from: self.from,
            to: self.to,
            cc: self.cc,
            bcc: self.bcc,
            bcc_by: self.bcc_by,
            subject: self.subject,
            message_id: self.message_id,
            attachments: self.attachments,
            client_request_id: exchange.given_id().map(str::to_owned),
            request_id: exchange.request_id.clone(),
        }
    }

    /// Judges recipients and author, as both forms are judged.
    pub(super) fn check(&self, mailbox: &str, settings: &Settings) -> Result<(), Refusal> {
        let mut count = 0;
        for recipient in self.recipients() {
            count += 1;
            if !is_address(recipient) {
                return Err(invalid_recipients(&format!(
                    "Recipient \"{recipient}\" isn't resolved."
                )));
            }
        }
        if count == 0 {
            return Err(invalid_recipients(
                "A message can't be sent because it contains no recipients.",
            ));
        }
        if count > settings.recipient_limit {
            return Err(Refusal::bad(
                "ErrorRecipientLimitExceeded",
                "The recipient limit for this message has been exceeded.",
            ));
        }
        let may_send_as = |author: &String| {
            let own = |(alias, upn): (&String, &String)| {
                alias.eq_ignore_ascii_case(author) && upn.eq_ignore_ascii_case(mailbox)
            };
            author.eq_ignore_ascii_case(mailbox)
                || settings.proxy_addresses.iter().any(own)
                || settings
                    .send_as
                    .iter()
                    .any(|allowed| allowed.eq_ignore_ascii_case(author))
        };
        if self.from.iter().all(may_send_as) {
            Ok(())
        } else {
            Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "ErrorSendAsDenied",
                SEND_AS_DENIED,
            ))
        }
    }
}

/// A 400 for a message over the mailbox's MaxSendSize.
pub(super) fn message_too_large() -> Refusal {
    Refusal::bad(
        "ErrorMessageSizeExceeded",
        "The message exceeds the maximum supported size., Cannot save changes made to an item to \
         store.",
    )
}

/// A 400 in the two sentences of Exchange.
pub(super) fn invalid_recipients(detail: &str) -> Refusal {
    Refusal::bad(
        "ErrorInvalidRecipients",
        format!("At least one recipient is not valid., {detail}"),
    )
}

/// Whether Exchange could resolve it as an address at all; not whether anybody has it.
fn is_address(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(local_part, domain)| {
        !local_part.is_empty()
            && !domain.is_empty()
            && !domain.contains(char::is_whitespace)
            && !text.contains(char::is_control)
    })
}
