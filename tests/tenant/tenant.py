"""The tenant that is asked: its settings, requests to Entra and Graph, and what may be shown of the answers.

Requests look like the relay's own (src/graph/): the same paths, headers and forms. An answer is never followed,
retried or renewed here, because the first answer is what the questions are about.
"""

import base64
import http.client
import json
import re
import threading
import time
import urllib.parse
import uuid

PREFIX = "GRAPH_RELAY__ACCOUNT__"
CLOUDS = {
    "global": ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    "us-gov": ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    "us-dod": ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    "china": ("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
}
# Seconds that an answer may take: Graph itself gives up after less.
PATIENCE = 180


class Answer:
    """A status, the header fields, and the body; `word` is the status with Graph's or Entra's code."""

    def __init__(self, response, body):
        self.status = response.status
        self.fields = {name.lower(): value for name, value in response.getheaders()}
        self.body = body
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = {}

    @property
    def code(self):
        error = self.json.get("error", "") if isinstance(self.json, dict) else ""
        if isinstance(error, str):
            number = re.search(r"AADSTS\d+", str(self.json.get("error_description", "")))
            return " ".join(filter(None, [error, number and number.group()]))
        code, inner = error.get("code", ""), error
        while isinstance(inner, dict):
            inner = inner.get("innerError") or inner.get("innererror")
            code = inner.get("code", code) if isinstance(inner, dict) else code
        return code

    @property
    def word(self):
        return f"{self.status} {self.code}".strip()


class Broken:
    """No answer: the connection ended before."""

    status, fields, body, json, code = 0, {}, b"", {}, ""

    def __init__(self, error):
        self.word = f"no answer: {type(error).__name__}"


class Tenant:
    """Two mailboxes of a tenant, and an app that may use both."""

    def __init__(self, environment):
        def needed(name):
            if not environment.get(name):
                raise SystemExit(f"tests/tenant: set {name}: see tests/tenant/README.md")
            return environment[name]

        cloud = environment.get(PREFIX + "CLOUD", "global")
        login, graph = CLOUDS[cloud]
        self.name = needed(PREFIX + "TENANT")
        self.client = needed(PREFIX + "CLIENT_ID")
        with open(needed(PREFIX + "CLIENT_SECRET_FILE"), encoding="utf-8") as file:
            self.secret = file.read().strip()
        self.first = needed(PREFIX + "MAILBOX")
        self.second = needed("TENANT_SECOND_MAILBOX")
        self.alias = environment.get("TENANT_ALIAS", "")
        self.login = environment.get(PREFIX + "LOGIN_URL", login)
        self.graph = environment.get(PREFIX + "GRAPH_URL", graph)
        self.is_sandbox = urllib.parse.urlsplit(self.graph).hostname in ("127.0.0.1", "::1")
        self.environment = {name: value for name, value in environment.items() if name.startswith("GRAPH_RELAY__")}
        # In the subject of every message, so that they can be found again.
        self.run = "tenant-" + uuid.uuid4().hex[:10]
        # Accepted messages whose answer had a Retry-After.
        self.odd_answers = 0
        self.datacenters = set()
        self._token, self._lock = None, threading.Lock()

    # --- requests

    def token(self):
        with self._lock:
            if self._token is None or self._token[1] < time.monotonic():
                answer = self.ask_token({})
                if answer.status != 200:
                    raise RuntimeError(f"no token: {answer.word}")
                self._token = (answer.json["access_token"], time.monotonic() + int(answer.json["expires_in"]) - 300)
            return self._token[0]

    def ask_token(self, changes, tenant=None):
        """Asks Entra for a token as the relay does, with some parameters changed, or removed by None."""
        scope = "https://graph.microsoft.com" if self.is_sandbox else self.graph
        form = {
            "client_id": self.client,
            "client_secret": self.secret,
            "grant_type": "client_credentials",
            "scope": scope + "/.default",
        }
        form.update(changes)
        body = urllib.parse.urlencode({name: value for name, value in form.items() if value is not None}).encode()
        url = f"{self.login}/{tenant or self.name}/oauth2/v2.0/token"
        return self.send("POST", url, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def call(self, method, mailbox, path, body=None, immutable=False, hold=None):
        """A request to a mailbox. The body is bytes for the MIME form (before base64), or an object for JSON."""
        fields = {"Authorization": "Bearer " + self.token(), "client-request-id": str(uuid.uuid4())}
        if immutable:
            fields["Prefer"] = 'IdType="ImmutableId"'
        if isinstance(body, bytes):
            fields["Content-Type"], body = "text/plain", base64.b64encode(body)
        elif body is not None:
            fields["Content-Type"], body = "application/json", json.dumps(body).encode()
        mailbox = urllib.parse.quote(mailbox, safe="@")
        return self.send(method, f"{self.graph}/v1.0/users/{mailbox}/{path}", body, fields, hold)

    def send(self, method, url, body=None, fields=(), hold=None):
        """`hold` is called when the header section is sent, and before the body is."""
        parts = urllib.parse.urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=PATIENCE)
        try:
            connection.putrequest(method, parts.path + ("?" + parts.query if parts.query else ""))
            for name, value in dict(fields).items():
                connection.putheader(name, value)
            if body is not None or method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders()
            if hold:
                hold()
            try:
                if body:
                    connection.send(body)
            except OSError:
                # Refused meanwhile: the answer says why.
                pass
            response = connection.getresponse()
            answer = Answer(response, response.read())
        except (OSError, http.client.HTTPException) as error:
            return Broken(error)
        finally:
            connection.close()
        self.note(answer)
        return answer

    def note(self, answer):
        if answer.status == 202 and "retry-after" in answer.fields:
            self.odd_answers += 1
        try:
            place = json.loads(answer.fields.get("x-ms-ags-diagnostic", "{}"))["ServerInfo"]["DataCenter"]
            self.datacenters.add(place)
        except (ValueError, KeyError, TypeError):
            pass

    # --- what is in a mailbox

    def items(self, mailbox):
        """The newest messages of a mailbox, in all folders, that this run made."""
        path = "messages?$select=id,subject,isDraft,internetMessageId&$orderby=receivedDateTime%20desc&$top=200"
        answer = self.call("GET", mailbox, path, immutable=True)
        if answer.status != 200:
            raise RuntimeError(f"cannot list messages: {answer.word}")
        return [item for item in answer.json["value"] if self.run in (item.get("subject") or "")]

    def clean_up(self):
        """Deletes what this run made. A deleted message goes to Deleted Items first, and from there for good."""
        if not self.is_sandbox:
            # What Graph accepted last is on its way still.
            time.sleep(30)
        left, troubles = 0, []
        for mailbox in (self.first, self.second):
            try:
                left += self.clean_up_mailbox(mailbox)
            except RuntimeError as error:
                # The other mailbox and the table do not depend on it.
                troubles.append(f"not known in {mailbox}: {error}")
        return ", ".join([str(left), *troubles])

    def clean_up_mailbox(self, mailbox):
        """Returns how many messages are left."""
        for _ in range(4):
            items = self.items(mailbox)
            if not items:
                break
            for item in items:
                self.call("DELETE", mailbox, "messages/" + urllib.parse.quote(item["id"]), immutable=True)
        return len(self.items(mailbox))

    # --- what may be shown

    def mask(self, text):
        """Without secrets, addresses, and names of this tenant."""
        names = {
            self.secret: "SECRET",
            self.first: "FIRST",
            self.second: "SECOND",
            self.alias: "ALIAS",
            self.name: "TENANT",
            self.client: "CLIENT",
            self.run: "RUN",
        }
        for name in sorted(filter(None, names), key=len, reverse=True):
            text = re.sub(re.escape(name), names[name], text, flags=re.IGNORECASE)
        text = re.sub(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "ADDRESS", text)
        for address in (self.first, self.second):
            text = re.sub(re.escape(address.partition("@")[2]), "DOMAIN", text, flags=re.IGNORECASE)
        text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "GUID", text, flags=re.IGNORECASE)
        text = re.sub(r"\b[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}", "TOKEN", text)
        # An ID of a message or of an upload.
        return re.sub(r"\b[\w~=+/-]{60,}", "ID", text)
