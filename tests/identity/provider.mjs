#!/usr/bin/env node
// An OpenID provider that nobody here wrote, oidc-provider, at the paths of Entra ID: what the
// relay asks of a token endpoint is judged by it.
//
//   tests/identity/provider.mjs [--certificate FILE]
//
// It listens on a free port of 127.0.0.1 and then prints one line of JSON to stdout: url, tenant.
// What happens goes to stderr. It ends when its stdin does. With FILE (PEM) there is a client that
// signs assertions with the key of that certificate. Nothing is kept.
//
// Only what lies between Entra ID and a provider by the book is ours: the paths, what `prompt` may
// be, that a confidential client may use any port of the loopback, what Microsoft asks of a client
// assertion beyond RFC 7523, and that an app can ask for `/.default` alone.

import { createHash, generateKeyPairSync, randomUUID, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const TENANT = "11111111-2222-4333-8444-555555555555";

const SECRET_CLIENT = "aaaaaaaa-0000-4000-8000-000000000001";
const CERTIFICATE_CLIENT = "aaaaaaaa-0000-4000-8000-000000000002";
const PUBLIC_CLIENT = "aaaaaaaa-0000-4000-8000-000000000003";

// Made for these tests, with the characters in it that a form must encode.
const CANARY_SECRET = "canary~secret.of+the/tests=and&no%other_8Q~";

// Where the listener of a sign-in may be, at any port: the root alone, with its slash or not, and
// where the relay's admin page expects the browser.
const REDIRECT_URIS = [
    "http://localhost",
    "http://localhost/connect/done",
    "http://localhost/log-in/done",
];

const DEFAULT_SCOPE = "https://graph.microsoft.com/.default";
const SCOPES = [
    "openid",
    "profile",
    "email",
    "offline_access",
    DEFAULT_SCOPE,
    "https://graph.microsoft.com/Mail.Send",
    "https://graph.microsoft.com/Mail.ReadWrite",
];

const DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

// Entra ID advises five to ten minutes.
const LONGEST_ASSERTION = 600;

const { values: options } = parseArgs({ options: { certificate: { type: "string" } } });

// The library tells about its defaults on stdout, which is for one line.
console.info = console.error;
const { Provider, errors } = await import("oidc-provider");

const server = createServer();
server.listen(0, "127.0.0.1");
await once(server, "listening");
const url = `http://127.0.0.1:${server.address().port}`;
const tokenEndpoint = `${url}/${TENANT}/oauth2/v2.0/token`;

const certificate = options.certificate && new X509Certificate(readFileSync(options.certificate));

const provider = new Provider(`${url}/${TENANT}/v2.0`, {
    clients: clients(),
    scopes: SCOPES,
    claims: {
        openid: ["sub", "tid", "ver"],
        profile: ["name", "oid", "preferred_username"],
        email: ["email"],
    },
    // As Entra ID does: what the scopes are about is in the id_token itself.
    conformIdTokenClaims: false,
    findAccount: (_ctx, login) => ({ accountId: login, claims: () => claimsOf(login) }),
    features: {
        clientCredentials: { enabled: true },
        deviceFlow: { enabled: true },
        devInteractions: { enabled: true },
    },
    routes: {
        authorization: `/${TENANT}/oauth2/v2.0/authorize`,
        token: `/${TENANT}/oauth2/v2.0/token`,
        device_authorization: `/${TENANT}/oauth2/v2.0/devicecode`,
        code_verification: `/${TENANT}/oauth2/v2.0/deviceauth`,
        end_session: `/${TENANT}/oauth2/v2.0/logout`,
        jwks: `/${TENANT}/discovery/v2.0/keys`,
    },
    clientAuthMethods: ["none", "client_secret_post", "private_key_jwt"],
    enabledJWA: { clientAuthSigningAlgValues: ["PS256"] },
    assertJwtClientAuthClaimsAndHeader: checkAssertion,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: {
        AccessToken: 3599,
        AuthorizationCode: 600,
        ClientCredentials: 3599,
        DeviceCode: 900,
        Grant: 86_400,
        IdToken: 3599,
        Interaction: 600,
        RefreshToken: 86_400,
        Session: 86_400,
    },
    cookies: { keys: [randomUUID()] },
    jwks: { keys: [signingKey()] },
});

for (const event of ["grant.success", "authorization.success", "device_authorization.success"]) {
    provider.on(event, (ctx) => log(event, ctx));
}
for (const event of [
    "authorization.error",
    "device_authorization.error",
    "grant.error",
    "server_error",
]) {
    provider.on(event, (ctx, error) => log(event, ctx, error));
}

provider.use(refuseOtherScopes);

const answer = provider.callback();
server.on("request", (request, response) => {
    asEntra(request);
    answer(request, response);
});
process.stdin.on("end", () => process.exit(0)).resume();
console.log(JSON.stringify({ url, tenant: TENANT }));

function clients() {
    const registered = [
        {
            client_id: SECRET_CLIENT,
            client_name: "confidential, with a secret",
            client_secret: CANARY_SECRET,
            token_endpoint_auth_method: "client_secret_post",
            grant_types: ["client_credentials", "authorization_code", "refresh_token"],
        },
        {
            client_id: PUBLIC_CLIENT,
            client_name: "public",
            token_endpoint_auth_method: "none",
            grant_types: ["authorization_code", "refresh_token", DEVICE_CODE_GRANT],
        },
    ];
    if (certificate) {
        registered.push({
            client_id: CERTIFICATE_CLIENT,
            client_name: "confidential, with a certificate",
            token_endpoint_auth_method: "private_key_jwt",
            token_endpoint_auth_signing_alg: "PS256",
            jwks: { keys: [certificate.publicKey.export({ format: "jwk" })] },
            grant_types: ["client_credentials", "authorization_code", "refresh_token"],
        });
    }
    return registered.map((client) => ({
        ...client,
        // What makes the port of a loopback address free (RFC 8252 7.3), secret or not.
        application_type: "native",
        redirect_uris: REDIRECT_URIS,
        response_types: ["code"],
    }));
}

function claimsOf(login) {
    const digest = createHash("sha256").update(login).digest("hex");
    return {
        sub: login,
        tid: TENANT,
        ver: "2.0",
        oid: digest.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-4$3-8$4-$5"),
        name: login.replace(/@.*$/, ""),
        preferred_username: login,
        email: login,
    };
}

function signingKey() {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    return { ...privateKey.export({ format: "jwk" }), alg: "RS256", use: "sig" };
}

// What Microsoft's page on certificate credentials asks for and RFC 7523 does not: the certificate
// by its digest, one audience, and each of the times. The library has checked the signature, the
// times and that `jti` is new.
function checkAssertion(_ctx, claims, header) {
    const digest = createHash("sha256").update(certificate.raw).digest("base64url");
    const faults = {
        "x5t#S256 is not the digest of the certificate": header["x5t#S256"] !== digest,
        "typ is not JWT": header.typ !== "JWT",
        "aud is not the token endpoint": claims.aud !== tokenEndpoint,
        "iss and sub are not the same": claims.iss !== claims.sub,
        "iat, nbf and exp are not all whole numbers": ![claims.iat, claims.nbf, claims.exp].every(
            Number.isInteger,
        ),
        "it is valid for too long": claims.exp - claims.nbf > LONGEST_ASSERTION,
    };
    const [fault] = Object.keys(faults).filter((fault) => faults[fault]);
    if (fault) {
        throw new errors.InvalidClientAuth(`client assertion: ${fault}`);
    }
}

// The library leaves out what it does not know, and gives the rest; Entra ID does not.
async function refuseOtherScopes(ctx, next) {
    await next();
    const { grant_type: grant, scope } = ctx.oidc?.params ?? {};
    if (ctx.status === 200 && grant === "client_credentials" && scope !== DEFAULT_SCOPE) {
        ctx.status = 400;
        ctx.body = { error: "invalid_scope", error_description: `only ${DEFAULT_SCOPE}` };
        log("grant.error", ctx, ctx.body);
    }
}

// Discovery is under the tenant. Consent is asked for when it is missing, and nobody has to say
// prompt=consent to be given a refresh token (OpenID Connect Core 11 wants it); select_account is
// a sign-in here.
function asEntra(request) {
    const asked = new URL(request.url, url);
    if (asked.pathname === `/${TENANT}/v2.0/.well-known/openid-configuration`) {
        request.url = "/.well-known/openid-configuration";
    } else if (asked.pathname === `/${TENANT}/oauth2/v2.0/authorize`) {
        const list = (name) => (asked.searchParams.get(name) ?? "").split(" ").filter(Boolean);
        const prompts = list("prompt").map((prompt) =>
            prompt === "select_account" ? "login" : prompt,
        );
        if (list("scope").includes("offline_access") && !prompts.includes("none")) {
            prompts.push("consent");
        }
        if (prompts.length > 0) {
            asked.searchParams.set("prompt", [...new Set(prompts)].join(" "));
            request.url = asked.pathname + asked.search;
        }
    }
}

// No credential is in these words: the library does not repeat what it was sent.
function log(event, ctx, error) {
    const client = ctx.oidc?.params?.client_id ?? ctx.oidc?.client?.clientId ?? "-";
    const grant = ctx.oidc?.params?.grant_type ?? "-";
    const words = error
        ? [error.error, error.error_description, error.error_detail, error.cause?.message]
        : [];
    console.error(event, client, grant, ...words.filter(Boolean));
    if (event === "server_error") {
        console.error(error);
    }
}
