//! Promise 3: only the envelope decides who receives a message.
//!
//! Graph takes recipients from the header section: To, Cc and Bcc. These rules make the
//! header section match the envelope:
//!
//! - Every incoming Bcc is dropped. One top-level Bcc names the blind recipients:
//!   recipients of the envelope that no other field names.
//! - A stray address, one that is not in the envelope, is removed from To or Cc; the
//!   original field stays visible as `X-Original-To` or `X-Original-Cc`.
//! - An address or a name in To or Cc that `[aliases]` or `redirect_all_to` replaces in
//!   the envelope is replaced here too, under the display name that came in. If the
//!   message has only one recipient, a field `X-Original-To` says what the client named
//!   and To and Cc do not; nobody else sees it.
//! - Fields of an earlier resending (RFC 5322 3.6.6) must not add recipients: Resent-Bcc
//!   is dropped, Resent-To and Resent-Cc are renamed in the same way.
//! - Several To or several Cc become one.
//! - If no recipient is left to name, or To and Cc are missing, To says
//!   `undisclosed-recipients:;`.
//!
//! A field that needs none of this stays byte for byte. An item without an address for
//! this relay's reader counts as stray, and so does an empty field. A list with groups,
//! gaps or repetitions is written without them. A name that is malformed or not ASCII is
//! rewritten ([`Item::written`](crate::mime::Item::written)); the original field stays
//! visible only if something is lost. Another parser then reads the result. If it finds a
//! recipient too many or too few, the message falls back to naming all recipients in Bcc.
//!
//! With `blind = "property"` no Bcc field goes out, and the blind recipients are set on
//! the draft. With `recipients = "headers"` the addresses of To, Cc and Bcc replace the
//! envelope, and all of the above holds for them. The exception is a message whose
//! recipients relay.toml has replaced or limited: its header may name people who must not
//! receive it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::LazyLock;

use mail_parser::HeaderName;
use mail_parser::MessageParser;

use crate::config::RecipientRule;
use crate::mail::Address;
use crate::mail::Envelope;
use crate::mail::ForwardPath;
use crate::mime::Header;
use crate::mime::Item;
use crate::mime::field_of;
use crate::mime::unstructured;

/// What happens to each field of a header section, and what is added.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Decision {
    /// One for each field, in order.
    pub(in crate::delivery) edits: Vec<Edit>,
    /// Fields to put at the top.
    pub(in crate::delivery) added: Vec<u8>,
    /// The recipients that no field names.
    pub(in crate::delivery) blind: Vec<Address>,
}

impl Decision {
    /// The field that names the blind recipients; none if there are none.
    pub(in crate::delivery) fn bcc(&self) -> Vec<u8> {
        if self.blind.is_empty() {
            return Vec::new();
        }
        field_of("Bcc", self.blind.iter().map(Address::as_str))
    }
}

/// What happens to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Edit {
    /// It goes out unchanged.
    Keep,
    /// It is left out, or replaced by these bytes.
    Replace(Vec<u8>),
}

/// Whether To and Cc may name recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Visible {
    /// As they came in.
    AsWritten,
    /// They may not: every recipient is blind.
    Nobody,
}

const NOBODY: &[u8] = b"To: undisclosed-recipients:;\r\n";

/// Decides about every field.
pub(in crate::delivery) fn decide(
    header: &Header<'_>,
    envelope: &Envelope,
    visible: Visible,
) -> Decision {
    let members = match visible {
        Visible::AsWritten => Members::of(envelope),
        Visible::Nobody => Members::default(),
    };
    let mut named = HashSet::new();
    let mut edits = vec![Edit::Keep; header.fields.len()];
    let mut addressed = false;
    for name in ["To", "Cc"] {
        addressed |= narrow(header, name, &members, &mut named, &mut edits);
    }
    for (field, edit) in header.fields.iter().zip(&mut edits) {
        if field.is("Bcc") || field.is("Resent-Bcc") {
            *edit = Edit::Replace(Vec::new());
        } else if field.is("Resent-To") || field.is("Resent-Cc") {
            *edit = Edit::Replace(field.renamed());
        }
    }
    let mut added = originals(header, envelope).into_bytes();
    if !addressed {
        added.extend_from_slice(NOBODY);
    }
    let recipients = envelope.recipients.iter();
    let blind = recipients.filter(|recipient| !named.contains(&recipient.key()));
    Decision {
        edits,
        added,
        blind: blind.cloned().collect(),
    }
}

/// The envelope to use: with `recipients = "headers"` the one from To, Cc and Bcc, unless
/// they name nobody.
pub(in crate::delivery) fn effective<'e>(
    header: &Header<'_>,
    envelope: &'e Envelope,
    rule: RecipientRule,
) -> Cow<'e, Envelope> {
    if rule == RecipientRule::Envelope || !envelope.asked.is_empty() {
        return Cow::Borrowed(envelope);
    }
    let mut seen = HashSet::new();
    let fields = ["To", "Cc", "Bcc"].iter().flat_map(|name| header.all(name));
    let items = fields.flat_map(|field| &field.list().items);
    let recipients: Vec<Address> = items
        .filter_map(|item| item.address.as_ref())
        .filter(|address| address.is_plain() && seen.insert(address.key()))
        .cloned()
        .collect();
    if recipients.is_empty() {
        return Cow::Borrowed(envelope);
    }
    Cow::Owned(Envelope {
        recipients,
        ..envelope.clone()
    })
}

/// Whether another parser finds these recipients in a header section, and nobody else.
pub(in crate::delivery) fn names_exactly<'a>(
    header: &[u8],
    recipients: impl IntoIterator<Item = &'a Address>,
) -> bool {
    static READER: LazyLock<MessageParser> = LazyLock::new(|| {
        MessageParser::new()
            .header_address(HeaderName::To)
            .header_address(HeaderName::Cc)
            .header_address(HeaderName::Bcc)
            .default_header_ignore()
    });
    let Some(message) = READER.parse_headers(header) else {
        return false;
    };
    let lists = message
        .all_to()
        .chain(message.all_cc())
        .chain(message.all_bcc());
    let mut named = HashSet::new();
    for mailbox in lists.flat_map(mail_parser::Address::iter) {
        let Some(address) = mailbox.address.as_deref() else {
            continue; // the name of an empty group
        };
        match address.parse::<Address>() {
            Ok(address) => named.insert(address.key()),
            Err(_) => return false,
        };
    }
    let wanted: HashSet<String> = recipients.into_iter().map(Address::key).collect();
    named == wanted
}

/// The recipients that may be named in To and Cc.
#[derive(Debug, Default)]
struct Members<'e> {
    /// Their keys.
    keys: HashSet<String>,
    /// The replacements for other addresses, by the keys of those.
    replaced: HashMap<String, Vec<&'e Address>>,
}

impl<'e> Members<'e> {
    fn of(envelope: &'e Envelope) -> Self {
        let mut replaced: HashMap<String, Vec<&Address>> = HashMap::new();
        for asked in envelope.replaced() {
            let key = key(&asked.original);
            replaced.entry(key).or_default().push(&asked.recipient);
        }
        // Cron writes To: root, and its mail program RCPT TO:<root@host>.
        for asked in envelope.replaced() {
            if let Some((name, _)) = key(&asked.original).rsplit_once('@')
                && !replaced.contains_key(name)
            {
                let whole = key(&asked.original);
                let recipients = replaced.get(&whole).cloned().unwrap_or_default();
                replaced.insert(name.to_owned(), recipients);
            }
        }
        Self {
            keys: envelope.recipients.iter().map(Address::key).collect(),
            replaced,
        }
    }

    /// The replacements for an item, as they are written there.
    fn in_place_of<'m>(&'m self, item: &'m Item) -> impl Iterator<Item = (String, String)> + 'm {
        let recipients = item_key(item).and_then(|key| self.replaced.get(&key));
        let name = item.name().filter(|name| !name.contains('@'));
        let written = move |recipient: &&Address| {
            let text = match &name {
                Some(name) => format!("{name} <{recipient}>"),
                None => recipient.to_string(),
            };
            (recipient.key(), text)
        };
        recipients.into_iter().flatten().map(written)
    }
}

/// Equal for all spellings of what a client named.
fn key(original: &str) -> String {
    let path = original.parse::<ForwardPath>();
    path.map_or_else(|_| original.to_ascii_lowercase(), |path| path.key())
}

/// The key of an item's address or, if it has none, of the name in its place, as in `root
/// (Cron Daemon)`.
fn item_key(item: &Item) -> Option<String> {
    if let Some(address) = &item.address {
        return Some(address.key());
    }
    let outside = match item.text.rsplit_once('<') {
        Some((_, inside)) => inside.split('>').next(),
        None => item.text.split('(').next(),
    };
    let path: ForwardPath = outside?.trim().parse().ok()?;
    Some(path.key())
}

/// Recipients that one field of original addresses names.
const MOST_ORIGINALS: usize = 100;

/// The field with the address that the client named for the only recipient, if To and Cc
/// do not have it.
fn originals(header: &Header<'_>, envelope: &Envelope) -> String {
    let [only] = &*envelope.recipients else {
        return String::new();
    };
    let originals: Vec<&str> = envelope.originals(only).collect();
    if originals.is_empty() {
        return String::new();
    }
    let fields = ["To", "Cc"].iter().flat_map(|name| header.all(name));
    let items = fields.flat_map(|field| &field.list().items);
    let shown: HashSet<String> = items.filter_map(item_key).collect();
    if originals
        .iter()
        .all(|original| shown.contains(&key(original)))
    {
        return String::new();
    }
    // All in one field, because the JSON form keeps only one of each name.
    let mut text = originals
        .get(..MOST_ORIGINALS)
        .unwrap_or(&originals)
        .join(", ");
    if let Some(more @ 1..) = originals.len().checked_sub(MOST_ORIGINALS) {
        text.push_str(&format!(", and {more} more"));
    }
    unstructured("X-Original-To", "", &text)
}

/// Decides about the fields of one name, and whether one of them stays. `members` may be
/// named; those who are named are added to `named`.
fn narrow(
    header: &Header<'_>,
    name: &str,
    members: &Members<'_>,
    named: &mut HashSet<String>,
    edits: &mut [Edit],
) -> bool {
    let mut kept: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    // Rewriting it would lose something, or it does not stay at all.
    let mut lossy = false;
    let mut changed = false;
    for field in header.all(name) {
        let list = field.list();
        changed |= !list.is_settled();
        // Groups are dissolved, because other programs may read them differently.
        let is_nobody = list.plain && field.is_ascii();
        lossy |= list.is_lossy() || (list.items.is_empty() && !is_nobody);
        for item in &list.items {
            // With quotes, programs may read the recipient differently.
            let address = item.address.as_ref().filter(|it| it.is_plain());
            let key = address.map(Address::key);
            match key.filter(|key| members.keys.contains(key)) {
                Some(key) if seen.insert(key.clone()) => {
                    kept.push(item.written());
                    named.insert(key);
                }
                // It was named before, and Graph counts every repetition.
                Some(_) => lossy = true,
                // An address of nobody, or of somebody else.
                None => {
                    lossy = true;
                    for (key, written) in members.in_place_of(item) {
                        if !named.contains(&key) && seen.insert(key.clone()) {
                            kept.push(written);
                            named.insert(key);
                        }
                    }
                }
            }
        }
    }
    let fields = header.all(name).count();
    if fields == 0 || (fields == 1 && !lossy && !changed) {
        return fields == 1;
    }
    // The first field of that name becomes the corrected one, and joins all of them: RFC
    // 5322 3.6 allows only one, and readers differ in which they use.
    let mut narrowed = match (kept.is_empty(), name) {
        (false, _) => field_of(name, kept.iter().map(String::as_str)),
        (true, "To") => NOBODY.to_vec(),
        (true, _) => Vec::new(),
    };
    let stays = !narrowed.is_empty();
    let fields = header.fields.iter().zip(edits);
    for (field, edit) in fields.filter(|(field, _)| field.is(name)) {
        let mut bytes = std::mem::take(&mut narrowed);
        if lossy {
            bytes.extend(field.renamed());
        }
        *edit = Edit::Replace(bytes);
    }
    stays
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mail::ReportRequest;
    use crate::mail::ReversePath;
    use crate::mime::JsonMessage;

    fn envelope(recipients: &[String]) -> Envelope {
        Envelope {
            reverse_path: ReversePath::Null,
            recipients: recipients.iter().map(|r| r.parse().unwrap()).collect(),
            asked: Vec::new(),
            utf8: false,
            reports: ReportRequest::default(),
        }
    }

    /// The outgoing header section.
    fn edited(header: &[u8], envelope: &Envelope, visible: Visible) -> Vec<u8> {
        let header = Header::split(header, true).unwrap();
        let decision = decide(&header, envelope, visible);
        let mut out = [decision.added.clone(), decision.bcc()].concat();
        for (field, edit) in header.fields.iter().zip(decision.edits) {
            match edit {
                Edit::Keep => out.extend_from_slice(&field.raw),
                Edit::Replace(bytes) => out.extend(bytes),
            }
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    fn plain_address() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,12}(\\.[a-z0-9]{1,5})?@[a-z0-9]{1,9}\\.(example|org)"
            .prop_filter("plain addresses are taken by RCPT", |text| {
                text.parse::<Address>()
                    .is_ok_and(|address| address.is_plain())
            })
    }

    /// Header lines that try to name a recipient.
    fn line() -> impl Strategy<Value = String> {
        let value = "[ -~]{0,30}(eve@e\\.example)?[ -~]{0,10}";
        let name = "(To|Cc|Bcc|Resent-To|Subject|TO |cc\t)";
        (name, value).prop_map(|(name, value)| format!("{name}: {value}\r\n"))
    }

    proptest! {
        #[test]
        fn promise_3_every_plain_envelope_can_be_named_whatever_the_header_says(
            recipients in proptest::collection::vec(plain_address(), 1..6),
            lines in proptest::collection::vec(line(), 0..6),
        ) {
            let envelope = envelope(&recipients);
            let header = lines.concat();

            let edited = edited(header.as_bytes(), &envelope, Visible::Nobody);

            prop_assert!(
                names_exactly(&edited, &envelope.recipients),
                "{}", String::from_utf8_lossy(&edited)
            );
        }

        #[test]
        fn promise_3_the_json_form_names_whom_the_header_section_names(
            recipients in proptest::collection::vec(plain_address(), 1..6),
            shown in 0..6_usize,
            lines in proptest::collection::vec(line(), 0..6),
        ) {
            let envelope = envelope(&recipients);
            let named = recipients.get(..shown).unwrap_or(&recipients).join(",\r\n ");
            let header = format!("To: {named}\r\n{}", lines.concat());

            for visible in [Visible::AsWritten, Visible::Nobody] {
                let edited = edited(header.as_bytes(), &envelope, visible);
                let json_message = JsonMessage::of(&edited).unwrap();

                if names_exactly(&edited, &envelope.recipients) {
                    let named: HashSet<String> = json_message.recipients().map(Address::key).collect();
                    let wanted = envelope.recipients.iter().map(Address::key).collect();
                    prop_assert_eq!(named, wanted, "{}", String::from_utf8_lossy(&edited));
                }
            }
        }
    }
}
