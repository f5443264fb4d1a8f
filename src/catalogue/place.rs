//! Where an administrator clicks, or which command to run, once for all entries.
//! Menus have their names of 2026; words in capitals are placeholders.

pub(super) const OVERVIEW: Option<&str> = Some("Entra > App registrations > the app > Overview");
pub(super) const SECRETS: Option<&str> =
    Some("Entra > App registrations > the app > Certificates & secrets > Client secrets");
pub(super) const CERTIFICATES: Option<&str> =
    Some("Entra > App registrations > the app > Certificates & secrets > Certificates");
pub(super) const FEDERATED: Option<&str> =
    Some("Entra > App registrations > the app > Certificates & secrets > Federated credentials");
pub(super) const PERMISSIONS: Option<&str> =
    Some("Entra > App registrations > the app > API permissions");
pub(super) const AUTHENTICATION: Option<&str> =
    Some("Entra > App registrations > the app > Authentication");
pub(super) const ENTERPRISE: Option<&str> =
    Some("Entra > Enterprise apps > the app > Properties > Enabled for users to sign in");
pub(super) const ASSIGNMENT: Option<&str> =
    Some("Entra > Enterprise apps > the app > Users and groups");
/// Where [`CONSENT`] begins, in the global cloud.
pub(super) const LOGIN_URL: &str = "https://login.microsoftonline.com";
pub(super) const CONSENT: Option<&str> =
    Some("https://login.microsoftonline.com/TENANT/adminconsent?client_id=APP_ID");
pub(super) const TENANT: Option<&str> = Some("Entra > Overview > Tenant ID, Primary domain");
pub(super) const USER: Option<&str> = Some("Entra > Users > MAILBOX");
pub(super) const SIGN_INS: Option<&str> = Some("Entra > Monitoring & health > Sign-in logs");
pub(super) const CONDITIONAL_ACCESS: Option<&str> = Some(
    "Entra > Monitoring & health > Sign-in logs > the sign-in > Conditional Access, then Entra > \
     Conditional Access > Policies",
);
pub(super) const CLOUD: Option<&str> = Some("login_url and graph_url of the [[account]]");
pub(super) const CLOCK: Option<&str> = Some("timedatectl set-ntp true");
pub(super) const PROXY: Option<&str> = Some("proxy and ca_file of [http] in relay.toml");
pub(super) const PACE: Option<&str> = Some("concurrency of [account.rate_limits] in relay.toml");
pub(super) const SERVICE_HEALTH: Option<&str> =
    Some("Microsoft 365 admin center > Health > Service health");
pub(super) const LICENCES: Option<&str> =
    Some("Microsoft 365 admin center > Users > Active users > MAILBOX > Licenses and apps");
pub(super) const MAILBOX: Option<&str> = Some("Get-Mailbox -Identity MAILBOX");
pub(super) const SCOPE: Option<&str> =
    Some("Test-ServicePrincipalAuthorization -Identity APP_ID -Resource MAILBOX");
pub(super) const ACCESS_POLICY: Option<&str> =
    Some("Test-ApplicationAccessPolicy -AppId APP_ID -Identity MAILBOX");
pub(super) const SEND_AS: Option<&str> =
    Some("Exchange admin center > Recipients > Mailboxes > ADDRESS > Delegation > Send as");
pub(super) const MAILBOX_SIZE: Option<&str> =
    Some("Get-EXOMailboxStatistics MAILBOX | Format-List TotalItemSize");
pub(super) const SEND_SIZE: Option<&str> =
    Some("Set-Mailbox MAILBOX -MaxSendSize 150MB -MaxReceiveSize 150MB");
pub(super) const RECIPIENT_LIMIT: Option<&str> = Some("Set-Mailbox MAILBOX -RecipientLimits 1000");
pub(super) const RESTRICTED: Option<&str> =
    Some("Microsoft Defender > Email & collaboration > Review > Restricted entities");
pub(super) const TRACE: Option<&str> = Some("Exchange admin center > Mail flow > Message trace");
pub(super) const TENANT_LIMIT: Option<&str> =
    Some("Exchange admin center > Reports > Mail flow > Tenant outbound external recipients");
pub(super) const DOMAINS: Option<&str> = Some("Microsoft 365 admin center > Settings > Domains");
pub(super) const CONSENT_SETTINGS: Option<&str> =
    Some("Entra > Enterprise apps > Consent and permissions > User consent settings");
pub(super) const APP_POLICIES: Option<&str> =
    Some("Entra > Enterprise apps > Application policies");
pub(super) const SESSIONS: Option<&str> =
    Some("graph-relay sessions list, then graph-relay sessions show NUMBER");
pub(super) const STATUS: Option<&str> = Some("graph-relay status");
pub(super) const DOCTOR: Option<&str> = Some("graph-relay doctor");
pub(super) const QUEUE: Option<&str> = Some("graph-relay queue show ID");
