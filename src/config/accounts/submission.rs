//! The keys of `[[account]]` that say how messages are handed to Graph.
//!
//! `delivery/` carries them out. Here they are read, and refused if two of them contradict
//! each other.

use serde::Deserialize;

use crate::config::Mailbox;
use crate::config::reader::Section;
use crate::config::units::ByteSize;

/// How messages are handed to Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// What happens to the From field.
    pub from: FromRule,
    /// What decides who receives a message.
    pub recipients: RecipientRule,
    /// The form in which a message is sent.
    pub format: Format,
    /// Whether Graph keeps a copy in Sent Items.
    pub save_to_sent_items: bool,
    /// In one request, or as a draft.
    pub route: Route,
    /// What happens to a message that may have been sent.
    pub on_doubt: OnDoubt,
    /// How blind recipients reach Graph.
    pub blind: BlindRule,
    /// What happens to a message that is too large and cannot be split.
    pub oversize: Oversize,
    /// Whether quoted-printable is kept.
    pub quoted_printable: QuotedPrintable,
    /// The largest request body, in bytes.
    pub request_limit: u64,
}

/// What happens to the From field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromRule {
    /// It stays as it is.
    Keep,
    /// It becomes the mailbox, with the original display name.
    Mailbox,
}

/// What decides who receives a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecipientRule {
    /// The envelope (promise 3).
    Envelope,
    /// To, Cc and Bcc; the envelope if they name nobody.
    Headers,
}

/// The form in which a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As it was received.
    Mime,
    /// Converted into Graph's properties.
    Json,
}

/// In one request, or as a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// sendMail, if the message fits into one request.
    Send,
    /// A draft that is created, recorded and sent.
    Draft,
}

/// What happens to a message that may have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDoubt {
    /// It is tried again, and may arrive twice.
    Retry,
    /// It is held until an operator decides.
    Hold,
}

/// How blind recipients reach Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlindRule {
    /// In a Bcc field, which Exchange removes.
    Header,
    /// In a draft's bccRecipients, so that no Bcc field ever leaves the relay.
    Property,
}

/// What happens to a message that is too large and cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oversize {
    /// The relay refuses it when it receives it.
    Fail,
    /// It is sent as the only attachment of a short message.
    Attach,
    /// The default: signed and encrypted messages are refused, all others are attached.
    #[serde(skip)]
    AttachUnsigned,
}

/// Whether quoted-printable is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotedPrintable {
    /// It is kept.
    Keep,
    /// Text parts outside signed content become base64.
    Base64,
}

impl Default for Submission {
    fn default() -> Self {
        Self {
            from: FromRule::Keep,
            recipients: RecipientRule::Envelope,
            format: Format::Mime,
            save_to_sent_items: true,
            route: Route::Send,
            on_doubt: OnDoubt::Retry,
            blind: BlindRule::Header,
            oversize: Oversize::AttachUnsigned,
            quoted_printable: QuotedPrintable::Keep,
            // Microsoft says "4 MB", but not which kind.
            request_limit: 4_000_000,
        }
    }
}

impl Submission {
    /// Whether a message of this size or less may have to be sent as a draft.
    pub(in crate::config) fn needs_drafts(&self, message_size: u64) -> bool {
        self.route == Route::Draft
            || self.blind == BlindRule::Property
            || message_size > self.largest_mime()
    }

    /// Returns the most bytes of MIME that fit into one request: base64 makes four bytes of
    /// three.
    pub fn largest_mime(&self) -> u64 {
        self.request_limit / 4 * 3
    }
}

pub(in crate::config) fn read(section: &mut Section<'_>, mailbox: Option<&Mailbox>) -> Submission {
    let default = Submission::default();
    let save_to_sent_items = section.or("save_to_sent_items", default.save_to_sent_items);
    let format = match save_to_sent_items {
        true => default.format,
        false => Format::Json,
    };
    let submission = Submission {
        from: section.or("from", default.from),
        recipients: section.or("recipients", default.recipients),
        format: section.or("format", format),
        save_to_sent_items,
        route: section.or("submission", default.route),
        on_doubt: section.or("on_doubt", default.on_doubt),
        blind: section.or("blind", default.blind),
        oversize: section.or("oversize", default.oversize),
        quoted_printable: section.or("quoted_printable", default.quoted_printable),
        request_limit: request_limit(section, default.request_limit),
    };
    if submission.from == FromRule::Mailbox && mailbox == Some(&Mailbox::From) {
        section.problem_of(
            "from",
            "from = \"mailbox\" needs a fixed mailbox: remove it, or write an address as mailbox \
             instead of \"from\"",
        );
    }
    if !save_to_sent_items {
        if submission.format == Format::Mime {
            let message = "format = \"mime\" always leaves a copy in Sent Items: remove it, or remove \
                           save_to_sent_items = false";
            section.problem_of("format", message);
        }
        if submission.route == Route::Draft {
            let message = "submission = \"draft\" always leaves a copy in Sent Items: remove it, or \
                           remove save_to_sent_items = false";
            section.problem_of("submission", message);
        }
    }
    submission
}

/// Nobody allows much more. The largest header section that is accepted has 128 KiB, can
/// grow eightfold, and must fit together with a Bcc field of 500 recipients.
fn request_limit(section: &mut Section<'_>, default: u64) -> u64 {
    match section.marked::<ByteSize>("request_limit") {
        Some(marked) if !(4_000_000..=150_000_000).contains(&marked.value.0) => {
            let message = "request_limit: must be from \"4 MB\" to \"150 MB\"";
            section.problem_at(&marked.span, message);
            default
        }
        Some(marked) => marked.value.0,
        None => default,
    }
}
