//! Waiting for the verdict on a password, and what the client does meanwhile.

use std::sync::Arc;

use tokio::io::AsyncReadExt;

use crate::listener::connection::Connection;
use crate::listener::connection::End;
use crate::listener::connection::READ;
use crate::session::Credentials;
use crate::session::Verification;
use crate::telemetry::maillog;

/// So much of what a client says ahead of an answer is read. RFC 4954 4 lets AUTH
/// end a group of commands, so an honest client says nothing there.
const MOST_AHEAD: usize = 64 * 1024;

impl Connection<'_> {
    /// Has a password verified, unless the client goes away or has to go.
    pub(in crate::listener) async fn verify(
        &mut self,
        credentials: Credentials,
    ) -> Result<Verification, End> {
        let rules = Arc::clone(&self.rules);
        let mechanism = credentials.mechanism;
        let shared = self.shared;
        let verifying = shared
            .verifier
            .verify(&rules.users, self.client, credentials);
        let leave = self.slot.leave().clone();
        tokio::select! {
            verification = verifying => {
                if let Verification::Accepted(identity) = &verification {
                    maillog::authenticated(self.client, &identity.name, &mechanism);
                }
                Ok(verification)
            }
            () = self.gone() => Err(End::Gone),
            () = leave.cancelled() => {
                self.say_last(&self.farewell()).await?;
                Err(End::Closed)
            }
        }
    }

    /// Waits for the end of the connection. What the client says meanwhile is read
    /// for later, to a bound beyond which its end is not noticed. A client that
    /// closes its sending side only counts as gone: it cannot use the answer.
    async fn gone(&mut self) {
        while self.input.len() < MOST_AHEAD {
            self.input.reserve(READ);
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending::<()>().await;
    }
}
