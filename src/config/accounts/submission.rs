//! The keys of `[[account]]` that say what is handed to Graph, and how.
//!
//! What they do is decided in `delivery/`; here they are read, and refused where
//! two of them contradict each other.

use serde::Deserialize;

use crate::config::Mailbox;
use crate::config::reader::Section;
use crate::config::units::ByteSize;

/// What is handed to Graph, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// What becomes of the From field.
    pub from: FromRule,
    /// Who says who receives a message.
    pub recipients: RecipientRule,
    /// In which form a message goes.
    pub format: Format,
    /// Whether Graph keeps a copy in Sent Items.
    pub save_to_sent_items: bool,
    /// In one request, or as a draft.
    pub route: Route,
    /// What becomes of a message that may have been sent.
    pub on_doubt: OnDoubt,
    /// How blind recipients reach Graph.
    pub blind: BlindRule,
    /// What becomes of a message that cannot be split so that it fits.
    pub oversize: Oversize,
    /// Whether quoted-printable stays.
    pub quoted_printable: QuotedPrintable,
    /// The largest request body, in bytes.
    pub request_limit: u64,
}

/// What becomes of the From field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromRule {
    /// It stays.
    Keep,
    /// It becomes the mailbox, with the display name that came in.
    Mailbox,
}

/// Who says who receives a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecipientRule {
    /// The envelope (promise 3).
    Envelope,
    /// To, Cc and Bcc; the envelope where they name nobody.
    Headers,
}

/// In which form a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// As it came in.
    Mime,
    /// Taken apart into Graph's properties.
    Json,
}

/// In one request, or as a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// sendMail, where the message fits in one request.
    Send,
    /// A draft that is made, recorded and sent.
    Draft,
}

/// What becomes of a message that may have been sent.
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
    /// In a Bcc field, which Exchange takes out.
    Header,
    /// In a draft's bccRecipients, so that no Bcc field ever leaves the relay.
    Property,
}

/// What becomes of a message that cannot be split so that it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oversize {
    /// It is refused when it has come in.
    Fail,
    /// It travels as the one attachment of a short message.
    Attach,
    /// The default: what is signed or encrypted is refused, all else is attached.
    #[serde(skip)]
    AttachUnsigned,
}

/// Whether quoted-printable stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuotedPrintable {
    /// It stays.
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
            // Microsoft says "4 MB", and not which.
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

    /// The most bytes of MIME that one request carries: base64 makes four of
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

/// Nobody allows much more. A header section of 128 KiB, which is the largest
/// taken, can grow eightfold and has to fit with a Bcc field of 500 recipients.
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
