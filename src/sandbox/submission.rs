//! A message as sendMail was given it, whichever its form, and the rules that hold for both.

use axum::body::Bytes;
use axum::http::StatusCode;

use crate::sandbox::Settings;
use crate::sandbox::addresses::SEND_AS_DENIED;
use crate::sandbox::errors::Refusal;
use crate::sandbox::store::Form;

/// A message that could be read.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) form: Form,
    /// The MIME message, or the JSON body.
    pub(super) raw: Bytes,
    /// The addresses of the From field; none leaves it to Graph to fill in the mailbox.
    pub(super) from: Vec<String>,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) bcc: Vec<String>,
    pub(super) subject: String,
    pub(super) message_id: Option<String>,
}

impl Submission {
    pub(super) fn recipients(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(&self.cc).chain(&self.bcc)
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
            author.eq_ignore_ascii_case(mailbox)
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
