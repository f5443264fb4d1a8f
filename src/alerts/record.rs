//! What an alert has reported and what waits to be sent, on disk.
//!
//! A file for each alert, `alerts/NAME.json` in `data_dir`, replaced as a whole and synced
//! before anything is sent. Its name is a fingerprint of the target, so it stays with the
//! alert when relay.toml changes, and does not show the URL. A file that cannot be read or
//! written costs no alert: the relay goes on with what it has in memory, and logs it.

use std::path::Path;
use std::path::PathBuf;

use ring::digest::SHA256;
use ring::digest::digest;
use serde::Deserialize;
use serde::Serialize;

use super::incidents::Incidents;
use super::outbox::Outbox;
use crate::clock::Moment;
use crate::config::Alert;
use crate::config::alerts::AlertTarget;
use crate::disk;
use crate::telemetry::alertlog;

/// The state of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) incidents: Incidents,
    pub(super) outbox: Outbox,
}

/// Where it is kept.
#[derive(Debug)]
pub(super) struct Store {
    name: String,
    path: PathBuf,
}

impl Store {
    /// That of an alert.
    pub(super) fn of(alert: &Alert, data_dir: &Path) -> Self {
        let target = match &alert.target {
            AlertTarget::Webhook(webhook) => webhook.url.to_string(),
            AlertTarget::Mail(mail) => mail.to.key(),
        };
        let digest = digest(&SHA256, target.as_bytes());
        let bytes = digest.as_ref().iter().take(8);
        let short: String = bytes.map(|byte| format!("{byte:02x}")).collect();
        Self {
            name: alert.name.clone(),
            path: data_dir.join("alerts").join(format!("{short}.json")),
        }
    }

    /// What was saved last; nothing if there is no file, or none that can be read.
    pub(super) async fn load(&self, now: Moment) -> Record {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || std::fs::read(path)).await;
        let mut record = match read {
            Ok(Ok(bytes)) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                alertlog::record_failed(&self.name, &self.path, &error);
                Record::default()
            }),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Record::default(),
            Ok(Err(error)) => {
                alertlog::record_failed(&self.name, &self.path, &error);
                Record::default()
            }
            Err(_) => Record::default(),
        };
        record.incidents.correct(now.running);
        record.outbox.correct(now.running);
        record
    }

    /// Saves it. It is on stable storage then, or the log says why not.
    pub(super) async fn save(&self, record: &Record) {
        let (path, content) = (self.path.clone(), serde_json::to_vec(record));
        let saved = tokio::task::spawn_blocking(move || {
            let content = content?;
            if let Some(folder) = path.parent() {
                disk::create_folder(folder)?;
            }
            disk::replace(&path, &content)
        });
        if let Ok(Err(error)) = saved.await {
            alertlog::record_failed(&self.name, &self.path, &error);
        }
    }
}
