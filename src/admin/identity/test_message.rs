//! A test message for the admin page: the listener takes it as it takes one of a client on this
//! machine, and from there it goes the way of every other.

use std::time::Duration;

use tokio::time::Instant;

use super::explained;
use super::in_browser::text;
use crate::admin::AdminState;
use crate::auth::Tokens;
use crate::config::Account;
use crate::listener::NotTaken;
use crate::listener::Order;
use crate::mail::Address;
use crate::mail::Destination;
use crate::mail::ForwardPath;
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

/// Why a test message is not sent.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotTested {
    /// The relay refuses it, as it would refuse a client.
    #[error("{}", .0.reply)]
    Refused(NotTaken),
    /// It has no token; in words.
    #[error("{0}")]
    Token(String),
}

impl AdminState {
    /// Asks for a token, and puts a test message into the queue. Without a From address, it is
    /// the mailbox of the account.
    ///
    /// # Errors
    ///
    /// Says why it is not sent, and what to do.
    pub async fn test_delivery(
        &self,
        to: ForwardPath,
        from: Option<Address>,
        order: Order,
    ) -> Result<Tested, NotTested> {
        let from = from.or_else(|| self.usual_sender(order.account.as_deref()));
        let from = from.ok_or_else(|| {
            NotTested::Token(
                "no [[account]] has a mailbox of its own: write a From address".to_owned(),
            )
        })?;
        let begun = Instant::now();
        let own = self.clients.own_message(order, &from, &to);
        let mut own = own.map_err(NotTested::Refused)?;
        let hostname = self.configuration.in_force().hostname;
        let now = self.means.clock.now().rfc5322();
        let message_id = own.id().message_id(&hostname);
        let words = format!(
            "This test message went through the queue of graph-relay on {hostname}, and from there \
             through Microsoft Graph. You need not do anything."
        );
        let shown_to = own
            .recipient()
            .map_or_else(String::new, ToString::to_string);
        let content = text(&now, &message_id, from.as_str(), &shown_to, &words);
        let destination = own.destination(&content).map_err(NotTested::Refused)?;
        let taking = begun.elapsed();
        let begun = Instant::now();
        self.token_for(&destination)
            .await
            .map_err(NotTested::Token)?;
        let token = begun.elapsed();
        let begun = Instant::now();
        let id = own.accept(&content).await.map_err(NotTested::Refused)?;
        Ok(Tested {
            id,
            destination,
            token,
            accepted: taking + begun.elapsed(),
        })
    }

    /// The mailbox of an account, or of the first that has one.
    fn usual_sender(&self, account: Option<&str>) -> Option<Address> {
        let all = self.sign_ins.accounts().iter().map(Tokens::account);
        let named = |it: &&Account| account.is_none_or(|name| it.name == name);
        let accounts: Vec<Account> = all.filter(named).cloned().collect();
        let origin = Origin {
            author: None,
            reverse_path: ReversePath::Null,
            bound: account.map(str::to_owned),
            is_report: false,
        };
        let destination = routing::route(&accounts, &self.configuration.senders(), &origin);
        destination.map(|it| it.mailbox)
    }

    /// Asks Entra, as an attempt does.
    async fn token_for(&self, destination: &Destination) -> Result<(), String> {
        let mailbox = &destination.mailbox;
        let of = |tokens: &&Tokens| tokens.account().name == destination.account;
        let tokens = self.sign_ins.accounts().iter().find(of);
        let tokens = tokens.ok_or_else(|| "there is no such [[account]]".to_owned())?;
        let token = tokio::time::timeout(PATIENCE, tokens.token(mailbox)).await;
        let token = token.map_err(|_| {
            let seconds = PATIENCE.as_secs();
            format!("Entra has not answered within {seconds} seconds: run graph-relay doctor")
        })?;
        token.map(drop).map_err(|error| {
            let code = error.code();
            let account = Some(tokens.account());
            explained(
                &error.to_string(),
                code.as_deref(),
                mailbox.as_str(),
                account,
            )
        })
    }
}
