//! The words of OAuth (RFC 6749 4.1.2.1 and 5.2, RFC 6750 3.1, RFC 8628 3.5)
//! and Entra's additions. Each covers many AADSTS numbers, which say more: these
//! are for an answer that has none.

use super::Entry;
use super::place;

const AGAIN: &str = "sign {mailbox} in again: graph-relay login {mailbox}";
const AS_A_USER: &str = "sign {mailbox} in again in a browser: graph-relay login {mailbox}";
const REPORT: &str = "look for the AADSTS number beside this word, which says more; without one \
    report it to the makers of the relay, with the line of the log";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "invalid_client",
        cause: "Entra does not accept the credential of the app: the client secret is wrong or \
            has expired, the certificate is not registered, or the client_id belongs to another \
            app.",
        remedy: "look for the AADSTS number beside this word; without one compare client_id and \
            put a new client secret's Value (not its Secret ID) in place",
        place: place::SECRETS,
    },
    Entry {
        code: "invalid_grant",
        cause: "What the token was asked for with is no longer good: a refresh token that has \
            expired or was revoked, a used code, a policy that wants a new sign-in.",
        remedy: AGAIN,
        place: place::SIGN_INS,
    },
    Entry {
        code: "invalid_request",
        cause: "The request for a token lacks something or does not fit: often the tenant, the \
            cloud or the redirect URI.",
        remedy: "compare tenant, login_url and graph_url with the app registration; the AADSTS \
            number beside this word says more",
        place: place::OVERVIEW,
    },
    Entry {
        code: "invalid_scope",
        cause: "Entra does not know the permission that was asked for.",
        remedy: "compare graph_url with the Graph host of your cloud, and look that the app \
            asks for Mail.Send of Microsoft Graph",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "invalid_resource",
        cause: "The tenant does not know the resource that a token was asked for.",
        remedy: "compare graph_url with the Graph host of your cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "invalid_tenant",
        cause: "There is no such tenant, at least not in this cloud.",
        remedy: "compare tenant with the \"Tenant ID\" or the \"Primary domain\" of Entra's \
            overview page, and login_url with the cloud",
        place: place::TENANT,
    },
    Entry {
        code: "unauthorized_client",
        cause: "The app may not do this in this tenant: it is not known or not enabled there, \
            or not registered for this way of signing in.",
        remedy: "compare client_id and tenant with the app registration's overview, and grant \
            admin consent there",
        place: place::OVERVIEW,
    },
    Entry {
        code: "unsupported_grant_type",
        cause: "This token endpoint does not know the way in which a token was asked for.",
        remedy: "look that login_url is the login host of your cloud, and nothing else",
        place: place::CLOUD,
    },
    Entry {
        code: "unsupported_response_type",
        cause: "The app registration does not allow the answer that the sign-in asked for.",
        remedy: REPORT,
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "access_denied",
        cause: "The user or a policy said no to the sign-in.",
        remedy: "sign in again and accept what the app asks for, or let an administrator grant \
            admin consent",
        place: place::CONSENT,
    },
    Entry {
        code: "permission_denied",
        cause: "The administrator said no on the page that asks for admin consent.",
        remedy: "open the page again as an administrator who may consent for the tenant, and \
            accept",
        place: place::CONSENT,
    },
    Entry {
        code: "server_error",
        cause: "Entra has a fault of its own.",
        remedy: "wait: the relay asks again by itself; if it lasts for hours, look at the \
            service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "temporarily_unavailable",
        cause: "Entra is too busy or out of service for the moment.",
        remedy: "wait: the relay asks again by itself; if it lasts for hours, look at the \
            service health",
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "interaction_required",
        cause: "A policy wants the user at the screen: a second factor, a device, or new terms.",
        remedy: AS_A_USER,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "login_required",
        cause: "The sign-in needs the user, who is not signed in.",
        remedy: AS_A_USER,
        place: None,
    },
    Entry {
        code: "basic_action",
        cause: "The user has one more step to take in the browser, for example the second factor.",
        remedy: AS_A_USER,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "consent_required",
        cause: "Nobody has consented to what the app asks for.",
        remedy: "let an administrator grant admin consent to the app",
        place: place::CONSENT,
    },
    Entry {
        code: "consent_declined",
        cause: "The user answered no when he was asked whether the app may send for him.",
        remedy: "sign in again and accept, or let an administrator grant admin consent, after \
            which no user is asked",
        place: place::CONSENT,
    },
    Entry {
        code: "invalid_token",
        cause: "The access token is expired, damaged, or not meant for this service.",
        remedy: "compare login_url with graph_url: both must belong to the same cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "insufficient_claims",
        cause: "Graph wants a token that has passed a newer check (continuous access \
            evaluation): the user or app was blocked, or the place has changed.",
        remedy: "look in the sign-in logs for the policy that is not fulfilled, then sign \
            {mailbox} in again if it is a user's sign-in",
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "authorization_pending",
        cause: "The device code has been shown, and nobody has entered it yet.",
        remedy: "open https://microsoft.com/devicelogin, enter the code and sign in; the relay \
            is waiting for it",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "authorization_declined",
        cause: "The user entered the device code and then said no.",
        remedy: "start the sign-in again and accept: graph-relay login {mailbox} --device",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "slow_down",
        cause: "The token endpoint is asked too often while it waits for the device code to be \
            entered.",
        remedy: "wait: the relay asks at longer intervals by itself",
        place: None,
    },
    Entry {
        code: "expired_token",
        cause: "The device code has expired before anybody signed in with it.",
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
        cause: "The managed identity endpoint of the machine did not find the header that it \
            wants; a proxy may have taken it away.",
        remedy: "except 169.254.169.254 from the proxy (NO_PROXY)",
        place: place::PROXY,
    },
];
