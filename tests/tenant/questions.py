"""The questions that only a tenant answers, each a function that yields (what was asked, what was seen).

The numbers are those of the list of open points; `J4` is its fourth. A message goes through the relay
wherever the relay sends such a message itself; only what it never does is asked of Graph directly.
"""

import hashlib
import json
import os
import socket
import threading
import time
import urllib.parse
import urllib.request
from base64 import b64encode
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import formatdate

MB, MIB = 1_000_000, 1 << 20
# Seconds until a message that Graph accepted is in the other mailbox.
ARRIVAL = 180
# How often the sizes over "4 MB" are asked: reports say that such a request passes sometimes.
TIMES = 5


class Questions:
    def __init__(self, tenant, relay):
        self.tenant, self.relay = tenant, relay
        self.number = 0

    def message(self, to, subject="", size=0, sender=None, **fields):
        """A message with this run in its subject, of about so many bytes."""
        self.number += 1
        message = EmailMessage()
        message["From"] = sender or self.tenant.first
        if to:
            message["To"] = to
        message["Subject"] = f"{self.tenant.run} {self.number} {subject}".strip()
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{self.tenant.run}.{self.number}@tenant-test.example>"
        for name, value in fields.items():
            message[name.replace("_", "-")] = value
        message.set_content("A test of graph-relay. It is deleted by itself.\n")
        lines = max(0, size - len(bytes(message))) // 78
        message.set_payload(message.get_payload() + ("x" * 76 + "\r\n") * lines)
        return message

    def encoded(self, to, request):
        """The MIME form whose request has exactly this many bytes, a multiple of 4."""
        message = bytes(self.message(to, size=request * 3 // 4 - 4096)).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        return message + b"x" * (request // 4 * 3 - len(message))

    def draft(self, to, **members):
        self.number += 1
        recipients = [{"emailAddress": {"address": to}}] if to else []
        message = {
            "subject": f"{self.tenant.run} {self.number}",
            "body": {"contentType": "text", "content": "A test of graph-relay. It is deleted by itself."},
            "toRecipients": recipients,
        }
        return {**message, **members}

    def received(self, message):
        """The message as the second mailbox has it; in the sandbox, as it was submitted, because nothing is delivered."""
        subject = message["Subject"]
        if self.tenant.is_sandbox:
            return self.submitted(subject)
        deadline = time.monotonic() + ARRIVAL
        while time.monotonic() < deadline:
            for item in self.tenant.items(self.tenant.second):
                if item["subject"] == subject and not item["isDraft"]:
                    path = "messages/" + urllib.parse.quote(item["id"]) + "/$value"
                    answer = self.tenant.call("GET", self.tenant.second, path, immutable=True)
                    if answer.status == 200:
                        return answer.body
            time.sleep(3)
        raise RuntimeError(f"not in the second mailbox after {ARRIVAL} s")

    def submitted(self, subject):
        for entry in self.sandbox("messages"):
            if entry["subject"] == subject:
                return self.sandbox(f"messages/{entry['id']}/raw", decode=bytes)
        raise RuntimeError("not submitted")

    def sandbox(self, path, decode=json.loads):
        with urllib.request.urlopen(f"{self.tenant.graph}/sandbox/{path}") as answer:
            return decode(answer.read())

    # --- the questions

    def j1_size_of_requests(self):
        """Where the limit of "4 MB" is, without sending: a message for nobody is refused for that, or for its size."""
        accepted = 0
        for size, times in ((3_999_996, 1), (4_000_000, 1), (4_000_004, 1), (4 * MIB, 1), (4 * MIB + 4, TIMES),
                            (5 * MIB, TIMES)):
            answers = [self.tenant.call("POST", self.tenant.first, "sendMail", self.encoded(None, size))
                       for _ in range(times)]
            if all(answer.status not in (0, 413) for answer in answers):
                accepted = size
            often = f", {times} times" if times > 1 else ""
            seen = self.counted(answer.word for answer in answers) if times > 1 else answers[0].word
            yield f"sendMail, MIME, a request of {size} bytes, for nobody{often}", seen
            refused = [answer for answer in answers if answer.status == 413]
            if refused:
                answer = refused[0]
                words = answer.json.get("error", {}).get("message") or answer.body.decode(errors="replace")[:200]
                yield "the words of the 413", words or "no words"
        for size in (4_000_000, 4 * MIB, 4 * MIB + 1):
            body = {"message": self.draft(None), "saveToSentItems": False}
            body["message"]["body"]["content"] = "x" * (size - len(json.dumps(body)) + len(body["message"]["body"]["content"]))
            answer = self.tenant.call("POST", self.tenant.first, "sendMail", body)
            yield f"sendMail, JSON, a request of {size} bytes, for nobody", answer.word
        answer = self.tenant.call("POST", self.tenant.first, "sendMail", self.encoded(self.tenant.second, accepted))
        yield f"a real message with a request of {accepted} bytes", answer.word

    def j2_j3_mime_form(self):
        """What the recipient of the MIME form sees: the Bcc field, and which fields stay."""
        fields = {
            "References": "<before@tenant-test.example>",
            "In-Reply-To": "<before@tenant-test.example>",
            "Auto-Submitted": "auto-generated",
            "List-Id": "<list.tenant-test.example>",
            "Precedence": "bulk",
            "X-Priority": "1",
            "X-Auto-Response-Suppress": "All",
            "X-Original-From": "device@tenant-test.example",
            # A name that this mailbox has never seen.
            "X-New-" + self.tenant.run.replace("-", ""): "new",
        }
        message = self.message(self.tenant.first, "fields")
        for name, value in fields.items():
            message[name] = value
        # Only the envelope names the second mailbox: the relay puts it into Bcc.
        end = self.relay.deliver(self.tenant.first, [self.tenant.second], bytes(message))
        yield "through the relay, a recipient that only the envelope names", self.outcome(end)
        copy = message_from_bytes(self.received(message))
        bcc = "there" if copy["Bcc"] else "not there"
        yield "the Bcc field in the recipient's copy", bcc
        for name in ("Message-ID", "Date", *fields):
            shown = "X-New-..." if name.startswith("X-New-") else name
            was, now = message[name], copy[name]
            result = "kept" if now == was else "missing" if now is None else "changed"
            yield f"the field {shown} in the recipient's copy", result

    def j4_draft_sent_twice(self):
        """Whether a second request to send a draft sends a second copy, with either kind of ID."""
        for immutable in (True, False):
            kind = "immutable ID" if immutable else "usual ID"
            draft = self.draft(self.tenant.second)
            created = self.tenant.call("POST", self.tenant.first, "messages", draft, immutable)
            yield f"{kind}: create a draft", created.word
            path = "messages/" + urllib.parse.quote(created.json.get("id", "")) + "/send"
            for when in ("send it", "send it again at once"):
                answer = self.tenant.call("POST", self.tenant.first, path, None, immutable)
                yield f"{kind}: {when}", answer.word
            self.received({"Subject": draft["subject"]})
            answer = self.tenant.call("POST", self.tenant.first, path, None, immutable)
            yield f"{kind}: send it again after it arrived", answer.word
            yield f"{kind}: copies that arrived", str(self.copies(draft["subject"]))

    def copies(self, subject):
        if self.tenant.is_sandbox:
            return sum(entry["subject"] == subject for entry in self.sandbox("messages"))
        # A second copy takes no longer than the first.
        time.sleep(30)
        return sum(item["subject"] == subject for item in self.tenant.items(self.tenant.second))

    def j5_concurrency(self):
        """How many requests Graph takes at once, in one mailbox and in two."""
        first, second = self.tenant.first, self.tenant.second
        for words, mailboxes in (("eight requests at once to one mailbox", [first] * 8),
                                 ("eight at once, four to each of two mailboxes", [first, second] * 4)):
            answers, gate = [], threading.Barrier(len(mailboxes))

            def hold():
                gate.wait(60)
                # Each has sent its header section: they all are there before one ends.
                time.sleep(0.5)

            def create(mailbox):
                body = bytes(self.message(None, size=MB))
                answers.append(self.tenant.call("POST", mailbox, "messages", body, True, hold).word)

            threads = [threading.Thread(target=create, args=(mailbox,)) for mailbox in mailboxes]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            yield words, self.counted(answers)

    def j5_rate(self):
        """Whether 30 messages a minute, the limit of SMTP, is one of Graph too."""
        answers, started = [], time.monotonic()
        for _ in range(40):
            body = {"message": self.draft(self.tenant.second), "saveToSentItems": False}
            answers.append(self.tenant.call("POST", self.tenant.first, "sendMail", body).word)
        if not self.tenant.is_sandbox:
            yield "seconds for 40 messages", f"{time.monotonic() - started:.0f}"
        yield "40 messages, one after the other", self.counted(answers)

    def j7_uploads(self):
        """The sizes between one request and an upload session, the host, and what a session allows."""
        draft = self.tenant.call("POST", self.tenant.first, "messages", self.draft(self.tenant.second), True)
        files = "messages/" + urllib.parse.quote(draft.json.get("id", "")) + "/attachments"
        for size in (2_999_999, 3_000_000, 3 * MIB - 1, 3 * MIB):
            body = {"@odata.type": "#microsoft.graph.fileAttachment", "name": "file.bin",
                    "contentBytes": b64encode(bytes(size)).decode()}
            answer = self.tenant.call("POST", self.tenant.first, files, body, True)
            yield f"attach {size} bytes in one request", answer.word
        for size in (2_999_999, 3_000_000, 3 * MIB, 150 * MB, 150 * MIB, 150 * MIB + 1):
            answer = self.session(files, size)
            yield f"an upload session for {size} bytes", answer.word
            if answer.status == 201:
                self.tenant.send("DELETE", answer.json["uploadUrl"])
        session = self.session(files, 3_000_000)
        yield from self.of_the_session(session)

    def session(self, files, size):
        item = {"AttachmentItem": {"attachmentType": "file", "name": "file.bin", "size": size}}
        return self.tenant.call("POST", self.tenant.first, files + "/createUploadSession", item, True)

    def of_the_session(self, session):
        url = session.json["uploadUrl"]
        if not self.tenant.is_sandbox:
            yield "the host of the upload URL", urllib.parse.urlsplit(url).hostname
            yield "the session's end, and now", f"{session.json.get('expirationDateTime')}, {formatdate(usegmt=True)}"
        yield "nextExpectedRanges of a new session", json.dumps(session.json.get("nextExpectedRanges"))
        for words, first, last in (("from the middle", MB, 2 * MB - 1), ("from the beginning", 0, MB - 1)):
            fields = {"Content-Type": "application/octet-stream", "Content-Range": f"bytes {first}-{last}/3000000"}
            answer = self.tenant.send("PUT", url, bytes(MB), fields)
            ranges = answer.json.get("nextExpectedRanges", answer.json.get("NextExpectedRanges"))
            yield f"a part {words}", f"{answer.word} {json.dumps(ranges) if ranges else ''}".strip()
        answer = self.tenant.send("GET", url)
        yield "GET of the upload URL", f"{answer.word} {json.dumps(answer.json.get('nextExpectedRanges', []))}"
        yield "DELETE of the upload URL", self.tenant.send("DELETE", url).word

    def large_message(self):
        """A file that is too large for one request, through the relay: a draft and an upload session."""
        content = os.urandom(5 * MB)
        message = self.message(self.tenant.second, "large")
        message.add_attachment(content, "application", "octet-stream", filename="large.bin")
        end = self.relay.deliver(self.tenant.first, [self.tenant.second], bytes(message))
        yield "through the relay, a file of 5000000 bytes", self.outcome(end)
        digest = hashlib.sha256(content).hexdigest()
        if self.tenant.is_sandbox:
            entries = [entry for entry in self.sandbox("messages") if entry["subject"] == message["Subject"]]
            found = [file["sha256"] for entry in entries for file in entry["attachments"]]
        else:
            parts = message_from_bytes(self.received(message)).walk()
            contents = [part.get_payload(decode=True) for part in parts if part.get_filename()]
            found = [hashlib.sha256(content).hexdigest() for content in contents]
        yield "the file in the recipient's copy", "the same" if found == [digest] else f"not the same ({len(found)} files)"

    def j8_hosts(self):
        """Names that only the documents of other people have; asked of DNS, and nothing is connected to."""
        for host in ("smtp.office365.us", "outlook-dod.office365.us", "outlook.office365.us", "smtp.partner.outlook.cn",
                     "partner.outlook.cn"):
            if self.tenant.is_sandbox:
                yield f"DNS: {host}", "not asked in the sandbox"
                continue
            try:
                socket.getaddrinfo(host, 587)
                yield f"DNS: {host}", "exists"
            except OSError as error:
                yield f"DNS: {host}", f"not found ({type(error).__name__})"

    def j9_senders(self):
        """Which senders Graph accepts for the first mailbox."""
        second, alias = self.tenant.second, self.tenant.alias
        cases = [("From: the second mailbox", {"sender": second}),
                 ("From: the first, Sender: the second mailbox", {"Sender": second})]
        if alias:
            cases.append(("From: the alias", {"sender": alias}))
        for words, fields in cases:
            message = self.message(second, **fields)
            answer = self.tenant.call("POST", self.tenant.first, "sendMail", bytes(message))
            yield f"MIME, {words}", answer.word
            if "alias" in words and answer.status == 202:
                copy = message_from_bytes(self.received(message))
                yield "the recipient sees From", "the alias" if alias.lower() in copy["From"].lower() else copy["From"]
        body = {"message": self.draft(second, **{"from": {"emailAddress": {"address": second}}}), "saveToSentItems": False}
        yield "JSON, from: the second mailbox", self.tenant.call("POST", self.tenant.first, "sendMail", body).word
        if alias:
            answer = self.tenant.call("POST", alias, "sendMail", {"message": self.draft(second), "saveToSentItems": False})
            yield "the alias in the URL", answer.word
        else:
            yield "an alias", "not asked: TENANT_ALIAS is not set"

    def j10_token_errors(self):
        """Status, error and number for each way to ask wrongly. One wrong secret locks nothing."""
        unknown = "00000000-0000-4000-8000-00000000dead"
        for words, changes, tenant in (
            ("a wrong secret", {"client_secret": "wrong"}, None),
            ("no secret", {"client_secret": None}, None),
            ("an unknown app", {"client_id": unknown}, None),
            ("an app that is no GUID", {"client_id": "wrong"}, None),
            ("an unknown tenant", {}, unknown),
            ("a scope of another resource", {"scope": "https://unknown.tenant-test.example/.default"}, None),
            ("a scope without .default", {"scope": "https://graph.microsoft.com/Mail.Send"}, None),
            ("no scope", {"scope": None}, None),
            ("an unknown grant", {"grant_type": "unknown"}, None),
        ):
            yield f"token: {words}", self.tenant.ask_token(changes, tenant).word

    def j11_odd_requests(self):
        """Requests that the documents leave open. Of those that are accepted, one message each arrives."""
        first, second = self.tenant.first, self.tenant.second
        draft = self.draft(second, graphRelayUnknown="x")
        yield "a draft with an unknown property", self.tenant.call("POST", first, "messages", draft).word
        yield "sendMail with a bare message", self.tenant.call("POST", first, "sendMail", self.draft(second)).word
        body = {"message": self.draft(second, internetMessageHeaders=[]), "saveToSentItems": False}
        yield "sendMail with an empty list of header fields", self.tenant.call("POST", first, "sendMail", body).word
        body = {"message": self.draft(second, internetMessageHeaders=[{"name": "Auto-Submitted", "value": "no"}])}
        yield "sendMail with a field that is not X-", self.tenant.call("POST", first, "sendMail", body).word
        inner = {"id": "1", "method": "POST", "url": f"/users/{first}/sendMail", "headers": {"Content-Type": "text/plain"},
                 "body": b64encode(bytes(self.message(second))).decode()}
        yield "$batch with a sendMail in MIME form", self.batch(inner)
        yield "sendMail with bytes that are no message", self.tenant.call("POST", first, "sendMail", b"no message").word

    def batch(self, inner):
        fields = {"Authorization": "Bearer " + self.tenant.token(), "Content-Type": "application/json"}
        body = json.dumps({"requests": [inner]}).encode()
        answer = self.tenant.send("POST", self.tenant.graph + "/v1.0/$batch", body, fields)
        results = answer.json.get("responses", [])
        return ", ".join([answer.word] + [f"within: {result.get('status')}" for result in results])

    def doctor(self):
        """The message for nobody by which `doctor` tests a mailbox: refused, and nothing of it stays."""
        message = {"message": self.draft(None), "saveToSentItems": False}
        answer = self.tenant.call("POST", self.tenant.first, "sendMail", message)
        yield "doctor's message for nobody", answer.word
        subject = message["message"]["subject"]
        left = sum(item["subject"] == subject for item in self.tenant.items(self.tenant.first))
        yield "messages that it left in the mailbox", str(left)
        code, text = self.relay.doctor()
        lines = [line for line in text.splitlines() if self.tenant.first in line]
        yield "graph-relay doctor, exit code", str(code)
        yield "graph-relay doctor, of the mailbox", "; ".join(lines) or "no line"

    def not_asked(self):
        """What would need a mailbox that is full or blocked, or would use up an allowance."""
        for words in ("J5: 150 MB of uploads in 5 minutes", "J6: quota used up, sender suspended, mailbox full",
                      "J12: dates that Microsoft has announced"):
            yield words, "not asked: it would disturb the tenant, or cannot be asked"
        yield "202 answers with Retry-After", str(self.tenant.odd_answers)

    def masks(self):
        """In the rehearsal only: what the table shows instead of what it must not show."""
        tenant = self.tenant
        domain = tenant.first.partition("@")[2]
        yield "the secret", f"client_secret={tenant.secret}&scope"
        yield "the tenant and the app", f"/{tenant.name}/oauth2, '{tenant.client.upper()}'"
        yield "the mailboxes and the alias", f"<{tenant.first}> {tenant.second.upper()}, {tenant.alias}"
        yield "the domain of the mailboxes", f"mail.{domain}"
        yield "the name of the run", f"{tenant.run} 1"
        yield "another address", "nobody.else+tag@mail.tenant-test.example"
        yield "a GUID", "Trace ID: 01234567-89AB-cdef-0123-456789abcdef"
        token = ".".join(b64encode(bytes([number]) * 30).decode() for number in (1, 2, 3))
        yield "a token", f"Authorization: Bearer {token}"
        yield "the ID of a message", f"id {b64encode(bytes(range(60))).decode()}"

    @staticmethod
    def counted(words):
        words = list(words)
        return ", ".join(f"{words.count(word)} x {word}" for word in sorted(set(words)))

    @staticmethod
    def outcome(end):
        words = [end["event"]] + [str(end[name]) for name in ("status", "code", "reason") if end.get(name)]
        return " ".join(words)

    def all(self):
        return [self.j1_size_of_requests, self.j2_j3_mime_form, self.j4_draft_sent_twice, self.j5_concurrency,
                self.j5_rate, self.j7_uploads, self.large_message, self.j8_hosts, self.j9_senders,
                self.j10_token_errors, self.j11_odd_requests, self.doctor, self.not_asked,
                *([self.masks] if self.tenant.is_sandbox else [])]
