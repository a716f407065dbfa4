"""A browser without JavaScript: it fills and sends forms as it finds them, and checks every page that it is given."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import databases
import html5lib
from checks import ORIGIN, faults_of, headers_faults, statement_faults
from flask import Flask
from werkzeug.test import TestResponse

# The statements of the request that runs in this thread; conftest.py fills it.
STATEMENTS = threading.local()
# Pages that were found good: the same page again, but for its tokens, needs no second look.
_GOOD: set[tuple[str, str]] = set()
_TOKENS = re.compile(r'name="(?:csrf_token|key)" value="[^"]*"')
_SKIPPED = {"script", "style", "title", "template"}


@dataclass(frozen=True)
class File:
    """A file to upload."""

    name: str
    content: bytes
    type: str = "application/octet-stream"


class Forged(str):
    """A value that the form does not offer: what a browser would not send, and an attacker does."""

    __slots__ = ()


class Form:
    """A form as it stands on its page."""

    def __init__(self, page: Page, element: Any) -> None:
        self.page, self.element = page, element
        self.action: str = element.get("action", page.path)
        self.method: str = element.get("method", "get").lower()
        self.enctype: str = element.get("enctype", "application/x-www-form-urlencoded")

    @cached_property
    def controls(self) -> list[Any]:
        """The form's fields and buttons, in the order of the page."""
        own = self.element.get("id")
        tags = {"input", "select", "textarea", "button"}
        inside = {id(e) for e in self.element.iter()}
        return [
            e
            for e in self.page.every()
            if e.tag in tags and (e.get("form") == own if e.get("form") else id(e) in inside)
        ]

    @property
    def has_file(self) -> bool:
        return any(e.get("type") == "file" for e in self.controls)

    def has(self, name: str) -> bool:
        return any(e.get("name") == name for e in self.controls)

    def value_of(self, name: str) -> str:
        """Return the first value that the form would send under the name; "" for none."""
        return next((str(value) for n, value in self.entries(None, {}) if n == name), "")

    def values_of(self, name: str) -> list[str]:
        """Return every value that the form would send under the name."""
        return [str(value) for n, value in self.entries(None, {}) if n == name]

    def choices_of(self, name: str) -> list[str]:
        """Return the values that a list, radio buttons or check boxes offer."""
        found = []
        for e in self.controls:
            if e.get("name") == name:
                found += [_option(o) for o in e.iter("option")] if e.tag == "select" else [e.get("value", "on")]
        return found

    def submitters(self) -> list[Any]:
        return [e for e in self.controls if _submits(e)]

    def entries(self, submitter: Any | None, given: dict[str, Any]) -> list[tuple[str, str | File]]:
        """Return what a browser sends: the values of the page, changed by what is `given`."""
        names = {e.get("name") for e in self.controls}
        assert set(given) <= names, f"{self.action} has no {set(given) - names}; it has {sorted(filter(None, names))}"
        found: list[tuple[str, str | File]] = []
        for e in self.controls:
            name = e.get("name")
            if not name or "disabled" in e.attrib or (_submits(e) and e is not submitter):
                continue
            found += [(name, value) for value in self._values(e, name, given)]
        return found

    def _values(self, e: Any, name: str, given: dict[str, Any]) -> Iterable[str | File]:
        kind = e.get("type", "text") if e.tag == "input" else e.tag
        wanted = given.get(name)
        if _submits(e):
            return [e.get("value", "")]
        if kind == "file":
            return [wanted] if isinstance(wanted, File) else (wanted or [File("", b"")])
        if kind in {"radio", "checkbox"}:
            return self._ticked(e, name, given)
        if kind == "select":
            return self._selected(e, name, given)
        if isinstance(wanted, list):
            return wanted
        text = wanted if name in given else ("".join(e.itertext()) if kind == "textarea" else e.get("value", ""))
        return [str(text).replace("\r\n", "\n").replace("\n", "\r\n")]

    def _ticked(self, e: Any, name: str, given: dict[str, Any]) -> list[str]:
        value = e.get("value", "on")
        if name not in given:
            return [value] if "checked" in e.attrib else []
        wanted = given[name]
        if isinstance(wanted, bool):
            return [value] if wanted else []
        offered = self.choices_of(name)
        chosen = wanted if isinstance(wanted, list) else [wanted]
        wrong = [w for w in chosen if str(w) not in offered and not isinstance(w, Forged)]
        assert not wrong, f"{name} does not offer {wrong}, but {offered}"
        forged = [str(w) for w in chosen if isinstance(w, Forged)] if value == offered[0] else []
        return [value for w in chosen if str(w) == value and not isinstance(w, Forged)] + forged

    def _selected(self, e: Any, name: str, given: dict[str, Any]) -> list[str]:
        options = list(e.iter("option"))
        if name not in given:
            ticked = [_option(o) for o in options if "selected" in o.attrib]
            return ticked or ([_option(options[0])] if options and "multiple" not in e.attrib else [])
        chosen = given[name] if isinstance(given[name], list) else [given[name]]
        wrong = [w for w in chosen if str(w) not in map(_option, options) and not isinstance(w, Forged)]
        assert not wrong, f"{name} does not offer {wrong}, but {[_option(o) for o in options]}"
        return [str(w) for w in chosen]


def _option(option: Any) -> str:
    return str(option.get("value", "".join(option.itertext()).strip()))


def _submits(e: Any) -> bool:
    return (e.tag == "button" and e.get("type", "submit") == "submit") or e.get("type") in {"submit", "image"}


@dataclass
class Page:
    """An answer, and what stands on it."""

    status: int
    path: str
    headers: Any
    body: bytes
    hops: list[int] = field(default_factory=list)

    @property
    def html(self) -> str:
        return self.body.decode()

    @property
    def is_html(self) -> bool:
        return self.headers.get("Content-Type", "").startswith("text/html") and bool(self.body)

    @cached_property
    def _parsed(self) -> tuple[Any, list[Any]]:
        parser = html5lib.HTMLParser(namespaceHTMLElements=False)
        return parser.parse(self.html), parser.errors

    @property
    def parse_errors(self) -> list[Any]:
        return self._parsed[1]

    @cached_property
    def _elements(self) -> list[Any]:
        return [e for e in self._parsed[0].iter() if isinstance(e.tag, str)]

    @cached_property
    def _parents(self) -> dict[int, Any]:
        return {id(child): parent for parent in self._elements for child in parent}

    def every(self) -> list[Any]:
        return self._elements

    def all(self, *tags: str, **attributes: str) -> list[Any]:
        """Return the elements of these tags (all without any) with these attributes (`_` stands for `-`)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [e for e in self._elements if (not tags or e.tag in tags) and wanted.items() <= e.attrib.items()]

    def above(self, element: Any) -> Iterator[Any]:
        while (element := self._parents.get(id(element))) is not None:
            yield element

    @cached_property
    def ids(self) -> list[str]:
        return [e.get("id") for e in self._elements if e.get("id")]

    def words(self, element: Any) -> str:
        """Return the text inside an element, its white space folded."""
        return " ".join("".join(element.itertext()).split())

    def at(self, name: str) -> str:
        """Return the text of the element with that id."""
        return self.words(next(e for e in self._elements if e.get("id") == name))

    @cached_property
    def text(self) -> str:
        """All the text that somebody can read."""
        pieces: list[str] = []

        def collect(element: Any) -> None:
            if element.tag not in _SKIPPED and isinstance(element.tag, str):
                pieces.append(element.text or "")
                for child in element:
                    collect(child)
                    pieces.append(child.tail or "")

        collect(self._parsed[0])
        return " ".join("".join(pieces).split())

    @cached_property
    def main(self) -> str:
        """The text of the page's own part, without the bar on top."""
        return self.words(self.all("main")[0])

    @property
    def title(self) -> str:
        return " ".join("".join(self.all("title")[0].itertext()).split())

    @property
    def h1(self) -> str:
        return self.words(self.all("h1")[0])

    @property
    def errors(self) -> list[str]:
        """The reasons in the red box above a refused form."""
        return [self.words(li) for box in self.all(id="errors") for li in box.iter("li")]

    @cached_property
    def forms(self) -> list[Form]:
        return [Form(self, e) for e in self.all("form")]

    def form_of(self, element: Any) -> Form | None:
        inside = [e for e in (element, *self.above(element)) if e.tag == "form"]
        return next((form for form in self.forms if inside and form.element is inside[0]), None)

    def find(self, where: str, button: str = "") -> tuple[Form, Any | None]:
        """Return the form with that action (or `#id`), and the button that sends it there."""
        for form in self.forms:
            for e in form.submitters():
                if where == (e.get("formaction") or form.action) and button in self.words(e):
                    return form, e
        for form in self.forms:
            if where in {form.action, f"#{form.element.get('id')}"} and not button:
                return form, next(iter(form.submitters()), None)
        there = [(f.action, [e.get("formaction") for e in f.submitters() if e.get("formaction")]) for f in self.forms]
        raise AssertionError(f"{self.path} ({self.status}) has no form for {where!r}; it has {there}")

    def links(self) -> list[str]:
        """Return the addresses of the page's links to pages of ours."""
        whole = [urljoin(ORIGIN + self.path, e.get("href")) for e in self.all("a") if e.get("href")]
        ours = [urlsplit(a) for a in whole if a.startswith(ORIGIN + "/")]
        return [parts.path + (f"?{parts.query}" if parts.query else "") for parts in ours]

    def addresses(self) -> Iterator[tuple[str, str]]:
        """Yield (method, address as written) of all that the page leads to."""
        for e in self._elements:
            for name in ("href", "src"):
                if e.get(name) is not None and not e.tag.endswith("use"):
                    yield "GET", e.get(name)
        for form in self.forms:
            yield form.method.upper(), form.action
            for e in form.submitters():
                if e.get("formaction"):
                    yield e.get("formmethod", form.method).upper(), e.get("formaction")


class Browser:
    """One person's browser: it has its cookies, and remembers the page that it shows."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.client = app.test_client()
        self.page: Page | None = None
        self._routes = app.url_map.bind("localhost")

    def get(self, path: str, *, status: int | None = 200, follow: bool = True, check: bool = True, **more: Any) -> Page:
        """Open an address as if it was typed; `status` is what is expected in the end, None for anything."""
        page = self._ask("GET", path, follow=follow, check=check, **more)
        assert status in {None, page.status}, f"GET {path} answers {page.status}, not {status}:\n{_brief(page)}"
        return page

    def submit(
        self, where: str, *, status: int | None = 200, button: str = "", follow: bool = True, **given: Any
    ) -> Page:
        """Fill the form on the page with `given` and send it, as a person would; `where` is its address or `#id`."""
        assert self.page is not None, "open a page first"
        form, submitter = self.page.find(where, button)
        entries = form.entries(submitter, given)
        address = (submitter is not None and submitter.get("formaction")) or form.action
        if form.method == "get":
            query = urlencode([(n, str(v)) for n, v in entries])
            return self.get(f"{address.partition('?')[0]}?{query}", status=status, follow=follow)
        page = self.post(address, entries, multipart=form.enctype == "multipart/form-data", token="", follow=follow)
        assert status in {None, page.status}, f"POST {address} answers {page.status}, not {status}:\n{_brief(page)}"
        return page

    def post(
        self,
        path: str,
        data: dict[str, Any] | list[tuple[str, Any]] | None = None,
        *,
        multipart: bool = False,
        token: str | None = None,
        follow: bool = False,
        check: bool = True,
        headers: dict[str, str] | None = None,
    ) -> Page:
        """Post what no form need offer; the CSRF token is this browser's, unless one is given ("" for none)."""
        pairs = list(data.items()) if isinstance(data, dict) else list(data or ())
        pairs = [(n, v) for n, w in pairs for v in (w if isinstance(w, list) else [w])]
        if token is None or token:
            pairs.insert(0, ("csrf_token", token or self.token()))
        if multipart or any(isinstance(value, File) for _, value in pairs):
            body, kind = _multipart(pairs)
        else:
            body = urlencode([(n, str(v)) for n, v in pairs], errors="surrogatepass").encode()
            kind = "application/x-www-form-urlencoded"
        sent = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Content-Type": kind, **(headers or {})}
        return self._ask("POST", path, follow=follow, check=check, headers=sent, data=body)

    def token(self) -> str:
        """Return a CSRF token that this browser may use."""
        if self.page is not None and self.page.is_html and (found := re.search(_TOKEN, self.page.html)):
            return found[1]
        for path in ("/shortcuts", "/sign-in"):
            answer = self.client.get(path, base_url=ORIGIN)
            if found := re.search(_TOKEN, answer.get_data(as_text=True)):
                return found[1]
        raise AssertionError("no page has a token")

    def _ask(self, method: str, path: str, *, follow: bool, check: bool, **more: Any) -> Page:
        hops: list[int] = []
        while True:
            STATEMENTS.list = statements = []
            answer: TestResponse = self.client.open(path, method=method, base_url=ORIGIN, **more)
            page = Page(answer.status_code, _here(path), answer.headers, answer.get_data(), hops)
            answer.close()
            if check:
                self._check(page, method, statements)
            if not (follow and page.status in {301, 302, 303, 307, 308}):
                break
            hops.append(page.status)
            assert len(hops) < 6, f"{path} leads round in circles"
            path, method, more = page.headers["Location"], "GET", {}
        if page.is_html:
            self.page = page
        return page

    def _check(self, page: Page, method: str, statements: list[str]) -> None:
        faults = statement_faults(method, statements)
        location = page.headers.get("Location")
        if location is not None and not re.match(r"/(?![/\\])", location):
            faults.append(f"leads away: {location!r}")
        if page.is_html and not (300 <= page.status < 400):
            faults += headers_faults(page)
            known = (page.path, _TOKENS.sub("", page.html))
            if known not in _GOOD and databases.server() is None:  # its HTML is the same on all databases
                faults += faults_of(page, self._routes)
            if not faults:
                _GOOD.add(known)
        assert page.status != 500, f"{method} {page.path} fails: 500"
        assert not faults, f"{method} {page.path} ({page.status}):\n" + "\n".join(f"- {fault}" for fault in faults)


_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def _here(path: str) -> str:
    parts = urlsplit(path)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _brief(page: Page) -> str:
    return page.main[:1500] if page.is_html and page.all("main") else repr(page.body[:300])


def _multipart(pairs: list[tuple[str, Any]]) -> tuple[bytes, str]:
    pieces = []
    for name, value in pairs:
        head = f'--frontier\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, File):
            quoted = value.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
            head += f'; filename="{quoted}"\r\nContent-Type: {value.type}'
        body = value.content if isinstance(value, File) else str(value).encode("utf-8", "surrogatepass")
        pieces += [head.encode("utf-8", "surrogatepass"), b"\r\n\r\n", body, b"\r\n"]
    return b"".join(pieces) + b"--frontier--\r\n", "multipart/form-data; boundary=frontier"
