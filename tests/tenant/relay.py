"""The relay that the messages of the tests go through, and the sandbox for the rehearsal; both end with the test."""

import json
import os
import re
import smtplib
import subprocess
import tempfile
import threading
import time

# Seconds for a message from the client to Graph: an upload of some MB takes longest.
PATIENCE = 180


class Process:
    """A program whose lines are kept; ended at the end of the `with` block."""

    def __init__(self, arguments, environment, of):
        self.lines, self.grown = [], threading.Condition()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GRAPH_RELAY")}
        nothing = subprocess.DEVNULL
        pipes = {"stdin": nothing, "stdout": nothing, "stderr": nothing, of: subprocess.PIPE}
        self.child = subprocess.Popen(arguments, env={**kept, **environment}, text=True, **pipes)
        stream = getattr(self.child, of)
        threading.Thread(target=self.read, args=(stream,), daemon=True).start()

    def read(self, stream):
        for line in stream:
            with self.grown:
                self.lines.append(line.rstrip("\n"))
                self.grown.notify_all()

    def wait_for(self, found, seconds=PATIENCE):
        """Returns the first line for which `found` returns something, as that."""
        deadline, seen = time.monotonic() + seconds, 0
        while True:
            with self.grown:
                for line in self.lines[seen:]:
                    result = found(line)
                    if result:
                        return result
                seen = len(self.lines)
                if self.child.poll() is not None or not self.grown.wait(min(1, max(0, deadline - time.monotonic()))):
                    ended = self.child.poll() is not None
                    if (ended or time.monotonic() > deadline) and seen == len(self.lines):
                        what = "ended" if ended else "is silent"
                        raise RuntimeError(f"the program {what}: {self.lines[-3:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()


class Relay(Process):
    """The relay with the account of the tenant, on a free port of this machine."""

    def __init__(self, program, tenant):
        self.folder = tempfile.TemporaryDirectory(prefix="graph-relay-tenant-")
        self.program = program
        self.variables = {
            **tenant.environment,
            "GRAPH_RELAY__DATA_DIR": self.folder.name,
            "GRAPH_RELAY__LISTENER__ADDRESS": "127.0.0.1:0",
            "GRAPH_RELAY__LOG__FORMAT": "json",
            "GRAPH_RELAY__HOSTNAME": "relay.tenant-test.example",
        }
        super().__init__([program, "serve"], self.variables, "stderr")
        address = self.event("listening")["address"]
        self.host, _, self.port = address.rpartition(":")

    def event(self, name, holds=lambda line: True):
        def found(line):
            try:
                event = json.loads(line)
            except ValueError:
                return None
            return event if event.get("event") == name and holds(event) else None

        return self.wait_for(found)

    def deliver(self, sender, recipients, message):
        """Sends a message by SMTP, and returns the log's line about its end."""
        with smtplib.SMTP(self.host.strip("[]"), int(self.port), timeout=60) as client:
            client.ehlo()
            client.mail(sender)
            for recipient in recipients:
                client.rcpt(recipient)
            code, reply = client.data(message)
        if code != 250:
            raise RuntimeError(f"the relay answered {code} {reply.decode()}")
        identity = re.search(r"queued as (\w+)", reply.decode()).group(1)

        def ended(line):
            try:
                event = json.loads(line)
            except ValueError:
                return None
            is_end = event.get("event") in ("delivered", "failed", "deferred")
            return event if is_end and event.get("id") == identity else None

        return self.wait_for(ended)

    def doctor(self):
        output = subprocess.run([self.program, "doctor"], env={**os.environ, **self.variables}, text=True,
                                capture_output=True, timeout=120, check=False)
        return output.returncode, output.stdout + output.stderr

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.folder.cleanup()


class Sandbox(Process):
    """The stand-in for Entra and Graph, and the environment that names it."""

    def __init__(self, program):
        super().__init__([program, "sandbox", "--smtp", "127.0.0.1:0", "--page", "127.0.0.1:0"], {}, "stdout")
        self.url = self.wait_for(lambda line: (re.search(r"http://127\.0\.0\.1:\d+", line) or [None])[0])
        self.wait_for(lambda line: line.startswith("Ready."))
        self.folder = tempfile.TemporaryDirectory(prefix="graph-relay-tenant-")
        secret = os.path.join(self.folder.name, "client-secret")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            # Public: sandbox/src/settings.rs.
            file.write("sandbox~Canary.not_a-secret+0000000000")
        account = {
            "TENANT": "5a4db0c5-0000-4000-8000-000000000001",
            "CLIENT_ID": "5a4db0c5-0000-4000-8000-000000000002",
            "CLIENT_SECRET_FILE": secret,
            "MAILBOX": "relay@sandbox.example",
            "LOGIN_URL": self.url,
            "GRAPH_URL": self.url,
        }
        self.environment = {"GRAPH_RELAY__ACCOUNT__" + name: value for name, value in account.items()}
        self.environment["TENANT_SECOND_MAILBOX"] = "reports@sandbox.example"
        self.environment["TENANT_ALIAS"] = "alias@sandbox.example"
        self.environment["GRAPH_RELAY__LIMITS__FREE_SPACE"] = "8 MB"

    def __exit__(self, *arguments):
        super().__exit__(*arguments)
        self.folder.cleanup()
