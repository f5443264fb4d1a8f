//! Who sends mail through the relay, for commands and the page.

mod add;
mod allow;
mod user;

use std::collections::HashSet;
use std::net::IpAddr;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use serde::Serialize;

pub use self::add::AddedDevice;
pub use self::add::NewDevice;
pub use self::add::NotChanged;
pub use self::add::Server;
pub use self::allow::Permission;
pub use self::allow::PermissionKind;
use super::AdminState;
use crate::clock::Timestamp;
use crate::config::User;
use crate::mail::Client;
use crate::telemetry::devices::Counts;
use crate::telemetry::devices::Device;
use crate::telemetry::devices::LastRefusal;
use crate::telemetry::transcripts::Transcript;

/// A client that sends mail, or tries to; or a `[[user]]` that has not come yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its last address; none if it has not come yet.
    pub client: Option<IpAddr>,
    /// The user as whom it authenticates.
    pub user: Option<String>,
    /// What it called itself last.
    pub hello: Option<String>,
    /// How it is.
    pub state: DeviceState,
    /// When it was seen first.
    pub first_seen_at: Option<Timestamp>,
    /// When it was seen last.
    pub last_seen_at: Option<Timestamp>,
    /// When its last message was accepted.
    pub last_accepted_at: Option<Timestamp>,
    /// For how many days it has sent nothing, if it has sent regularly before.
    pub silent_days: Option<u64>,
    /// Its messages since it is known.
    pub messages: Counts,
    /// Its messages of this day (UTC).
    pub today: Counts,
    /// The version of TLS that it used last; none without TLS.
    pub tls: Option<String>,
    /// How it authenticated last; none without AUTH.
    pub authentication: Option<String>,
    /// Its deviations from the standards that the relay tolerates.
    pub quirks: Vec<String>,
    /// The addresses as which it sent, the last one first.
    pub senders: Vec<String>,
    /// Its last refusal.
    pub last_refusal: Option<LastRefusal>,
}

/// How a device is. JSON has the names in small letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// What it sent last was accepted.
    Sending,
    /// It has sent regularly, and now nothing for three days at least.
    Silent,
    /// It was refused, and nothing was accepted since.
    Refused,
    /// A `[[user]]` that has not logged in since the relay keeps the list.
    Added,
    /// Its `[[user]]` is no longer in relay.toml.
    Removed,
}

impl DeviceState {
    /// All of them, in the order in which they need somebody.
    pub const ALL: [Self; 5] = [
        Self::Refused,
        Self::Silent,
        Self::Added,
        Self::Removed,
        Self::Sending,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Silent => "silent",
            Self::Refused => "refused",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

impl DeviceView {
    fn of(device: Device, users: &HashSet<String>, now: Timestamp) -> Self {
        let is_gone = |user: &String| !users.contains(&key(user));
        let is_removed = device.user.as_ref().is_some_and(is_gone);
        let silent = device.silent_for(now).filter(|_| !is_removed);
        let state = match silent {
            _ if is_removed => DeviceState::Removed,
            _ if device.is_refused() => DeviceState::Refused,
            Some(_) => DeviceState::Silent,
            None => DeviceState::Sending,
        };
        Self {
            client: Some(device.client),
            user: device.user,
            hello: device.hello,
            state,
            first_seen_at: Some(device.first_seen_at),
            last_seen_at: Some(device.last_seen_at),
            last_accepted_at: device.last_accepted_at,
            silent_days: silent.map(|silent| silent.as_secs() / SECONDS_OF_A_DAY),
            messages: device.messages,
            today: device.today,
            tls: device.tls,
            authentication: device.authentication,
            quirks: device.quirks.into_iter().collect(),
            senders: device.senders,
            last_refusal: device.last_refusal,
        }
    }

    /// A user that has not come yet.
    fn added(user: &User) -> Self {
        Self {
            client: None,
            user: Some(user.name.clone()),
            hello: None,
            state: DeviceState::Added,
            first_seen_at: None,
            last_seen_at: None,
            last_accepted_at: None,
            silent_days: None,
            messages: Counts::default(),
            today: Counts::default(),
            tls: None,
            authentication: None,
            quirks: Vec::new(),
            senders: Vec::new(),
            last_refusal: None,
        }
    }

    /// Whether it logs in as this user.
    pub fn is_of(&self, user: &str) -> bool {
        let own = self.user.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(user))
    }
}

/// What names of users are compared by.
fn key(user: &str) -> String {
    user.to_ascii_lowercase()
}

pub(super) fn router(admin_state: AdminState) -> Router {
    Router::new()
        .route("/devices", get(list))
        .with_state(admin_state)
}

async fn list(State(admin_state): State<AdminState>) -> Json<Vec<DeviceView>> {
    Json(admin_state.devices())
}

impl AdminState {
    /// Everybody who sends, or tries to, the one that was seen last first; then the users that
    /// have not come yet.
    pub fn devices(&self) -> Vec<DeviceView> {
        let now = self.means.clock.now();
        let users = self.configuration.users();
        let names = users.iter().map(|user| key(&user.name)).collect();
        let seen = self.clients.devices().list(now).into_iter();
        let mut all: Vec<DeviceView> = seen.map(|it| DeviceView::of(it, &names, now)).collect();
        let come = all.iter().filter_map(|it| it.user.as_deref().map(key));
        let come: HashSet<String> = come.collect();
        let missing = users.iter().filter(|user| !come.contains(&key(&user.name)));
        all.extend(missing.map(DeviceView::added));
        all
    }

    /// One of them; an IPv6 address stands for its /64.
    pub fn device(&self, client: IpAddr, user: Option<&str>) -> Option<DeviceView> {
        let client = Client::at(client);
        let mut devices = self.devices().into_iter();
        devices.find(|it| it.client.map(Client::at) == Some(client) && it.user.as_deref() == user)
    }

    /// Forgets a device until it sends again, or is refused again. It may do what it could
    /// before. Returns whether there was one.
    pub fn forget_device(&self, client: IpAddr, user: Option<&str>) -> bool {
        self.clients.devices().forget(client, user)
    }

    /// The sessions of a client that went wrong, the last one first.
    pub fn transcripts_of(&self, client: IpAddr) -> Vec<Transcript> {
        let client = Client::at(client);
        let mut kept = self.transcripts.list();
        kept.retain(|it| Client::at(it.client) == client);
        kept.reverse();
        kept
    }
}
