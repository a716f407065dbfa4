"""What every HTML page must keep, whichever test asked for it: the house's rules, with a message for each breach."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

if TYPE_CHECKING:
    from page import Page

STATIC = Path(__file__).parent.parent / "static"
ORIGIN = "http://localhost"
# Reading a page may cost so many statements, whatever the number of rows (quality, Cost).
STATEMENTS_MOST = 10
_NOT_COUNTED = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SAVEPOINT", "RELEASE")
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)
_LAST_USE = re.compile(r"UPDATE sign_ins SET last_seen_at=")
_NAMES_IDS = ("for", "aria-describedby", "aria-labelledby", "aria-controls", "popovertarget", "list")


def faults_of(page: Page, routes: Any) -> list[str]:
    """Return what is wrong with the page; `routes` is the app's map of addresses, bound to a host."""
    return [
        *(f"HTML: line {at[0]}: {error} {data or ''}" for at, error, data in page.parse_errors),
        *_heading(page),
        *_ids(page),
        *_labels(page),
        *_forms(page),
        *_htmx(page, routes),
        *_unsafe(page),
        *_addresses(page, routes),
        *_icons(page),
    ]


def headers_faults(page: Page) -> list[str]:
    """Return what is wrong with the headers of a page."""
    headers, found = page.headers, []
    if headers.get("Cache-Control") != "no-store":
        found.append(f"Cache-Control is {headers.get('Cache-Control')!r}, not no-store")
    policy = headers.get("Content-Security-Policy", "")
    for part in ("default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        if part not in policy:
            found.append(f"Content-Security-Policy lacks {part}: {policy!r}")
    if "unsafe" in policy or "*" in policy:
        found.append(f"Content-Security-Policy is loose: {policy!r}")
    if headers.get("X-Content-Type-Options") != "nosniff":
        found.append("X-Content-Type-Options is not nosniff")
    if "charset" not in headers.get("Content-Type", ""):
        found.append("Content-Type has no charset")
    return found


def statement_faults(method: str, statements: list[str]) -> list[str]:
    """Return what is wrong with the SQL of one request: a page view never writes, and asks little."""
    if method != "GET":
        return []
    asked = counted(statements)
    found = [f"GET writes: {s}" for s in asked if _WRITES.match(s)]
    if len(asked) > STATEMENTS_MOST:
        found.append(f"{len(asked)} statements, at most {STATEMENTS_MOST}:\n" + "\n".join(f"  {s}" for s in asked))
    return found


def counted(statements: list[str]) -> list[str]:
    """Return the statements that count: not those around a transaction, nor the note of a sign-in's last use."""
    return [s for s in statements if not s.lstrip().upper().startswith(_NOT_COUNTED) and not _LAST_USE.match(s)]


def _heading(page: Page) -> list[str]:
    headings = page.all("h1")
    if len(headings) != 1:
        return [f"{len(headings)} h1 elements, not one"]
    heading, title = page.words(headings[0]), page.title.removeprefix("Error: ")
    return (
        [] if heading and title.startswith(heading) else [f"the title {page.title!r} does not begin with {heading!r}"]
    )


def _ids(page: Page) -> list[str]:
    twice = [name for name, times in Counter(page.ids).items() if times > 1]
    found = [f"the id {name!r} is there {Counter(page.ids)[name]} times" for name in twice]
    there = set(page.ids)
    for element in page.every():
        for attribute in _NAMES_IDS:
            missing = [name for name in element.get(attribute, "").split() if name not in there]
            found += [f"{attribute}={name!r} on <{element.tag}> names no id" for name in missing]
    return found


def _labels(page: Page) -> list[str]:
    labelled = {e.get("for") for e in page.all("label")}
    found = []
    for element in page.all("input", "select", "textarea"):
        if element.get("type") in {"hidden", "submit", "button"} or element.get("aria-hidden") == "true":
            continue
        named = element.get("aria-label") or element.get("aria-labelledby") or element.get("id") in labelled
        if not named and not any(parent.tag == "label" for parent in page.above(element)):
            found.append(f"<{element.tag} name={element.get('name')!r}> has no label")
    for button in page.all("button"):
        if not page.words(button) and not button.get("aria-label"):
            found.append(f"a button has no words: {dict(button.attrib)}")
    return found


def _forms(page: Page) -> list[str]:
    found = []
    for form in page.forms:
        if form.method not in {"get", "post"}:
            found.append(f"a form has the method {form.method!r}")
        if form.method == "post" and not form.value_of("csrf_token"):
            found.append(f"the form {form.action!r} has no csrf_token")
        if form.method == "get" and form.has("csrf_token"):
            found.append(f"the form {form.action!r} would put its csrf_token into the address")
        if form.has_file and form.enctype != "multipart/form-data":
            found.append(f"the form {form.action!r} has a file field and would send its name alone")
    return found


def _htmx(page: Page, routes: Any) -> list[str]:
    found, there = [], set(page.ids)
    for element in page.every():
        for attribute in ("hx-target", "hx-select", "hx-select-oob", "hx-include"):
            for selector in filter(None, (s.strip() for s in element.get(attribute, "").split(","))):
                # Behind a colon stands how it is swapped.
                name = selector.partition(":")[0] if attribute == "hx-select-oob" else selector
                if not name.startswith("#") or name[1:] not in there:
                    found.append(f"{attribute}={selector!r} on <{element.tag}> is no id of the page")
        # `from:(#id tag)` waits for what stands inside the region of that id.
        for name in re.findall(r"from:\s*\(?(\S+?)(?=[,\s)]|$)", element.get("hx-trigger", "")):
            if not name.startswith("#") or name[1:] not in there:
                found.append(f"hx-trigger waits for {name!r}, which is no id of the page")
        if element.get("hx-target") and element.get("hx-select") != element.get("hx-target"):
            found.append(f"hx-target={element.get('hx-target')!r} and hx-select={element.get('hx-select')!r} differ")
        found += _same_address(page, element, routes)
    return found


def _same_address(page: Page, element: Any, routes: Any) -> list[str]:
    """Check that an element does with htmx what it does without: the same address by the same method."""
    form = page.form_of(element)
    plain = element.get("formaction") or element.get("action") or element.get("href") or (form.action if form else None)
    found = []
    if element.get("hx-trigger", "").startswith("every "):
        # A part that refreshes itself has an address of its own, which answers just that part; the page has it as well.
        here = resolves(routes, "GET", element.get("hx-get", "").partition("?")[0])
        return [] if here else [f"hx-get={element.get('hx-get')!r} leads to no route"]
    for attribute in ("hx-post", "hx-get"):
        if attribute in element.attrib and element.get(attribute) != plain:
            found.append(f"{attribute}={element.get(attribute)!r} on <{element.tag}> is not {plain!r}")
    if "hx-post" in element.attrib and (form is None or form.method != "post"):
        found.append(f"hx-post={element.get('hx-post')!r} stands in no form that posts")
    return found


def _unsafe(page: Page) -> list[str]:
    found = []
    for element in page.every():
        if element.tag == "style" or (element.tag == "script" and not element.get("src")):
            found.append(f"inline <{element.tag}>")
        for attribute in element.attrib:
            if attribute == "style" or re.fullmatch(r"on[a-z]+", attribute) or attribute.startswith("hx-on"):
                found.append(f"{attribute}= on <{element.tag}>")
    return found


def _addresses(page: Page, routes: Any) -> list[str]:
    found = []
    for method, written in page.addresses():
        if written.startswith("#"):
            if written not in {"#", *(f"#{name}" for name in page.ids)}:
                found.append(f"the link {written!r} names no id of the page")
            continue
        whole = urljoin(ORIGIN + page.path, written)
        parts = urlsplit(whole)
        if parts.scheme == "mailto":
            continue
        if f"{parts.scheme}://{parts.netloc}" != ORIGIN:
            if parts.scheme not in {"http", "https"}:
                found.append(f"the address {written!r} has the scheme {parts.scheme!r}")
            continue
        if not resolves(routes, method, parts.path):
            found.append(f"{method} {written!r} leads to no route")
    return found


def resolves(routes: Any, method: str, path: str) -> bool:
    """Tell whether the path has a route for the method."""
    try:
        routes.match(path, method=method)
    except RequestRedirect:
        return True
    except HTTPException:
        return False
    return True


def _icons(page: Page) -> list[str]:
    used = {e.get("href", "") for e in page.every() if e.tag.endswith("use")}
    return [f"there is no icon {href!r}" for href in used if href.partition("#")[2] not in _symbols()]


@lru_cache(maxsize=1)
def _symbols() -> frozenset[str]:
    return frozenset(re.findall(r'<symbol[^>]*\bid="([^"]+)"', (STATIC / "icons.svg").read_text()))
