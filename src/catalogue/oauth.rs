//! The words of OAuth (RFC 6749 4.1.2.1 and 5.2, RFC 6750 3.1, RFC 8628 3.5)
//! and Entra's additions. Each covers many AADSTS numbers, which say more: these
//! are for an answer that has none.

use super::Entry;
use super::place;

const AGAIN: &str = "sign {mailbox} in again: graph-relay login {mailbox}";
const AS_A_USER: &str = "sign {mailbox} in again in a browser: graph-relay login {mailbox}";
const REPORT: &str = "look for the AADSTS number next to this word, which says more; if there is \
    none, report this to the developers of the relay, with the log line";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "invalid_client",
        cause: "Entra does not accept the credential of the app: the client secret is wrong or \
            has expired, the certificate is not registered, or the client_id belongs to another \
            app.",
        remedy: "look for the AADSTS number next to this word; if there is none, check client_id, \
            and replace the client secret with the Value (not the Secret ID) of a new one",
        place: place::SECRETS,
    },
    Entry {
        code: "invalid_grant",
        cause: "The sign-in is no longer valid: the refresh token has expired or was revoked, the \
            code was used before, or a policy requires a new sign-in.",
        remedy: AGAIN,
        place: place::SIGN_INS,
    },
    Entry {
        code: "invalid_request",
        cause: "The request for a token is incomplete or wrong: often because of the tenant, the \
            cloud or the redirect URI.",
        remedy: "compare tenant, login_url and graph_url with the app registration; the AADSTS \
            number next to this word says more",
        place: place::OVERVIEW,
    },
    Entry {
        code: "invalid_scope",
        cause: "Entra does not know the requested permission.",
        remedy: "compare graph_url with the Graph host of your cloud, and check that the app has \
            the permission Mail.Send of Microsoft Graph",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "invalid_resource",
        cause: "The tenant does not know the resource that the relay requested a token for.",
        remedy: "compare graph_url with the Graph host of your cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "invalid_tenant",
        cause: "There is no such tenant, at least not in this cloud.",
        remedy: "compare tenant with the \"Tenant ID\" or the \"Primary domain\" on Entra's \
            overview page, and login_url with the cloud of the tenant",
        place: place::TENANT,
    },
    Entry {
        code: "unauthorized_client",
        cause: "The app may not do this in this tenant: it is unknown or disabled there, or is not \
            registered for this kind of sign-in.",
        remedy: "compare client_id and tenant with the overview page of the app registration, and \
            grant admin consent there",
        place: place::OVERVIEW,
    },
    Entry {
        code: "unsupported_grant_type",
        cause: "This token endpoint does not support the kind of request that the relay sent.",
        remedy: "check that login_url is the login host of your cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "unsupported_response_type",
        cause: "The app registration does not allow the kind of answer that the sign-in requested.",
        remedy: REPORT,
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "access_denied",
        cause: "The user or a policy rejected the sign-in.",
        remedy: "sign in again and accept the permissions of the app, or let an administrator grant \
            admin consent",
        place: place::CONSENT,
    },
    Entry {
        code: "permission_denied",
        cause: "The administrator declined on the admin consent page.",
        remedy: "open the page again as an administrator who may consent for the tenant, and \
            accept",
        place: place::CONSENT,
    },
    Entry {
        code: "server_error",
        cause: "Entra has an internal error.",
        remedy: "wait: the relay tries again by itself; if this lasts for hours, check Microsoft's \
            service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "temporarily_unavailable",
        cause: "Entra is temporarily overloaded or unavailable.",
        remedy: "wait: the relay tries again by itself; if this lasts for hours, check Microsoft's \
            service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "interaction_required",
        cause: "A policy requires the user to act: a second factor, a device, or new terms of use.",
        remedy: AS_A_USER,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "login_required",
        cause: "The user is not signed in, and must sign in.",
        remedy: AS_A_USER,
        place: None,
    },
    Entry {
        code: "basic_action",
        cause: "The user must complete one more step in the browser, for example the second factor.",
        remedy: AS_A_USER,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "consent_required",
        cause: "Nobody has consented to the permissions of the app.",
        remedy: "let an administrator grant admin consent to the app",
        place: place::CONSENT,
    },
    Entry {
        code: "consent_declined",
        cause: "The user declined when Entra asked whether the app may send on their behalf.",
        remedy: "sign in again and accept, or let an administrator grant admin consent; then \
            users are not asked",
        place: place::CONSENT,
    },
    Entry {
        code: "invalid_token",
        cause: "The access token has expired, is damaged, or is meant for another service.",
        remedy: "compare login_url with graph_url: both must belong to the same cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "insufficient_claims",
        cause: "Graph requires a new token after a change (continuous access evaluation): the user \
            or app was blocked, or the network location has changed.",
        remedy: "find out in the sign-in logs which policy is not met, then sign {mailbox} in \
            again if it is a user's sign-in",
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "authorization_pending",
        cause: "Nobody has entered the device code yet.",
        remedy: "open https://microsoft.com/devicelogin, enter the code and sign in; the relay \
            is waiting for it",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "authorization_declined",
        cause: "The user entered the device code, but then declined.",
        remedy: "start the sign-in again and accept: graph-relay login {mailbox} --device",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "slow_down",
        cause: "The relay asked too often whether the device code has been entered.",
        remedy: "wait: the relay asks less often by itself",
        place: None,
    },
    Entry {
        code: "expired_token",
        cause: "The device code expired before anybody signed in with it.",
        remedy: "start the sign-in again and enter the code soon: graph-relay login {mailbox} \
            --device",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "bad_verification_code",
        cause: "Entra does not know the device code.",
        remedy: "start the sign-in again: graph-relay login {mailbox} --device",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "bad_request_102",
        cause: "The managed identity endpoint of the machine did not get the header that it \
            requires; a proxy may have removed it.",
        remedy: "exclude 169.254.169.254 from the proxy (NO_PROXY)",
        place: place::PROXY,
    },
];
