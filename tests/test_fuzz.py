"""Nonsense to every route, by everybody: never a fault of ours, never a word of another organization."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from calls import Call, calls, snapshot
from conftest import SignIn
from factories import LUMEN, NOBODY, NORTHWIND, Town
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from page import ORIGIN, Browser, File, Page

from models.prose import cleaned

PEOPLE = ["", NOBODY, "owner@lumen.example", "agent@support.example", "sales@support.example", "admin@support.example"]
MARK = "zebramarker"
FIELDS = (
    "summary", "description", "organization", "cluster", "environment", "severity", "components", "version",
    "confidential", "key", "body", "seen", "mode", "then", "state", "assignee", "reason", "person", "file", "email",
    "password", "name", "time_zone", "theme", "page_size", "shortcuts", "next", "current_password", "new_password",
    "need", "company", "phone", "contact_time", "website", "owner", "stage", "step", "on", "start", "end", "manager",
    "note", "was", "role", "calendar", "kind", "from", "until", "label", "title",
    "ticket", "tag", "back", "do",
    "macro", "take", "message", "messages", "into", "carry", "other", "was", "then", "whose",
    "starts_at", "ends_at", "plans", "tone", "zone", "date", "holiday", "d01a", "d01b",
)  # fmt: skip
QUERY = (
    "q",
    "status",
    "sort",
    "by",
    "door",
    "severity",
    "organization",
    "page",
    "queue",
    "when",
    "before",
    "next",
    "cluster",
    "stage",
    "kind",
    "person",
    "from",
    "until",
    "key",
    "into",
    "back",
    "since",
    "tag",
    "assignee",
)
# As they stand in the body of a form: among them UTF-8 that is none, and half a surrogate pair.
RAW = ("%ff%fe", "%00", "a%00b", "%ed%a0%80", "%c0%af", "%", "%zz", "%f0%9f%91%a9%e2%80%8d", "a%0d%0aX-Evil:+1")
PLAIN = (
    "", " ", "0", "-1", "1", "99999999999999999999", "1e308", "NaN", "٣", "S1", "S2", "s2", "resolved", "closed",
    "reply", "note", "on", "UTC", "../../etc/passwd", "<script>alert(1)</script>", "{{7*7}}", "' OR 1=1 --",
    "\u202egnp", "x" * 300, "漢" * 70_000, LUMEN, NORTHWIND, "TECH-1", "TECH-2",
    "owner@lumen.example", "//evil.example", "//[", "Production", "qualified", "spam", "2026-11-25",
    "9999-12-31", "0001-01-01",
)  # fmt: skip
NAMES = ("", "a.txt", "../../x", "a\x00b", "\u202e.exe", "x" * 300, '"; filename="y', ".", "漢字.png", "a\r\nb")

values = st.one_of(
    st.sampled_from(PLAIN).map(quote),
    st.text(max_size=40).map(lambda text: quote(text, errors="surrogatepass")),
    st.sampled_from(RAW),
)
names = st.one_of(st.sampled_from(FIELDS), st.sampled_from(["__proto__[x]", "a" * 300, "%ff", "csrf_token", ""]))
forms = st.lists(st.tuples(names, values), max_size=12)
queries = st.lists(st.tuples(st.sampled_from([*QUERY, "x", "%ff"]), values.filter(lambda v: len(v) < 4000)), max_size=5)
files = st.lists(
    st.builds(File, st.sampled_from(NAMES), st.binary(max_size=40), st.sampled_from(["", "text/html", "a b"]))
)
bounded = settings(
    max_examples=60, derandomize=True, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


class Stage:
    """A browser of somebody, every route as it is called, and the way back to the beginning."""

    def __init__(self, email: str, app: Flask, town: Town, sign_in: SignIn, folder: Path) -> None:
        self.email = email
        key = town.file(files=(("a.txt", b"a"),))
        town.file("owner@northwind.example", NORTHWIND, summary=MARK, body=MARK, files=((f"{MARK}.txt", b"x"),))
        lead = town.enquire()
        town.enquire("owner@northwind.example", NORTHWIND, need=MARK)
        self.browser = sign_in(email) if email else Browser(app)
        self.browser.get("/shortcuts" if email else "/sign-in")
        self.calls = list(calls(app, key, town.file_of(key, "a.txt"), lead))
        self.replay = snapshot(town, self.browser, folder)

    def some(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    def check(self, call: Call, page: Page) -> None:
        assert page.status < 500, f"{call.method} {call.path} answers {page.status}"
        assert b"Traceback" not in page.body
        assert "X-Evil" not in page.headers
        assert page.headers.get("Location", "/").startswith("/")
        assert not page.headers.get("Location", "/").startswith(("//", "/\\"))
        if not self.email.startswith(("agent", "sales")):
            assert MARK.encode() not in page.body, "a word of another organization"


@pytest.fixture
def stage(request: pytest.FixtureRequest, app: Flask, town: Town, sign_in: SignIn, tmp_path: Path) -> Stage:
    return Stage(request.param, app, town, sign_in, tmp_path)


everybody = pytest.mark.parametrize("stage", PEOPLE, indirect=True, ids=lambda email: email or "anonymous")


@everybody
@bounded
@given(data=st.data())
def test_nonsense_in_forms(stage: Stage, data: st.DataObject) -> None:
    stage.replay()
    call = data.draw(st.sampled_from(stage.some("POST")))
    fields = data.draw(forms)
    body = "&".join([f"csrf_token={quote(stage.browser.token())}", *(f"{name}={value}" for name, value in fields)])
    kind = data.draw(
        st.sampled_from(["application/x-www-form-urlencoded"] * 9 + ["text/plain", "application/json", "x"])
    )
    page = sent(stage.browser, call, body.encode(), kind)
    stage.check(call, page)
    if page.status == 422 and call.endpoint in {"filing.create", "tickets.reply", "composing.send"}:
        for name, value in dict(fields).items():
            if name in {"summary", "description", "body"} and "%" not in value and value.strip():
                typed = next(v for n, v in fields if n == name)
                assert cleaned(typed).strip() in html.unescape(page.html), f"{name} is lost"


def sent(browser: Browser, call: Call, body: bytes, kind: str) -> Page:
    answer = browser.client.post(call.path, base_url=ORIGIN, data=body, content_type=kind)
    return Page(answer.status_code, call.path, answer.headers, answer.get_data())


@everybody
@settings(bounded, max_examples=30)
@given(data=st.data())
def test_nonsense_in_files(stage: Stage, data: st.DataObject) -> None:
    stage.replay()
    call = data.draw(st.sampled_from([c for c in stage.some("POST") if set(c.arguments) & {"key", "door"}]))
    given_fields: list[tuple[str, Any]] = [
        (name, value[:200]) for name, value in data.draw(forms) if name.isidentifier()
    ]
    given_fields += [(data.draw(st.sampled_from(["files", "file", "body"])), file) for file in data.draw(files)]
    stage.check(call, stage.browser.post(call.path, given_fields, multipart=True, check=False))


@everybody
@bounded
@given(data=st.data())
def test_nonsense_in_addresses(stage: Stage, data: st.DataObject) -> None:
    call = data.draw(st.sampled_from(stage.some("GET")))
    query = "&".join(f"{name}={value}" for name, value in data.draw(queries))
    path = call.path
    if call.arguments and data.draw(st.booleans()):
        odd = data.draw(values.filter(lambda v: len(v) < 300))
        argument = data.draw(st.sampled_from(sorted(call.arguments.values())))
        path = path.replace(argument, odd) or "/"
    answer = stage.browser.get(f"{path}?{query}", status=None, follow=False, check=False)
    stage.check(call, answer)


def test_a_multitude_of_fields_is_refused(town: Town, sign_in: SignIn) -> None:
    browser = sign_in("owner@lumen.example")
    browser.get("/shortcuts")
    many = [(f"f{number}", "x") for number in range(20_000)]
    assert browser.post("/help/billing/new", many, multipart=True, check=False).status == 413
    assert browser.post("/help/billing/new", many, check=False).status in {413, 422}
    assert browser.post("/help/billing/new", [("summary", "x" * 3_000_000)], check=False).status == 413
