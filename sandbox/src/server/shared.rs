//! The shared state of the endpoints: the settings, and everything that is kept.

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;

use crate::entra::arc_keys::ArcKeys;
use crate::entra::assertion::Certificates;
use crate::entra::secrets::Secrets;
use crate::entra::sign_in::waiting::SignIns;
use crate::entra::token::access_tokens::Tokens;
use crate::entra::users::Users;
use crate::faults::addresses::Played;
use crate::faults::waiting::Faults;
use crate::graph::mailboxes::Mailboxes;
use crate::graph::message::messages::IdKind;
use crate::graph::message::messages::Messages;
use crate::graph::uploads::Uploads;
use crate::settings::Settings;
use crate::store::Draft;
use crate::store::Keep;
use crate::store::Store;

/// The shared state of the endpoints.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    pub(crate) certificates: Certificates,
    pub(crate) sign_ins: SignIns,
    pub(crate) arc_keys: ArcKeys,
    pub(crate) users: Users,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) store: Store,
    pub(crate) messages: Messages,
    pub(crate) uploads: Uploads,
    /// The URL of the upload host.
    pub(crate) upload_host: String,
    pub(crate) faults: Faults,
    pub(crate) played: Played,
    pub(crate) secrets: Secrets,
    /// The admin page of the relay that sends here, if there is one.
    pub(crate) admin_page: OnceLock<String>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, upload_address: SocketAddr) -> io::Result<Self> {
        let keep = Keep {
            messages: settings.keep_messages,
            bytes: settings.keep_bytes,
            requests: settings.keep_requests,
        };
        let users = Users::new(&settings);
        Ok(Self {
            tokens: Tokens::default(),
            certificates: Certificates::new(&settings)?,
            sign_ins: SignIns::default(),
            arc_keys: ArcKeys::default(),
            mailboxes: Mailboxes::new(&settings, &users),
            users,
            store: Store::new(keep),
            messages: Messages::new(&settings),
            uploads: Uploads::default(),
            upload_host: format!("http://{upload_address}"),
            faults: Faults::default(),
            played: Played::default(),
            secrets: Secrets::default(),
            admin_page: OnceLock::new(),
            settings,
        })
    }

    /// Deletes the received messages, and their counts.
    pub(crate) fn clear(&self) {
        self.store.clear();
        self.messages.clear();
        self.uploads.clear();
        self.played.clear();
        self.mailboxes.clear();
    }

    /// Returns the drafts that were neither sent nor deleted, oldest first.
    pub(crate) fn drafts(&self) -> Vec<Draft> {
        let drafts = self.messages.drafts().into_iter().map(|item| Draft {
            id: item.id(IdKind::Regular).to_owned(),
            immutable_id: item.id(IdKind::Immutable).to_owned(),
            time: item.created,
            open_uploads: self.uploads.count(item.id(IdKind::Immutable)),
            recipients: item.message.recipients().cloned().collect(),
            mailbox: item.mailbox,
            form: item.message.form,
            raw: item.message.raw,
            subject: item.message.subject,
            message_id: item.message_id,
            attachments: item.message.attachments,
        });
        drafts.collect()
    }
}
