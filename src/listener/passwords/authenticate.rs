//! Waits for the verdict on a password, and handles what the client does meanwhile.

use crate::listener::Shared;
use crate::listener::access::Policy;
use crate::listener::connection::Connection;
use crate::listener::connection::End;
use crate::listener::ending::farewell;
use crate::session::Credentials;
use crate::session::Verification;
use crate::telemetry::maillog;

/// Has a password verified, unless the client goes away or has to go.
pub(in crate::listener) async fn authenticate(
    credentials: Credentials,
    connection: &mut Connection<'_>,
    policy: &Policy,
    shared: &Shared,
) -> Result<Verification, End> {
    let client = policy.client();
    let mechanism = credentials.mechanism;
    let users = &policy.rules().users;
    let verifying = shared.verifier.verify(users, client, credentials);
    let leave = connection.slot.leave().clone();
    tokio::select! {
        verification = verifying => {
            match &verification {
                Verification::Accepted(identity) => {
                    maillog::authenticated(client, &identity.name, &mechanism);
                }
                Verification::Refused | Verification::RefusedTooOften => {
                    shared.metrics.authentication_failures.inc();
                }
                Verification::Unavailable => {}
            }
            Ok(verification)
        }
        () = connection.gone() => Err(End::Gone),
        () = leave.cancelled() => Err(connection.say_last(&farewell(&shared.stop)).await),
    }
}
