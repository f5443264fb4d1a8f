//! What Entra says about the app, its credential and the tenant: everything that
//! can be wrong without any user.

use super::Entry;
use super::place;

/// Fits whether client_id or tenant is wrong.
const KNOWN_APP: &str = "compare client_id and tenant with the app registration's overview \
    (Application (client) ID, Directory (tenant) ID), and grant admin consent there; an app of \
    another tenant must be multi-tenant";
const SAME_CLOUD: &str = "set login_url and graph_url to the hosts of the cloud that the tenant \
    is in (login.microsoftonline.us and graph.microsoft.us for GCC High, for instance)";
const THEIR_PROBLEM: &str = "wait: the relay tries again by itself; if this lasts for hours, check \
    Microsoft's service health";
const REPORT: &str = "report this to the developers of the relay, with the log line: the relay \
    sent a request that Entra does not accept";
const TRUST: &str = "give the federated credential exactly the same issuer, subject and audience \
    as the token; upper and lower case matter";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "AADSTS7000215",
        cause: "The client secret does not belong to this app: usually its Secret ID was copied \
            instead of its Value. A new secret can also take half a minute until it works \
            everywhere.",
        remedy: "copy the client secret's Value (not its Secret ID), which Entra shows only when \
            you create the secret, or create a new one, and save it where relay.toml expects it; a \
            new systemd credential needs a restart",
        place: place::SECRETS,
    },
    Entry {
        code: "AADSTS70002",
        cause: "Entra does not accept the client secret; this is an older wording of \
            AADSTS7000215.",
        remedy: "copy the client secret's Value (not its Secret ID), or create a new secret, and \
            save it where relay.toml expects it; a new systemd credential needs a restart",
        place: place::SECRETS,
    },
    Entry {
        code: "AADSTS7000222",
        cause: "The client secret was right, but has expired.",
        remedy: "create a new client secret, save its Value where relay.toml expects it, and write \
            the new expiry date into client_secret_expires; a new systemd credential needs a \
            restart; a certificate lasts longer",
        place: place::SECRETS,
    },
    Entry {
        code: "CredentialTypeNotAllowedAsPerAppPolicy",
        cause: "Entra did not create the client secret: an app management policy of the tenant \
            forbids client secrets (\"Credential type not allowed as per assigned policy\").",
        remedy: "use a certificate: upload it to the app and set certificate_file and \
            private_key_file in the [[account]]; or ask the administrator of the policy for an \
            exception for this app",
        place: place::CERTIFICATES,
    },
    Entry {
        code: "CredentialInvalidLifetimeAsPerAppPolicy",
        cause: "Entra did not accept the client secret or certificate: it is valid for longer than \
            an app management policy of the tenant allows.",
        remedy: "choose an earlier expiry date and write it into client_secret_expires, or ask the \
            administrator of the policy for an exception for this app",
        place: place::APP_POLICIES,
    },
    Entry {
        code: "AADSTS700016",
        cause: "There is no app with this client_id in the tenant: the client_id has a typing \
            error, the tenant is wrong, or nobody has consented to the app there.",
        remedy: KNOWN_APP,
        place: place::OVERVIEW,
    },
    Entry {
        code: "AADSTS700011",
        cause: "The tenant's directory has no app with this client_id (the same error as \
            AADSTS700016).",
        remedy: KNOWN_APP,
        place: place::OVERVIEW,
    },
    Entry {
        code: "AADSTS7000229",
        cause: "The app is registered but has no service principal (enterprise app) in the \
            tenant, so nothing can be granted to it.",
        remedy: "create the service principal and grant admin consent, or open the admin consent \
            address, which does both",
        place: Some("New-MgServicePrincipal -AppId APP_ID"),
    },
    Entry {
        code: "AADSTS7000112",
        cause: "The app is disabled in the tenant.",
        remedy: "find out who disabled the enterprise app and why, then set \"Enabled for users to \
            sign in\" to Yes",
        place: place::ENTERPRISE,
    },
    Entry {
        code: "AADSTS7000218",
        cause: "Entra requires a client secret or a certificate, because the app is a confidential \
            client.",
        remedy: "add the app's credential to the [[account]]; to sign in without one, set \
            \"Allow public client flows\" to Yes and put the redirect URI under \"Mobile and \
            desktop applications\"",
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "AADSTS700025",
        cause: "The relay sent a client secret or certificate, but the redirect URI makes the app \
            a public client, which must not send one.",
        remedy: "remove the credential from the [[account]], or register the redirect URI under \
            Web",
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "AADSTS700027",
        cause: "Entra does not know the certificate that signed the request, or the private key \
            does not belong to the certificate. The error text names the thumbprint.",
        remedy: "upload the certificate with the thumbprint in the error text, and check that \
            certificate and private key belong together",
        place: place::CERTIFICATES,
    },
    Entry {
        code: "AADSTS700024",
        cause: "The signed request is outside its time range: this machine's clock is wrong. \
            The error text shows Entra's time and the time of the request.",
        remedy: "set this machine's clock and keep it synchronised (NTP)",
        place: place::CLOCK,
    },
    Entry {
        code: "AADSTS700021",
        cause: "The signed request names a different app (issuer or subject) than client_id.",
        remedy: "compare client_id with the Application (client) ID of the app that the \
            certificate or federated credential belongs to",
        place: place::OVERVIEW,
    },
    Entry {
        code: "AADSTS700023",
        cause: "The audience or scope of the request is wrong: the request was signed for \
            another token endpoint, or the scope does not name a resource.",
        remedy: "compare tenant and login_url with the app's tenant and cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS50027",
        cause: "The signed request (client assertion) or token is malformed, or is meant for \
            another issuer, audience or time.",
        remedy: "check that the certificate or federated token is the right file and complete, and \
            that this machine's clock is right",
        place: None,
    },
    Entry {
        code: "AADSTS5002723",
        cause: "The signed request does not say which certificate signed it.",
        remedy: "upload the certificate to the app, and use the same file in relay.toml",
        place: place::CERTIFICATES,
    },
    Entry {
        code: "AADSTS90014",
        cause: "A field is missing in the request or in the signed request; the error text names \
            it.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "AADSTS900144",
        cause: "A parameter is missing in the request; the error text names it.",
        remedy: "check whether a proxy removes the body of requests; if not, report this to the \
            developers of the relay, with the log line",
        place: place::PROXY,
    },
    Entry {
        code: "AADSTS90002",
        cause: "There is no such tenant, at least not in this cloud.",
        remedy: "compare tenant with Entra's overview page (\"Tenant ID\" or \"Primary \
            domain\"), and login_url with the cloud that the tenant is in",
        place: place::TENANT,
    },
    Entry {
        code: "AADSTS900023",
        cause: "The value of tenant is neither a tenant ID nor a domain.",
        remedy: "write the \"Tenant ID\" or the \"Primary domain\" from Entra's overview page \
            into tenant",
        place: place::TENANT,
    },
    Entry {
        code: "AADSTS90038",
        cause: "The tenant is in a different cloud than login_url.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS900382",
        cause: "The app is registered in one cloud but was used in another.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS900432",
        cause: "An app with a credential of its own cannot be used across clouds.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS9001023",
        cause: "The tenant is set to \"common\" or \"consumers\", where an app cannot get a \
            token with its own credential.",
        remedy: "write the \"Tenant ID\" or the \"Primary domain\" from Entra's overview page \
            into tenant",
        place: place::TENANT,
    },
    Entry {
        code: "AADSTS50194",
        cause: "The app is registered for a single tenant, but was used with /common.",
        remedy: "write the ID of the app's own tenant into tenant, or make the app multi-tenant if \
            users of other tenants need to sign in",
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "AADSTS70011",
        cause: "The scope of the request is not valid.",
        remedy: "compare graph_url with the Graph host of your cloud: the relay derives the scope \
            from it",
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS1002012",
        cause: "An app that uses its own credential must ask for the scope \"/.default\", but \
            the request had another one.",
        remedy: "compare graph_url with the Graph host of your cloud: the relay derives the scope \
            from it",
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS500011",
        cause: "The tenant does not know the resource that the relay requested a token for, \
            usually because graph_url belongs to another cloud.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS650056",
        cause: "The app registration has no permission for Microsoft Graph, or nobody has \
            consented to it.",
        remedy: "add the Microsoft Graph permission Mail.Send to the app and grant admin consent",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "AADSTS650057",
        cause: "The app registration does not list the resource that the relay requested a token \
            for.",
        remedy: "add the Microsoft Graph permission Mail.Send to the app and grant admin consent",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "AADSTS70021",
        cause: "The app has no federated credential that matches the token of the external issuer.",
        remedy: TRUST,
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700211",
        cause: "No federated credential of the app has the same issuer as the token.",
        remedy: TRUST,
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700212",
        cause: "No federated credential of the app has the same audience as the token; each cloud \
            has its own audience.",
        remedy: "give the federated credential the audience of the token: \
            api://AzureADTokenExchange, or the one of your cloud",
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700213",
        cause: "No federated credential of the app has the same subject as the token.",
        remedy: TRUST,
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700229",
        cause: "The federated token belongs to a user; Entra accepts only tokens of apps.",
        remedy: "use a token that was issued to an app or a managed identity, not to a user",
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS50196",
        cause: "The relay requested the same token too often in a short time, and Entra takes \
            that for a loop.",
        remedy: "wait a few minutes, and check whether the relay keeps restarting or runs more \
            than once",
        place: Some("journalctl -u graph-relay"),
    },
    Entry {
        code: "AADSTS50033",
        cause: "Entra has a temporary problem.",
        remedy: THEIR_PROBLEM,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90006",
        cause: "A part of Entra is temporarily unavailable.",
        remedy: THEIR_PROBLEM,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90024",
        cause: "Entra could not finish the request in time.",
        remedy: THEIR_PROBLEM,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90033",
        cause: "The directory behind Entra is temporarily unavailable.",
        remedy: THEIR_PROBLEM,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90090",
        cause: "A service that Entra depends on is temporarily unavailable.",
        remedy: THEIR_PROBLEM,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90055",
        cause: "The tenant as a whole sends too many requests to Entra, so Entra throttles it.",
        remedy: "wait: the relay tries again by itself; find out in the sign-in logs which app \
            sends so many requests",
        place: place::SIGN_INS,
    },
];
