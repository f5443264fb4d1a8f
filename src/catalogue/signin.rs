//! What Entra says when users have to consent, sign in, or lose their sign-in:
//! consent, policies of the tenant, redirects, device codes, refresh tokens.

use super::Entry;
use super::place;

const AGAIN: &str = "sign {mailbox} in again: graph-relay login {mailbox}";
const ADMIN_CONSENT: &str = "let an administrator grant admin consent to the app, once for the \
    whole tenant";
const SECOND_FACTOR: &str = "sign {mailbox} in again in a browser, with the second factor: \
    graph-relay login {mailbox}; or use application permissions, where nobody signs in";
const DEVICE: &str = "sign in on a device and with an app that the policy allows, exclude this app \
    from the policy, or use application permissions, where nobody signs in";
const RIGHT_USER: &str = "sign out everywhere, then sign in as a user of the tenant that \
    relay.toml names: graph-relay login {mailbox}";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "AADSTS65001",
        cause: "Nobody has consented to the permissions of the app: neither the user nor an \
            administrator for the whole tenant.",
        remedy: ADMIN_CONSENT,
        place: place::CONSENT,
    },
    Entry {
        code: "AADSTS65004",
        cause: "The user declined when Entra asked whether the app may send on their behalf.",
        remedy: "sign in again and accept, or let an administrator grant admin consent; then \
            users are not asked",
        place: place::CONSENT,
    },
    Entry {
        code: "AADSTS90094",
        cause: "In this tenant only an administrator can consent to the permissions of the app. \
            Since the end of 2025 the consent policy that Microsoft manages says so for apps that \
            use mail.",
        remedy: ADMIN_CONSENT,
        place: place::CONSENT,
    },
    Entry {
        code: "AADSTS90093",
        cause: "The user may not consent to the permissions of the app: a policy of the tenant \
            leaves this to administrators.",
        remedy: ADMIN_CONSENT,
        place: place::CONSENT,
    },
    Entry {
        code: "AADSTS90095",
        cause: "In this tenant only an administrator can consent; the user can send a request for \
            approval.",
        remedy: "approve the request for the app, or grant admin consent, then sign in again",
        place: Some("Entra > Enterprise apps > Admin consent requests"),
    },
    Entry {
        code: "microsoft-user-default-recommended",
        cause: "This is the name of the user consent policy that Microsoft manages. Since the end \
            of 2025 it leaves consent to apps that use mail to administrators: users who sign in \
            see \"Need admin approval\".",
        remedy: ADMIN_CONSENT,
        place: place::CONSENT_SETTINGS,
    },
    Entry {
        code: "AADSTS900941",
        cause: "Entra considers the app risky (risk-based consent), so only an administrator can \
            consent to its permissions. This happens to new apps without a verified publisher.",
        remedy: "check that client_id is the app that you registered, then let an administrator \
            grant admin consent to it, once for the whole tenant",
        place: place::CONSENT,
    },
    Entry {
        code: "AADSTS900981",
        cause: "Entra considers the app risky and warns the administrator who is about to \
            consent to it.",
        remedy: "check that client_id is the app that you registered, then continue and grant admin \
            consent",
        place: place::CONSENT,
    },
    Entry {
        code: "AADSTS50034",
        cause: "This user does not exist in the tenant of the sign-in.",
        remedy: RIGHT_USER,
        place: place::USER,
    },
    Entry {
        code: "AADSTS50020",
        cause: "The user belongs to another tenant or has a personal Microsoft account, and is \
            not a guest in this tenant.",
        remedy: RIGHT_USER,
        place: place::USER,
    },
    Entry {
        code: "AADSTS50053",
        cause: "The user is locked after too many wrong passwords, or signs in from an IP address \
            that Microsoft considers malicious.",
        remedy: "wait and try again; if this lasts, look up the failure reason in the sign-in \
            logs and unlock the user",
        place: place::SIGN_INS,
    },
    Entry {
        code: "AADSTS50055",
        cause: "The user's password has expired.",
        remedy: "set a new password, then sign {mailbox} in again: graph-relay login {mailbox}",
        place: place::USER,
    },
    Entry {
        code: "AADSTS50057",
        cause: "The user is disabled.",
        remedy: "enable the user, or send through another mailbox; a shared mailbox needs \
            application permissions, because its user is disabled by design",
        place: place::USER,
    },
    Entry {
        code: "AADSTS50126",
        cause: "The user name or the password is wrong.",
        remedy: "sign in with the right password; if another program uses a stored password, \
            change it to another kind of sign-in",
        place: place::SIGN_INS,
    },
    Entry {
        code: "AADSTS50076",
        cause: "The sign-in needs multi-factor authentication, because of a policy or because it \
            comes from a new location.",
        remedy: SECOND_FACTOR,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS50079",
        cause: "The user must set up multi-factor authentication before signing in.",
        remedy: "set up the second factor at https://aka.ms/mfasetup, then sign in again: \
            graph-relay login {mailbox}",
        place: Some("https://aka.ms/mfasetup"),
    },
    Entry {
        code: "AADSTS50072",
        cause: "The user must register for multi-factor authentication, which is possible only in a \
            browser.",
        remedy: "set up the second factor at https://aka.ms/mfasetup, then sign in again: \
            graph-relay login {mailbox}",
        place: Some("https://aka.ms/mfasetup"),
    },
    Entry {
        code: "AADSTS50074",
        cause: "Multi-factor authentication is required and was not passed.",
        remedy: SECOND_FACTOR,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS50158",
        cause: "A policy sends the sign-in on to another provider for a further check, which \
            was not passed.",
        remedy: "sign {mailbox} in again in a browser and pass the check there: graph-relay \
            login {mailbox}",
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS50105",
        cause: "Only users who are assigned to the app may use it, and this one is not.",
        remedy: "assign the user, or a group with this user, to the enterprise app",
        place: place::ASSIGNMENT,
    },
    Entry {
        code: "AADSTS53003",
        cause: "A Conditional Access policy blocks this sign-in; for an app without a user it is a \
            policy for workload identities.",
        remedy: "find the policy in the sign-in logs, then exclude the app from it, or add this \
            machine's address to a named location that the policy allows",
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS53000",
        cause: "Conditional Access requires a compliant device, and the sign-in came from another \
            one.",
        remedy: DEVICE,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS53001",
        cause: "Conditional Access requires a device that is joined to the domain, and the sign-in \
            came from another one.",
        remedy: DEVICE,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS53002",
        cause: "Conditional Access allows only approved apps, and this one is not approved.",
        remedy: DEVICE,
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS530035",
        cause: "The tenant's security defaults block this kind of sign-in as too old or unsafe.",
        remedy: "sign in with a browser and a second factor (graph-relay login {mailbox}), or \
            use application permissions, where nobody signs in",
        place: Some("Entra > Overview > Properties > Manage security defaults"),
    },
    Entry {
        code: "AADSTS530036",
        cause: "Conditional Access blocks this kind of sign-in, usually the device code.",
        remedy: "sign in with a browser instead of a device code, or exclude this app from the \
            policy",
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS50173",
        cause: "The sign-in was revoked: the password was changed, or an administrator ended \
            the user's sessions.",
        remedy: AGAIN,
        place: place::SIGN_INS,
    },
    Entry {
        code: "AADSTS70008",
        cause: "The code or refresh token has expired or was revoked.",
        remedy: AGAIN,
        place: None,
    },
    Entry {
        code: "AADSTS700082",
        cause: "The refresh token has expired, because it was not used for a long time (90 days \
            by default).",
        remedy: "sign {mailbox} in again (graph-relay login {mailbox}), and keep the relay \
            running, which renews it",
        place: None,
    },
    Entry {
        code: "AADSTS70043",
        cause: "A sign-in frequency policy of Conditional Access requires a new sign-in after a \
            certain time.",
        remedy: "sign {mailbox} in again (graph-relay login {mailbox}), and exclude the app from \
            the policy, or this will happen again",
        place: place::CONDITIONAL_ACCESS,
    },
    Entry {
        code: "AADSTS70000",
        cause: "The refresh token is not valid: damaged, or issued to another app or for \
            another tenant.",
        remedy: AGAIN,
        place: None,
    },
    Entry {
        code: "AADSTS54005",
        cause: "The code from the browser was used before; it works only once.",
        remedy: "start the sign-in again, and do not reload its last page: graph-relay login \
            {mailbox}",
        place: None,
    },
    Entry {
        code: "AADSTS501481",
        cause: "The code from the browser belongs to a different sign-in.",
        remedy: "start the sign-in again and finish it in the browser window that opens: \
            graph-relay login {mailbox}",
        place: None,
    },
    Entry {
        code: "AADSTS50011",
        cause: "The app registration does not have exactly the redirect URI of the sign-in; the \
            error text names it.",
        remedy: "add the redirect URI in the error text to the app (http://localhost under \
            \"Mobile and desktop applications\"); path and case must match, the port need not",
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "AADSTS70016",
        cause: "Nobody has entered the device code yet.",
        remedy: "open https://microsoft.com/devicelogin, enter the code and sign in; the relay \
            is waiting for it",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "AADSTS70018",
        cause: "The device code was entered wrongly.",
        remedy: "start the sign-in again and enter the code as it is shown: graph-relay login \
            {mailbox} --device",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "AADSTS70019",
        cause: "The device code expired before anybody signed in with it (15 minutes).",
        remedy: "start the sign-in again and enter the code soon: graph-relay login {mailbox} \
            --device",
        place: Some("https://microsoft.com/devicelogin"),
    },
    Entry {
        code: "AADSTS70020",
        cause: "The device code is no longer valid: it has expired, or a newer one replaced it.",
        remedy: "start the sign-in again and enter the code soon: graph-relay login {mailbox} \
            --device",
        place: Some("https://microsoft.com/devicelogin"),
    },
];
