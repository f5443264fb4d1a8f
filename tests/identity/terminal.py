#!/usr/bin/env python3
"""The person at the terminal: `graph-relay login` where somebody can answer.

    terminal.py PROGRAM CONFIG MAILBOX

Starts the command on a terminal of its own, signs in with browser.py, presses Enter at the question
whether to send a test message, and prints everything that was said. Exits as the command does, or
with 1 if it does not ask.
"""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60


def read(terminal, until):
    """What is said up to the pattern; everything, if the command ends before."""
    said, end = "", time.monotonic() + PATIENCE
    while time.monotonic() < end and not (until and re.search(until, said)):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                said += os.read(terminal, 4096).decode()
            except OSError:
                break  # The command has ended, and its terminal with it.
    return said


def main():
    program, config, mailbox = sys.argv[1:]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    process, terminal = pty.fork()
    if process == 0:
        arguments = [program, "login", mailbox, "--config", config]
        os.execve(program, arguments, environment)
    said = read(terminal, r"authorize\S+\s")
    url = re.search(r"(http\S+authorize\S+)", said)
    if not url:
        sys.exit(f"no address to sign in at: {said}")
    browser = Path(__file__).with_name("browser.py")
    subprocess.run(
        [sys.executable, browser, "--deliver", url.group(1), mailbox], check=True, timeout=PATIENCE
    )
    said += read(terminal, r"\[Y/n\] ")
    os.write(terminal, b"\n")
    said += read(terminal, None)
    print(said)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))


if __name__ == "__main__":
    main()
