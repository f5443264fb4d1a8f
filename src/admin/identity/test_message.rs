//! A test message that goes the way of every other through spool and delivery, for the admin
//! page.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::explained;
use super::in_browser::ToQueue;
use crate::admin::AdminState;
use crate::admin::TestMessage;
use crate::auth::Tokens;
use crate::config::Account;
use crate::mail::Destination;
use crate::mail::Origin;
use crate::mail::ReversePath;
use crate::mail::SpoolId;
use crate::routing;

/// How long somebody waits for the token before the page says so.
const PATIENCE: Duration = Duration::from_secs(10);

/// A test message that the relay has accepted.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its id.
    pub id: SpoolId,
    /// Its account and mailbox.
    pub destination: Destination,
    /// How long the token took.
    pub token: Duration,
    /// How long it took until the message was safe on disk.
    pub accepted: Duration,
}

impl AdminState {
    /// Asks for a token, and puts a test message into the queue, on the order of a client of
    /// the admin page. Without an account the From address decides.
    ///
    /// # Errors
    ///
    /// Says why it is not sent, and what to do.
    pub async fn test_delivery(
        &self,
        message: TestMessage,
        account: Option<&str>,
        client: IpAddr,
    ) -> Result<Tested, String> {
        let all = self.sign_ins.accounts().iter();
        let named = |it: &&Account| account.is_none_or(|name| it.name == name);
        let accounts = all.map(Tokens::account).filter(named).cloned();
        let accounts: Vec<Account> = accounts.collect();
        let senders = self.configuration.senders();
        let origin = Origin {
            author: message.from.clone(),
            reverse_path: ReversePath::Null,
            bound: account.map(str::to_owned),
            is_report: false,
        };
        let destination = routing::route(&accounts, &senders, &origin);
        let destination = destination.ok_or_else(|| {
            "no [[account]] sends for this From address: choose another address or account"
                .to_owned()
        })?;
        let mailbox = destination.mailbox.clone();
        let of = |tokens: &&Tokens| tokens.account().name == destination.account;
        let tokens = self.sign_ins.accounts().iter().find(of);
        let tokens = tokens.ok_or_else(|| "there is no such [[account]]".to_owned())?;
        let begun = Instant::now();
        let token = tokio::time::timeout(PATIENCE, tokens.token(&mailbox)).await;
        let token = token.map_err(|_| {
            let seconds = PATIENCE.as_secs();
            format!("Entra has not answered within {seconds} seconds: run graph-relay doctor")
        })?;
        token.map_err(|error| {
            let code = error.code();
            let account = Some(tokens.account());
            explained(
                &error.to_string(),
                code.as_deref(),
                mailbox.as_str(),
                account,
            )
        })?;
        let token = begun.elapsed();
        let from = message.from.as_ref().map(|from| senders.outgoing(from));
        let from = from.flatten().or(message.from);
        let begun = Instant::now();
        let hostname = self.configuration.in_force().hostname;
        let queued = self.queue(ToQueue {
            destination: &destination,
            from: from.as_ref().unwrap_or(&mailbox),
            to: &message.to,
            words: format!(
                "This test message went through the queue of graph-relay on {hostname}, and from \
                 there through Microsoft Graph. You need not do anything."
            ),
            client,
        });
        let id = queued.await.map_err(|error| error.to_string())?;
        Ok(Tested {
            id,
            destination,
            token,
            accepted: begun.elapsed(),
        })
    }
}
