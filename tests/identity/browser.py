#!/usr/bin/env python3
"""The person at the browser: signs in and agrees to what is asked, at tests/identity/provider.mjs
or at the relay's own stand-in.

    browser.py [--deliver] [--ca FILE] URL LOGIN
    browser.py --device [--ca FILE] VERIFICATION_URI USER_CODE LOGIN

The first begins at an authorize URL and ends where the program under test listens, the redirect_uri
of that URL: its address is printed, or with --deliver requested as a browser would. The second
enters the code of a device. FILE has the certificate to trust where the address is https. Exits
with 1 and says why if anything else happens than a sign-in that succeeds.
"""

import argparse
import html.parser
import http.cookiejar
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

# The stand-in's: a link for each user that it has, and what takes the code of a device.
SANDBOX_SIGN_IN = "/sandbox/sign-in/"
SANDBOX_DEVICE = "/sandbox/device"

# More than any sign-in takes.
MOST_PAGES = 20


class Unexpected(Exception):
    """What a person would stop at, in words."""


class Form:
    """A form of a page: where it goes, and what is in its fields."""

    def __init__(self, action):
        self.action = action
        self.fields = {}


class Page(html.parser.HTMLParser):
    """A page that was come to: its address, status, forms, links and words."""

    def __init__(self, address, status, text):
        super().__init__()
        self.address, self.status = address, status
        self.forms, self.links, self.words = [], [], []
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "a" and attributes.get("href"):
            self.links.append(self.absolute(attributes["href"]))
        elif tag == "form":
            self.forms.append(Form(self.absolute(attributes.get("action") or "")))
        elif tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1].fields[attributes["name"]] = attributes.get("value") or ""
        elif tag in ("script", "style"):
            self._hidden = True

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.words += data.split()

    def absolute(self, reference):
        """An address as the page means it."""
        return urllib.parse.urljoin(self.address, reference)

    def form_with(self, field):
        """The form that has such a field, if one has."""
        return next((form for form in self.forms if field in form.fields), None)

    def says(self):
        """What to quote of it."""
        words = " ".join(self.words)[:400]
        return f"{without_query(self.address)} answered {self.status}: {words}"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves it to us to look where a redirect goes, before going there."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


class Browser:
    """Keeps cookies, uses no proxy; by https it trusts `ca` (a file) and nothing else, if given."""

    def __init__(self, ca=None):
        handlers = [
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        ]
        if ca:
            context = ssl.create_default_context(cafile=ca)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._follower = urllib.request.build_opener(*handlers)
        self._opener = urllib.request.build_opener(*handlers, NoRedirect())
        self._listener = None

    def sign_in(self, url, login):
        """Goes from an authorize URL to the address that the listener is to be asked for."""
        self._listener = listener_of(url)
        if self._listener is None:
            raise Unexpected(f"no redirect_uri in {without_query(url)}")
        page = self._go(url)
        for _ in range(MOST_PAGES):
            if isinstance(page, str):
                return page
            page = self._sign_in_step(page, login)
        raise Unexpected(f"there is no end to it: {page.says()}")

    def device(self, verification_uri, user_code, login):
        """Enters the code of a device, and signs in for it; gives the words of the last page."""
        self._listener = None
        page = self._go(verification_uri)
        path = urllib.parse.urlsplit(verification_uri).path
        if path == SANDBOX_DEVICE or any(is_sandbox_device(form) for form in page.forms):
            action = urllib.parse.urljoin(verification_uri, SANDBOX_DEVICE)
            page = self._go(action, {"user_code": user_code, "user": login})
            if page.status != 200:
                raise Unexpected(page.says())
            return " ".join(page.words)

        form = page.form_with("user_code")
        if form is None:
            raise Unexpected(f"nowhere to enter the code: {page.says()}")
        page = self._go(form.action, form.fields | {"user_code": user_code})
        form = page.form_with("confirm")
        if form is None:
            raise Unexpected(f"the code is not known there: {page.says()}")
        page = self._go(form.action, form.fields)
        for _ in range(MOST_PAGES):
            if not page.forms:
                if page.status != 200 or "Success" not in page.words:
                    raise Unexpected(page.says())
                return " ".join(page.words)
            page = self._sign_in_step(page, login)
        raise Unexpected(f"there is no end to it: {page.says()}")

    def deliver(self, address):
        """Asks the listener for the address; gives the words that it answers with."""
        try:
            page = self._read(self._follower, urllib.request.Request(address))
        except OSError as error:
            raise Unexpected(f"nobody listens at {without_query(address)}: {error}") from error
        if page.status != 200:
            raise Unexpected(page.says())
        return " ".join(page.words)

    def _sign_in_step(self, page, login):
        """Does what a page asks for."""
        for link in page.links:
            split = urllib.parse.urlsplit(link)
            user = urllib.parse.parse_qs(split.query).get("user", [""])[0]
            if split.path.startswith(SANDBOX_SIGN_IN) and user.lower() == login.lower():
                return self._go(link)
        if page.status == 200:
            form = page.form_with("login")
            if form:
                return self._go(form.action, form.fields | {"login": login, "password": "any"})
            form = page.form_with("prompt")
            if form and form.fields["prompt"] == "consent":
                return self._go(form.action, form.fields)
        raise Unexpected(page.says())

    def _go(self, address, fields=None):
        """The page that an address, or a form, leads to; the address itself once that is the
        listener's."""
        data = None if fields is None else urllib.parse.urlencode(fields).encode()
        for _ in range(MOST_PAGES):
            request = urllib.request.Request(address, data=data)
            try:
                answer = self._read(self._opener, request)
            except OSError as error:
                raise Unexpected(f"cannot reach {without_query(address)}: {error}") from error
            if isinstance(answer, Page):
                return answer
            address, data = answer, None
            if self._listener is not None and origin(address) == self._listener:
                return address
        raise Unexpected(f"redirected without end, to {without_query(address)}")

    @staticmethod
    def _read(opener, request):
        """A page, or the address that one is redirected to."""
        try:
            response = opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            if 300 <= response.status < 400:
                location = response.headers.get("Location") or ""
                return urllib.parse.urljoin(request.full_url, location)
            text = response.read().decode("utf-8", "replace")
            return Page(response.url or request.full_url, response.status, text)


def is_sandbox_device(form):
    """Whether the form is the stand-in's for the code of a device."""
    return urllib.parse.urlsplit(form.action).path == SANDBOX_DEVICE


def listener_of(url):
    """The origin of the redirect_uri that is in an authorize URL."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    return origin(query["redirect_uri"][0]) if "redirect_uri" in query else None


def origin(url):
    """What of an address tells one listener from another."""
    split = urllib.parse.urlsplit(url)
    return split.scheme, split.hostname, split.port


def without_query(url):
    """An address without what is secret in it."""
    return urllib.parse.urlsplit(url)._replace(query="", fragment="").geturl()


def refusal(address):
    """What the listener is told instead of a code, if it is."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
    if "error" in query:
        return " ".join(query["error"] + query.get("error_description", []))
    return None if "code" in query else "neither a code nor an error"


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description="The person at the browser.")
    parser.add_argument("--device", action="store_true")
    parser.add_argument("--deliver", action="store_true")
    parser.add_argument("--ca", metavar="FILE")
    parser.add_argument("words", nargs="+", metavar="URL [USER_CODE] LOGIN")
    options = parser.parse_args()
    if len(options.words) != (3 if options.device else 2):
        parser.error("see the top of this file for what it wants")

    browser = Browser(options.ca)
    if options.device:
        print(browser.device(*options.words))
        return
    address = browser.sign_in(*options.words)
    print(browser.deliver(address) if options.deliver else address)
    if told := refusal(address):
        raise Unexpected(f"the listener was told: {told}")


if __name__ == "__main__":
    try:
        main()
    except Unexpected as unexpected:
        sys.exit(f"browser.py: {unexpected}")
