//! What Entra says about the app, its credential and the tenant: everything
//! that is wrong before a user comes into play.

use super::Entry;
use super::place;

/// Right for whatever is wrong with the pair of them.
const KNOWN_APP: &str = "compare client_id and tenant with the app registration's overview \
    (Application (client) ID, Directory (tenant) ID), and grant admin consent there; an app of \
    another tenant must be multi-tenant";
const SAME_CLOUD: &str = "set login_url and graph_url to the hosts of the cloud that the tenant \
    is in (login.microsoftonline.us and graph.microsoft.us for GCC High, for instance)";
const THEIR_TROUBLE: &str = "wait: the relay asks again by itself; if it lasts for hours, look \
    at the service health";
const REPORT: &str = "report it to the makers of the relay, with the line of the log: it asked \
    Entra in a form that Entra does not take";
const TRUST: &str = "give the federated credential exactly the issuer, subject and audience that \
    the assertion has; upper and lower case count";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: "AADSTS7000215",
        cause: "The client secret is not one of this app's: most often its Secret ID was copied \
            instead of its Value. A new secret may also need half a minute until Entra knows it \
            everywhere.",
        remedy: "copy the client secret's Value (not its Secret ID), which is shown only when \
            the secret is made, or make a new secret, and put it where relay.toml names it",
        place: place::SECRETS,
    },
    Entry {
        code: "AADSTS70002",
        cause: "Entra does not accept the client secret; this is an older wording of \
            AADSTS7000215.",
        remedy: "copy the client secret's Value (not its Secret ID), or make a new secret, and \
            put it where relay.toml names it",
        place: place::SECRETS,
    },
    Entry {
        code: "AADSTS7000222",
        cause: "The client secret was right, but has expired.",
        remedy: "make a new client secret, put its Value where relay.toml names it, and note \
            the new date of expiry; a certificate lasts longer",
        place: place::SECRETS,
    },
    Entry {
        code: "AADSTS700016",
        cause: "There is no app with this client_id in the tenant: the client_id has a typing \
            error, the tenant is another one, or nobody has consented to the app there.",
        remedy: KNOWN_APP,
        place: place::OVERVIEW,
    },
    Entry {
        code: "AADSTS700011",
        cause: "The tenant's directory has no app with this client_id; this says the same as \
            AADSTS700016.",
        remedy: KNOWN_APP,
        place: place::OVERVIEW,
    },
    Entry {
        code: "AADSTS7000229",
        cause: "The app is registered but has no service principal (enterprise app) in the \
            tenant, so nothing can be granted to it.",
        remedy: "make the service principal and grant admin consent, or open the admin consent \
            address, which does both",
        place: Some("New-MgServicePrincipal -AppId APP_ID"),
    },
    Entry {
        code: "AADSTS7000112",
        cause: "The app is disabled in the tenant.",
        remedy: "switch \"Enabled for users to sign in\" on for the enterprise app; ask who \
            switched it off first",
        place: place::ENTERPRISE,
    },
    Entry {
        code: "AADSTS7000218",
        cause: "Entra wants a client secret or a certificate, because the app is a confidential \
            client.",
        remedy: "give the [[account]] the app's credential; for a sign-in without one set \
            \"Allow public client flows\" to Yes and put the redirect URI under \"Mobile and \
            desktop applications\"",
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "AADSTS700025",
        cause: "A client secret or certificate was sent, but the redirect URI makes the app a \
            public client, which must not send one.",
        remedy: "take the credential out of the [[account]], or register the redirect URI under \
            Web",
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "AADSTS700027",
        cause: "Entra does not know the certificate with which the request was signed, or the \
            private key is not the one that belongs to it. The text names the thumbprint.",
        remedy: "upload the certificate whose thumbprint the text names, and check that \
            certificate and private key are a pair",
        place: place::CERTIFICATES,
    },
    Entry {
        code: "AADSTS700024",
        cause: "The signed request is outside its time range: this machine's clock is wrong. \
            The text has Entra's time beside that of the request.",
        remedy: "set this machine's clock and keep it synchronised (NTP)",
        place: place::CLOCK,
    },
    Entry {
        code: "AADSTS700021",
        cause: "The signed request names another app (issuer or subject) than the client_id \
            that came with it.",
        remedy: "compare client_id with the Application (client) ID of the app to which the \
            certificate or federated credential belongs",
        place: place::OVERVIEW,
    },
    Entry {
        code: "AADSTS700023",
        cause: "The audience or scope of the request does not fit: a signed request was made \
            for another address than this token endpoint, or the scope names no resource.",
        remedy: "compare tenant and login_url with the app's tenant and cloud",
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS50027",
        cause: "The signed request (client assertion) or token is malformed, or made for \
            another issuer, audience or time.",
        remedy: "check that the file of the certificate or federated token is whole and the one \
            meant, and that this machine's clock is right",
        place: None,
    },
    Entry {
        code: "AADSTS5002723",
        cause: "The signed request does not say which certificate signed it.",
        remedy: "upload the certificate to the app, and name the same file in relay.toml",
        place: place::CERTIFICATES,
    },
    Entry {
        code: "AADSTS90014",
        cause: "A field is missing in the request or in the signed request; the text names it.",
        remedy: REPORT,
        place: None,
    },
    Entry {
        code: "AADSTS900144",
        cause: "A parameter is missing in the request; the text names it.",
        remedy: "look whether a proxy empties the body of requests; if not, report it to the \
            makers of the relay, with the line of the log",
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
        cause: "What stands for tenant is neither a tenant id nor a domain.",
        remedy: "write the \"Tenant ID\" or the \"Primary domain\" of Entra's overview page \
            into tenant",
        place: place::TENANT,
    },
    Entry {
        code: "AADSTS90038",
        cause: "The tenant is in another cloud than the one that was asked.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS900382",
        cause: "The app is registered in one cloud and was used in another.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS900432",
        cause: "An app with a credential cannot be used from one cloud in another.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS9001023",
        cause: "The tenant is set to \"common\" or \"consumers\", where an app cannot get a \
            token with its own credential.",
        remedy: "write the \"Tenant ID\" or the \"Primary domain\" of Entra's overview page \
            into tenant",
        place: place::TENANT,
    },
    Entry {
        code: "AADSTS50194",
        cause: "The app is registered for a single tenant, but was used at /common.",
        remedy: "write the app's own tenant id into tenant; or, if users of other tenants are \
            to sign in, make the app multi-tenant",
        place: place::AUTHENTICATION,
    },
    Entry {
        code: "AADSTS70011",
        cause: "The scope of the request is not valid.",
        remedy: "compare graph_url with the Graph host of your cloud: the scope is made from it",
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS1002012",
        cause: "An app that uses its own credential must ask for the scope \"/.default\", and \
            asked for another.",
        remedy: "compare graph_url with the Graph host of your cloud: the scope is made from it",
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS500011",
        cause: "The tenant does not know the resource that a token was asked for, usually \
            because graph_url belongs to another cloud.",
        remedy: SAME_CLOUD,
        place: place::CLOUD,
    },
    Entry {
        code: "AADSTS650056",
        cause: "The app registration asks for no permission on Microsoft Graph, or nobody has \
            consented to it.",
        remedy: "add the Microsoft Graph permission Mail.Send to the app and grant admin consent",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "AADSTS650057",
        cause: "The app registration does not list the resource that a token was asked for.",
        remedy: "add the Microsoft Graph permission Mail.Send to the app and grant admin consent",
        place: place::PERMISSIONS,
    },
    Entry {
        code: "AADSTS70021",
        cause: "The app has no federated credential that fits the token of the outside issuer.",
        remedy: TRUST,
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700211",
        cause: "No federated credential of the app has the issuer of the token that was \
            presented.",
        remedy: TRUST,
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700212",
        cause: "No federated credential of the app has the audience of the token that was \
            presented; it differs from cloud to cloud.",
        remedy: "give the federated credential the audience of the token: \
            api://AzureADTokenExchange, or that of your cloud",
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700213",
        cause: "No federated credential of the app has the subject of the token that was \
            presented.",
        remedy: TRUST,
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS700229",
        cause: "The token that was presented as federated credential belongs to a user; Entra \
            takes only an app's own.",
        remedy: "present a token that was issued to an app or a managed identity, not to a user",
        place: place::FEDERATED,
    },
    Entry {
        code: "AADSTS50196",
        cause: "The same token was asked for too often in a short time, and Entra calls it a \
            loop.",
        remedy: "wait some minutes, and look whether the relay is being restarted again and \
            again or runs more than once",
        place: Some("journalctl -u graph-relay"),
    },
    Entry {
        code: "AADSTS50033",
        cause: "Entra has a passing fault.",
        remedy: THEIR_TROUBLE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90006",
        cause: "A part of Entra is out of service for the moment.",
        remedy: THEIR_TROUBLE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90024",
        cause: "Entra could not finish the request in time.",
        remedy: THEIR_TROUBLE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90033",
        cause: "The directory behind Entra cannot be reached for the moment.",
        remedy: THEIR_TROUBLE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90090",
        cause: "A service that Entra asks is out of order for the moment.",
        remedy: THEIR_TROUBLE,
        place: place::SERVICE_HEALTH,
    },
    Entry {
        code: "AADSTS90055",
        cause: "The whole tenant sends Entra too many requests, so Entra holds it back.",
        remedy: "wait: the relay asks again by itself; find in the sign-in logs which app asks \
            so often",
        place: place::SIGN_INS,
    },
];
