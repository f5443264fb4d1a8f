//! Who sends mail through the relay, for commands and the page.

mod add;
mod allow;

use std::net::IpAddr;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use serde::Serialize;

pub use self::add::AddedDevice;
pub use self::add::NewDevice;
pub use self::add::NotAdded;
pub use self::add::Server;
pub use self::allow::Permission;
pub use self::allow::PermissionKind;
use super::AdminState;
use crate::clock::Timestamp;
use crate::mail::Client;
use crate::telemetry::devices::Counts;
use crate::telemetry::devices::Device;
use crate::telemetry::devices::LastRefusal;
use crate::telemetry::transcripts::Transcript;

/// A client that sends mail, or tries to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its last address.
    pub client: IpAddr,
    /// The user as whom it authenticates.
    pub user: Option<String>,
    /// What it called itself last.
    pub hello: Option<String>,
    /// How it is.
    pub state: DeviceState,
    /// When it was seen first.
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
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
}

impl DeviceState {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Silent => "silent",
            Self::Refused => "refused",
        }
    }
}

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

impl DeviceView {
    fn of(device: Device, now: Timestamp) -> Self {
        let silent = device.silent_for(now);
        let refused_at = device.last_refusal.as_ref().map(|refusal| refusal.at);
        let state = match (refused_at, silent) {
            (Some(_), _) if refused_at > device.last_accepted_at => DeviceState::Refused,
            (_, Some(_)) => DeviceState::Silent,
            (_, None) => DeviceState::Sending,
        };
        Self {
            client: device.client,
            user: device.user,
            hello: device.hello,
            state,
            first_seen_at: device.first_seen_at,
            last_seen_at: device.last_seen_at,
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
    /// Everybody who sends, or tries to, the one that was seen last first.
    pub fn devices(&self) -> Vec<DeviceView> {
        let now = self.means.clock.now();
        let devices = self.clients.devices().list(now).into_iter();
        devices.map(|it| DeviceView::of(it, now)).collect()
    }

    /// One of them; an IPv6 address stands for its /64.
    pub fn device(&self, client: IpAddr, user: Option<&str>) -> Option<DeviceView> {
        let client = Client::at(client);
        let mut devices = self.devices().into_iter();
        devices.find(|it| Client::at(it.client) == client && it.user.as_deref() == user)
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
