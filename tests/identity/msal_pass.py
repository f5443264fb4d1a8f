#!/usr/bin/env python3
"""Microsoft's own client, msal, at the relay's stand-in for Entra ID: what it cannot sign in with,
Entra ID would not have said. tests/identity/install has made the Python to start it with.

    target/identity/venv/bin/python3 tests/identity/msal_pass.py JSON [PASS...]

JSON is an object: url (the stand-in's, http), tls_port, tenant, client_id, client_secret,
certificate and private_key (PEM files), user (a UPN), identity_header, federated_assertion; and,
if it is not at /msi/token of the stand-in, identity_endpoint.

msal speaks to https authorities only: this listens on tls_port of the loopback with a certificate
of its own and hands on to the stand-in, which has to announce its endpoints as those of
https://localhost:tls_port. Prints `ok PASS` for each that is over, and exits with 1 and msal's
words at the first that fails.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import ssl
import sys
import tempfile
import threading
import urllib.parse
import warnings
from pathlib import Path

import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import browser

GRAPH = "https://graph.microsoft.com/"

# Nobody listens there: the code is taken out of the address, as a listener would.
REDIRECT_URI = "http://localhost:9"


class Failed(Exception):
    """A pass that did not go as it does with Entra ID, in msal's words or ours."""


class Terminator:
    """TLS in front of the stand-in, for localhost, as long as the process lives."""

    def __init__(self, port, upstream, folder):
        split = urllib.parse.urlsplit(upstream)
        self._upstream = split.hostname, split.port
        self.certificate = folder / "localhost.pem"
        key = folder / "localhost.key"
        self_signed(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        loop = asyncio.new_event_loop()
        # In this thread, so that a port that is taken is told here.
        loop.run_until_complete(
            asyncio.start_server(self._connection, "127.0.0.1", port, ssl=context)
        )
        threading.Thread(target=loop.run_forever, daemon=True).start()

    async def _connection(self, reader, writer):
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(*self._upstream)
            await asyncio.gather(copy(reader, upstream_writer), copy(upstream_reader, writer))
        except OSError as error:
            print(f"the stand-in: {error}", file=sys.stderr)
            writer.close()


async def copy(reader, writer):
    """Hands on what comes until no more does."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # Either side may be done with the other.
    finally:
        writer.close()


def self_signed(certificate, key):
    """Writes a certificate for localhost that is its own authority, and its key."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private_key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class Passes:
    """One method for each way to a token, with the name that is printed."""

    def __init__(self, settings, certificate):
        self._settings = settings
        self._connection = {
            "authority": f"https://localhost:{settings['tls_port']}/{settings['tenant']}",
            "instance_discovery": False,
            "verify": str(certificate),
        }
        self._certificate = str(certificate)

    def secret(self):
        """Client credentials with a secret; the second time from msal's cache."""
        app = self._confidential(self._settings["client_secret"])
        self._client_credentials(app)
        again = app.acquire_token_for_client([GRAPH + ".default"])
        expect(again.get("token_source") == "cache", "msal did not keep the token", again)

    def certificate(self):
        """Client credentials with a certificate: PS256 and x5t#S256, as msal does without a
        thumbprint to go by."""
        self._client_credentials(
            self._confidential(
                {
                    "private_key": Path(self._settings["private_key"]).read_text("ascii"),
                    "public_certificate": Path(self._settings["certificate"]).read_text("ascii"),
                }
            )
        )

    def assertion(self):
        """Client credentials with what another issuer has signed."""
        assertion = self._settings["federated_assertion"]
        self._client_credentials(self._confidential({"client_assertion": lambda: assertion}))

    def code(self):
        """Authorization code with PKCE and nonce; msal looks at the state, and at nonce, audience
        and times of the id_token."""
        self._signed_in()

    def refresh(self):
        """A refresh that msal does by itself, and one with a refresh token from elsewhere."""
        app = self._signed_in()
        first = refresh_token_of(app)
        [account] = app.get_accounts(username=self._settings["user"]) or [None]
        expect(account is not None, "msal knows no such account", app.get_accounts())
        token = app.acquire_token_silent_with_error(
            [GRAPH + "Mail.Send"], account=account, force_refresh=True
        )
        check(token or {"error": "acquire_token_silent gave nothing"}, "identity_provider")
        second = refresh_token_of(app)
        expect(first != second, "the refresh token is the same as before", {})

        other = self._confidential(self._settings["client_secret"])
        check(other.acquire_token_by_refresh_token(second, [GRAPH + "Mail.Send"]))
        expect(refresh_token_of(other) != second, "the refresh token is the same as before", {})

    def device(self):
        """Device flow, of a public client: pending at first, then signed in."""
        app = msal.PublicClientApplication(self._settings["client_id"], **self._connection)
        flow = app.initiate_device_flow([GRAPH + "Mail.Send"])
        expect("user_code" in flow, "no device flow", flow)
        once = app.acquire_token_by_device_flow(flow, exit_condition=lambda _flow: True)
        expect(once.get("error") == "authorization_pending", "not pending", once)
        self._browser().device(flow["verification_uri"], flow["user_code"], self._settings["user"])
        token = check(app.acquire_token_by_device_flow(flow))
        self._check_user(token)
        refresh_token_of(app)

    def imds(self):
        """Managed identity of a virtual machine."""
        self._managed_identity({"AZURE_POD_IDENTITY_AUTHORITY_HOST": self._settings["url"]})

    def app_service(self):
        """Managed identity of App Service, Functions and Container Apps."""
        settings = self._settings
        self._managed_identity(
            {
                "IDENTITY_ENDPOINT": settings.get("identity_endpoint")
                or settings["url"].rstrip("/") + "/msi/token",
                "IDENTITY_HEADER": settings["identity_header"],
            }
        )

    def _confidential(self, credential):
        return msal.ConfidentialClientApplication(
            self._settings["client_id"], client_credential=credential, **self._connection
        )

    @staticmethod
    def _client_credentials(app):
        token = check(app.acquire_token_for_client([GRAPH + ".default"]), "identity_provider")
        expect("refresh_token" not in token, "a refresh token without a user", list(token))

    def _signed_in(self):
        app = self._confidential(self._settings["client_secret"])
        flow = app.initiate_auth_code_flow(
            [GRAPH + "Mail.Send"],
            redirect_uri=REDIRECT_URI,
            login_hint=self._settings["user"],
        )
        expect("auth_uri" in flow, "no authorization code flow", flow)
        address = self._browser().sign_in(flow["auth_uri"], self._settings["user"])
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
        answer = {name: values[0] for name, values in query.items()}
        token = check(app.acquire_token_by_auth_code_flow(flow, answer))
        self._check_user(token)
        return app

    def _check_user(self, token):
        claims = token.get("id_token_claims", {})
        user = claims.get("preferred_username", "")
        expect(user.lower() == self._settings["user"].lower(), "another user in id_token", claims)

    def _browser(self):
        return browser.Browser(self._certificate)

    @staticmethod
    def _managed_identity(environment):
        session = requests.Session()
        session.trust_env = False
        os.environ.update(environment)
        try:
            client = msal.ManagedIdentityClient(
                msal.SystemAssignedManagedIdentity(), http_client=session
            )
            check(client.acquire_token_for_client(resource=GRAPH), "identity_provider")
        finally:
            for name in environment:
                del os.environ[name]


def check(token, source=None):
    """The answer, if it is a token that can be used."""
    if "access_token" not in token:
        raise Failed(json.dumps(token))
    expect(token.get("token_type") == "Bearer", "not a bearer token", token.get("token_type"))
    expect(token.get("expires_in", 0) > 0, "no lifetime", token.get("expires_in"))
    if source:
        expect(token.get("token_source") == source, "not from there", token.get("token_source"))
    return token


def refresh_token_of(app):
    """The one refresh token that msal has kept."""
    kept = list(app.token_cache.search(msal.TokenCache.CredentialType.REFRESH_TOKEN))
    expect(len(kept) == 1, "not one refresh token kept", len(kept))
    return kept[0]["secret"]


def expect(is_so, otherwise, shown):
    """Ends the pass unless it is so."""
    if not is_so:
        raise Failed(f"{otherwise}: {json.dumps(shown)}")


PASSES = ["secret", "certificate", "assertion", "code", "refresh", "device", "imds", "app_service"]


def main():
    """The command line."""
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(PASSES):
        sys.exit(f"usage: msal_pass.py JSON [PASS...]\npasses: {' '.join(PASSES)}")
    settings = json.loads(sys.argv[1])

    # Nothing of the machine's: requests prefers its authorities and its proxy to what it is given,
    # and msal takes where it runs from it.
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("IDENTITY_", "MSI_", "IMDS_")):
            del os.environ[name]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)

    # The relay takes its code from a query, as a program without a web server of its own does.
    warnings.filterwarnings("ignore", message="response_mode='form_post' is recommended")

    with tempfile.TemporaryDirectory() as folder:
        terminator = Terminator(settings["tls_port"], settings["url"], Path(folder))
        passes = Passes(settings, terminator.certificate)
        for name in sys.argv[2:] or PASSES:
            try:
                getattr(passes, name)()
            # msal raises what its transport, its parser or its own checks do: all of it is told.
            except Exception as error:  # pylint: disable=broad-exception-caught
                sys.exit(f"FAILED {name}: {type(error).__name__}: {error}")
            print(f"ok {name}", flush=True)


if __name__ == "__main__":
    main()
