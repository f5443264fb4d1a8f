//! The mailbox that an alias belongs to. Graph finds a mailbox only by its user principal
//! name; for an alias (proxy address) it answers `404 ErrorInvalidUser`. Then the relay
//! looks up the owner (Graph page "List users", property `proxyAddresses`), which needs the
//! application permission `User.Read.All`, and keeps the result until it restarts.
//!
//! Without the permission the relay logs a warning, and the message waits with the remedy
//! for an unknown mailbox.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use reqwest::Method;
use reqwest::Url;
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::time::Instant;
use tracing::debug;
use tracing::info;
use tracing::warn;

use super::Caller;
use super::Graph;
use super::GraphError;
use super::expect;
use super::request_id;
use super::segment;
use crate::http::TransportError;
use crate::mail::Address;
use crate::metrics::Operation;

/// Known owners of addresses that are not user principal names.
#[derive(Debug, Default)]
pub(super) struct Owners {
    found: Mutex<HashMap<String, Found>>,
    /// When Graph said that the app has no permission to look up users.
    denied: Mutex<Option<Instant>>,
}

/// The result of a look-up.
#[derive(Clone, Debug)]
struct Found {
    owner: Option<Address>,
    at: Instant,
}

/// A new user may have an unknown address after this time.
const AGAIN: Duration = Duration::from_secs(10 * 60);
/// Somebody may have granted the permission after this time.
const AGAIN_IF_DENIED: Duration = Duration::from_secs(60 * 60);
/// At most this many addresses are kept; then the list is cleared.
const MOST: usize = 10_000;

impl Owners {
    /// Returns the mailbox that has this address, if it was found.
    pub(super) fn known(&self, address: &Address) -> Option<Address> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(&address.key())?.owner.clone()
    }

    /// Looks up the owner, unless that failed a short while ago. `tried` is the mailbox that
    /// Graph does not know.
    pub(super) async fn find(
        &self,
        graph: &Graph,
        caller: Caller<'_>,
        tried: &Address,
    ) -> Option<Address> {
        if !graph.tokens.is_of_the_app() || !self.is_worth_a_look(caller.mailbox) {
            return None;
        }
        let mailbox = caller.mailbox;
        match graph.owner_of(caller).await {
            Ok(owner) => {
                let owner = owner.filter(|owner| owner.key() != tried.key());
                match &owner {
                    Some(owner) => info!(
                        event = "alias", %mailbox, %owner,
                        "this address is an alias: sending through its owner's mailbox"
                    ),
                    None => debug!(%mailbox, "no user has this address"),
                }
                self.note(mailbox, owner.clone());
                owner
            }
            Err(GraphError::Answered { status: 403, .. }) => {
                let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
                *denied = Some(Instant::now());
                warn!(
                    event = "alias", %mailbox,
                    remedy = "if it is an alias, name its mailbox in a [[sender]] with match and \
                              mailbox, or grant the app the application permission User.Read.All",
                    "no mailbox has this name, and the app is not allowed to look up whether it \
                     is an alias"
                );
                None
            }
            Err(error) => {
                debug!(%mailbox, %error, "the owner of this address could not be looked up");
                None
            }
        }
    }

    fn is_worth_a_look(&self, address: &Address) -> bool {
        let denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.is_some_and(|at| at.elapsed() < AGAIN_IF_DENIED) {
            return false;
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.get(&address.key());
        found.is_none_or(|found| found.owner.is_some() || found.at.elapsed() >= AGAIN)
    }

    fn note(&self, address: &Address, owner: Option<Address>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MOST {
            found.clear();
        }
        let at = Instant::now();
        found.insert(address.key(), Found { owner, at });
    }
}

/// One page of users.
#[derive(Deserialize)]
struct Users {
    value: Vec<User>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    user_principal_name: String,
}

impl Graph {
    /// Returns the user principal name of the user who has the caller's mailbox as an address;
    /// `None` if no user has it, or several.
    ///
    /// # Errors
    ///
    /// Anything other than `200`.
    async fn owner_of(&self, caller: Caller<'_>) -> Result<Option<Address>, GraphError> {
        let token = self.token(caller).await?;
        let address = segment(&caller.mailbox.as_str().replace('\'', "''"));
        // "SMTP" is the primary address, "smtp" any other.
        let url = format!(
            "{}/v1.0/users?$filter=proxyAddresses/any(p:p%20eq%20'smtp:{address}'%20or%20\
             p%20eq%20'SMTP:{address}')&$select=userPrincipalName&$count=true&$top=2",
            self.place.url
        );
        let url = Url::parse(&url).map_err(|error| TransportError::NotSent {
            host: self.place.url.clone(),
            reason: error.to_string(),
        })?;
        let request = self
            .http
            .request(Method::GET, url)
            .bearer_auth(token.secret().expose_secret())
            .header("consistencylevel", "eventual")
            .header("client-request-id", caller.client_request_id.to_string());
        let answer = self.http.send(request, 0);
        let answer = self.counted(Operation::Read, answer).await?;
        expect(200, &answer)?;
        let users: Users = serde_json::from_slice(&answer.body)
            .map_err(|_| GraphError::of(&answer, request_id(&answer)))?;
        Ok(match users.value.as_slice() {
            [user] => user.user_principal_name.parse().ok(),
            _ => None,
        })
    }
}
