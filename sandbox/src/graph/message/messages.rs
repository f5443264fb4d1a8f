//! The messages in the mailboxes: drafts and sent messages, their two IDs, and when look-ups find
//! them.
//!
//! A draft is kept until it is sent or deleted, within the quota of its mailbox. Only the entry of
//! a sent message is kept, for look-ups, and the oldest is deleted; its content is in the `store`.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use uuid::Uuid;

use crate::graph::errors::Refusal;
use crate::graph::errors::denied;
use crate::graph::message::files::inflated;
use crate::graph::message::submission::Submission;
use crate::graph::message::submission::message_too_large;
use crate::lock::locked;
use crate::settings::Settings;
use crate::store::Attachment;
use crate::time;

/// The kind of an ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdKind {
    /// Valid until the message moves to another folder.
    Regular,
    /// Valid as long as the message is in the mailbox.
    Immutable,
}

/// The folder of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    Drafts,
    SentItems,
}

impl Folder {
    /// The folder's ID, which a path may use instead of its name.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Drafts => "AAMkAGSandboxFolderDrafts=",
            Self::SentItems => "AAMkAGSandboxFolderSentItems=",
        }
    }

    pub(crate) fn named(key: &str) -> Option<Self> {
        let is = |folder: Self, name: &str| key.eq_ignore_ascii_case(name) || key == folder.id();
        if is(Self::Drafts, "drafts") {
            Some(Self::Drafts)
        } else if is(Self::SentItems, "sentitems") {
            Some(Self::SentItems)
        } else {
            None
        }
    }
}

/// A message in a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct StoredMessage {
    /// The UPN of the mailbox.
    pub(crate) mailbox: String,
    regular: String,
    immutable: String,
    pub(crate) folder: Folder,
    /// Its current content; `None` once it was sent.
    pub(crate) message: Submission,
    /// Its own Message-ID, or the one that Graph gave it.
    pub(crate) message_id: String,
    pub(crate) has_attachments: bool,
    /// Its size as MaxSendSize counts it.
    octets: u64,
    pub(crate) created: SystemTime,
    pub(crate) changed: SystemTime,
    /// How often it was changed.
    pub(crate) version: u64,
    /// How many look-ups do not find it yet.
    unseen: u32,
}

impl StoredMessage {
    pub(crate) fn draft(mailbox: &str, message: Submission, has_attachments: bool) -> Self {
        let now = time::now();
        Self {
            mailbox: mailbox.to_owned(),
            regular: fresh_id(IdKind::Regular),
            immutable: fresh_id(IdKind::Immutable),
            folder: Folder::Drafts,
            message_id: message.message_id.clone().unwrap_or_else(|| {
                let unique = Uuid::new_v4().simple();
                format!("<{unique}@sandbox.prod.outlook.com>")
            }),
            octets: message.raw.len() as u64,
            message,
            has_attachments,
            created: now,
            changed: now,
            version: 0,
            unseen: 0,
        }
    }

    /// The copy that sendMail leaves in Sent Messages. Files in its MIME are ignored.
    pub(crate) fn sent(mailbox: &str, message: &Submission, unseen: u32) -> Self {
        let entry = Submission {
            raw: Bytes::new(),
            attachments: Vec::new(),
            ..message.clone()
        };
        Self {
            folder: Folder::SentItems,
            unseen,
            ..Self::draft(mailbox, entry, !message.attachments.is_empty())
        }
    }

    pub(crate) fn id(&self, kind: IdKind) -> &str {
        match kind {
            IdKind::Regular => &self.regular,
            IdKind::Immutable => &self.immutable,
        }
    }

    fn touch(&mut self) {
        self.changed = time::now();
        self.version += 1;
    }
}

/// All items of all mailboxes.
#[derive(Debug)]
pub(crate) struct Messages {
    max_send_size: u64,
    draft_quota: u64,
    /// Sent items kept.
    keep: usize,
    unseen: u32,
    sent_again: u16,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    /// By number, which is the order of creation.
    items: BTreeMap<u64, StoredMessage>,
    /// The numbers by ID of either kind.
    ids: HashMap<String, u64>,
    /// The numbers of sent items, the oldest first.
    sent: VecDeque<u64>,
    last: u64,
}

impl Messages {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            max_send_size: settings.max_send_size,
            draft_quota: settings.draft_quota,
            keep: settings.keep_messages,
            unseen: settings.sent_item_lookups,
            sent_again: settings.sent_again,
            all: Mutex::default(),
        }
    }

    /// Puts a new draft into its mailbox, if there is room.
    pub(crate) fn create(&self, item: StoredMessage) -> Result<(), Refusal> {
        let mut all = locked(&self.all);
        self.room(&all, &item.mailbox, item.octets)?;
        all.put(item);
        Ok(())
    }

    /// Adds a sent message to its mailbox.
    pub(crate) fn file(&self, item: StoredMessage) {
        let mut all = locked(&self.all);
        let number = all.put(item);
        all.keep_sent(number, self.keep);
    }

    /// The effect of a client's look-up on the message.
    pub(crate) fn look<T>(
        &self,
        mailbox: &str,
        id: &str,
        look: impl FnOnce(&StoredMessage) -> T,
    ) -> Result<T, Refusal> {
        let mut all = locked(&self.all);
        let item = all.find(mailbox, id)?;
        if item.unseen > 0 {
            item.unseen -= 1;
            return Err(no_item());
        }
        Ok(look(item))
    }

    /// Returns the messages of a mailbox that match, the newest first.
    pub(crate) fn list(
        &self,
        mailbox: &str,
        mut wanted: impl FnMut(&StoredMessage) -> bool,
        count: usize,
    ) -> Vec<StoredMessage> {
        let mut all = locked(&self.all);
        let matching = all.items.values_mut().rev();
        let matching = matching.filter(|item| item.mailbox == mailbox && wanted(item));
        let seen = matching.filter_map(|item| {
            if item.unseen > 0 {
                item.unseen -= 1;
                return None;
            }
            Some(item.clone())
        });
        // Not lazily: a look-up counts for every message that it would have found.
        let mut seen = seen.collect::<Vec<_>>();
        seen.truncate(count);
        seen
    }

    /// The drafts of all mailboxes, the oldest first.
    pub(crate) fn drafts(&self) -> Vec<StoredMessage> {
        let all = locked(&self.all);
        let drafts = all.items.values().filter(|it| it.folder == Folder::Drafts);
        drafts.cloned().collect()
    }

    /// Changes a draft. A sent message can be changed only with a permission that no app has here.
    pub(crate) fn change<T>(
        &self,
        mailbox: &str,
        id: &str,
        change: impl FnOnce(&mut StoredMessage) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut all = locked(&self.all);
        let item = all.find(mailbox, id)?;
        match item.folder {
            Folder::SentItems => Err(denied()),
            Folder::Drafts => {
                let changed = change(item)?;
                item.touch();
                Ok(changed)
            }
        }
    }

    /// Whether a draft may grow by this number of bytes, now or at the end of an upload.
    pub(crate) fn may_grow(&self, mailbox: &str, octets: u64) -> Result<(), Refusal> {
        self.room(&locked(&self.all), mailbox, inflated(octets))
    }

    /// Adds a file to a draft.
    pub(crate) fn attach(
        &self,
        mailbox: &str,
        id: &str,
        attachment: Attachment,
    ) -> Result<(), Refusal> {
        let more = inflated(attachment.content.len() as u64);
        self.may_grow(mailbox, attachment.content.len() as u64)?;
        self.change(mailbox, id, |item| {
            if item.octets + more > self.max_send_size {
                return Err(message_too_large());
            }
            item.octets += more;
            item.has_attachments |= !attachment.inline;
            item.message.attachments.push(attachment);
            Ok(())
        })
    }

    /// Removes a message from its mailbox and returns its immutable ID.
    pub(crate) fn delete(&self, mailbox: &str, id: &str) -> Result<String, Refusal> {
        let mut all = locked(&self.all);
        all.find(mailbox, id)?;
        let number = all.ids.get(id).copied();
        let item = number.and_then(|number| all.remove(number));
        item.map(|item| item.immutable).ok_or_else(no_item)
    }

    /// Returns a draft as it is, to be checked before it is sent.
    pub(crate) fn to_send(&self, mailbox: &str, id: &str) -> Result<StoredMessage, Refusal> {
        let mut all = locked(&self.all);
        let item = all.find(mailbox, id)?;
        self.is_unsent(item)?;
        if item.octets > self.max_send_size {
            return Err(message_too_large());
        }
        Ok(item.clone())
    }

    /// Moves a draft to Sent Messages, once, and returns it. Its regular ID is no longer valid.
    pub(crate) fn send(&self, mailbox: &str, id: &str) -> Result<StoredMessage, Refusal> {
        let mut all = locked(&self.all);
        let item = all.find(mailbox, id)?;
        self.is_unsent(item)?;
        let sent = item.clone();
        item.folder = Folder::SentItems;
        item.unseen = self.unseen;
        item.message.raw = Bytes::new();
        for attachment in &mut item.message.attachments {
            attachment.content = Bytes::new();
        }
        item.regular = fresh_id(IdKind::Regular);
        item.touch();
        let regular = item.regular.clone();
        if let Some(number) = all.ids.remove(&sent.regular) {
            all.ids.insert(regular, number);
            all.keep_sent(number, self.keep);
        }
        Ok(sent)
    }

    pub(crate) fn clear(&self) {
        let mut all = locked(&self.all);
        *all = All {
            last: all.last,
            ..All::default()
        };
    }

    fn is_unsent(&self, item: &StoredMessage) -> Result<(), Refusal> {
        match (item.folder, self.sent_again) {
            (Folder::Drafts, _) => Ok(()),
            (Folder::SentItems, 404) => Err(no_item()),
            (Folder::SentItems, 403) => Err(denied()),
            (Folder::SentItems, status) => Err(Refusal::new(
                StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
                "ErrorInvalidRequest",
                "The request is invalid.",
            )),
        }
    }

    fn room(&self, all: &All, mailbox: &str, more: u64) -> Result<(), Refusal> {
        let drafts = all.items.values();
        let drafts = drafts.filter(|it| it.mailbox == mailbox && it.folder == Folder::Drafts);
        let held: u64 = drafts.map(|it| it.octets).sum();
        if held.saturating_add(more) > self.draft_quota {
            return Err(Refusal::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "ErrorQuotaExceeded",
                "The mailbox is over its quota.",
            ));
        }
        Ok(())
    }
}

impl All {
    fn put(&mut self, item: StoredMessage) -> u64 {
        self.last += 1;
        self.ids.insert(item.regular.clone(), self.last);
        self.ids.insert(item.immutable.clone(), self.last);
        self.items.insert(self.last, item);
        self.last
    }

    fn find(&mut self, mailbox: &str, id: &str) -> Result<&mut StoredMessage, Refusal> {
        let number = self.ids.get(id);
        let item = number.and_then(|number| self.items.get_mut(number));
        item.filter(|item| item.mailbox == mailbox)
            .ok_or_else(no_item)
    }

    fn remove(&mut self, number: u64) -> Option<StoredMessage> {
        let item = self.items.remove(&number)?;
        self.ids.remove(&item.regular);
        self.ids.remove(&item.immutable);
        Some(item)
    }

    fn keep_sent(&mut self, number: u64, keep: usize) {
        self.sent.push_back(number);
        while self.sent.len() > keep
            && let Some(oldest) = self.sent.pop_front()
        {
            drop(self.remove(oldest));
        }
    }
}

/// A 404 for a message that does not exist, or not under this ID.
pub(crate) fn no_item() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "ErrorItemNotFound",
        "The specified object was not found in the store.",
    )
}

/// Looks like Exchange's IDs, including the padding.
fn fresh_id(kind: IdKind) -> String {
    let mut octets = [0; 40];
    for (octet, random) in octets
        .iter_mut()
        .zip(Uuid::new_v4().as_bytes().iter().cycle())
    {
        *octet = *random;
    }
    let begin = match kind {
        IdKind::Regular => "AAMkAG",
        IdKind::Immutable => "AAkALg",
    };
    format!("{begin}{}", URL_SAFE.encode(octets))
}
