//! Sends one alert, once, on the way that relay.toml names.

use super::mail;
use super::notice::NotSent;
use super::notice::Notice;
use super::webhook::Client;
use crate::admin::AdminState;
use crate::config::Alert;
use crate::config::Config;
use crate::config::alerts::AlertMail;
use crate::config::alerts::AlertTarget;
use crate::http::HttpError;

/// A way to send alerts.
#[derive(Debug)]
pub(super) struct Sender {
    hostname: String,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Webhook(Client),
    Mail(AlertMail),
}

impl Sender {
    /// That of an alert.
    pub(super) fn new(alert: &Alert, config: &Config) -> Result<Self, HttpError> {
        Ok(Self {
            hostname: config.hostname.clone(),
            way: match &alert.target {
                AlertTarget::Webhook(webhook) => Way::Webhook(Client::new(webhook, &config.http)?),
                AlertTarget::Mail(mail) => Way::Mail(mail.clone()),
            },
        })
    }

    /// Sends it. By mail it has an id in the queue then.
    pub(super) async fn send(
        &self,
        notice: &Notice,
        admin_state: &AdminState,
    ) -> Result<Option<String>, NotSent> {
        match &self.way {
            Way::Webhook(client) => {
                client.send(notice, &self.hostname).await?;
                Ok(None)
            }
            Way::Mail(to) => {
                let id = mail::send(to, notice, &self.hostname, admin_state).await?;
                Ok(Some(id.to_string()))
            }
        }
    }
}
