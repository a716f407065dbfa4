"""Attachments: limits that are named, files that survive a refused form, and how they are served."""

from __future__ import annotations

import re

import pytest
from conftest import SignIn
from factories import Town
from page import Browser, File
from sqlalchemy import select

from extensions import outside
from models.attachments import MEGABYTE, Attachment
from models.tickets import Ticket

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
WORDS = {"summary": "With files", "description": "See the files.", "severity": "S3"}


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in("owner@lumen.example")


def test_files_survive_a_refused_form_and_go_with_the_request(lumen: Browser, town: Town) -> None:
    lumen.get("/help/billing/new")
    page = lumen.submit(
        "/help/billing/new", description="x", files=[File("a.txt", b"one"), File("b.log", b"two")], status=422
    )
    assert "a.txt" in page.at("files-field")
    assert "b.log" in page.at("files-field")
    page = lumen.submit("/help/billing/new", **WORDS)
    links = [link for link in page.links() if link.startswith("/attachments/")]
    assert [lumen.get(link, check=False).body for link in links] == [b"one", b"two"]
    assert town.count(Attachment, Attachment.ticket_id.is_not(None)) == 2


def test_files_are_attached_and_removed_without_javascript_and_no_word_is_lost(lumen: Browser) -> None:
    lumen.get("/help/billing/new")
    page = lumen.submit("/help/billing/files", **WORDS, files=File("a.txt", b"one"))
    assert "a.txt 3 bytes" in page.at("files-field")
    assert page.find("/help/billing/new")[0].value_of("summary") == "With files"
    page = lumen.submit("/help/billing/files/remove", summary="Changed")
    assert "a.txt is removed" in page.at("flash")
    assert page.find("/help/billing/new")[0].value_of("summary") == "Changed"
    assert "a.txt" not in page.at("files-field")


def test_limits_are_said_first_and_an_error_names_the_file_and_keeps_the_rest(lumen: Browser, town: Town) -> None:
    page = lumen.get("/help/billing/new")
    assert outside().limits.words in page.main
    assert outside().limits.words == "Up to 25 MB each, 10 files a message, 100 MB a request."
    big, empty = File("core.dump", b"x" * (25 * MEGABYTE + 1)), File("nothing.txt", b"")
    page = lumen.submit("/help/billing/new", **WORDS, files=[File("a.txt", b"one"), big, empty], status=422)
    assert any("core.dump: it is 26 MB and files can be up to 25 MB" in error for error in page.errors), page.errors
    assert any("nothing.txt: it is empty" in error for error in page.errors), page.errors
    assert "a.txt" in page.at("files-field")
    assert page.find("/help/billing/new")[0].value_of("summary") == "With files"
    many = [File(f"{n}.txt", b"x") for n in range(12)]
    page = lumen.submit("/help/billing/new", files=many, status=422)
    assert any("a message carries at most 10 files" in error for error in page.errors)
    assert town.count(Attachment) == 10
    assert town.count(Ticket) == 0


@pytest.mark.parametrize(
    ("name", "declared", "content", "type_", "way"),
    [
        ("shot.png", "text/html", PNG, "image/png", "inline"),
        ("page.png", "image/png", b"<script>alert(1)</script>", "application/octet-stream", "attachment"),
        ("page.html", "text/html", b"<script>alert(1)</script>", "application/octet-stream", "attachment"),
        ("vector.svg", "image/svg+xml", b"<svg onload=alert(1)>", "application/octet-stream", "attachment"),
        ("a;b", "a/b;charset=x\r\nX-Evil: 1", b"GIF99a", "application/octet-stream", "attachment"),
        ("x.gif", "image/gif", b"GIF89a...", "image/gif", "inline"),
    ],
)
def test_what_a_file_says_of_itself_is_not_believed(
    lumen: Browser, town: Town, name: str, declared: str, content: bytes, type_: str, way: str
) -> None:
    lumen.get("/help/billing/new")
    declared = declared.replace("\r\n", " ")
    page = lumen.submit("/help/billing/new", **WORDS, files=File(name, content, declared))
    (link,) = [link for link in page.links() if link.startswith("/attachments/")]
    answer = lumen.get(link, check=False)
    assert answer.body == content
    assert answer.headers["Content-Type"] == type_
    assert answer.headers["Content-Disposition"].startswith(f"{way}; ")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "X-Evil" not in answer.headers


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\maya\\plan.txt", "C:Usersmayaplan.txt"),
        ("harmless\u202egnp.exe", "harmlessgnp.exe"),
        ("a\x00b\x1f.txt", "ab.txt"),
        ('q"uo;te%22.txt', 'q"uo;te".txt'),
        ("漢字 ü.log", "漢字 ü.log"),
        ("a" * 300 + ".txt", "a" * 187 + ".txt"),
        ("..", ".."),
        ("<b>x</b>", "b>"),
    ],
)
def test_odd_names_are_shown_plainly_and_sent_encoded(lumen: Browser, town: Town, sent: str, kept: str) -> None:
    lumen.get("/help/billing/new")
    page = lumen.submit("/help/billing/new", **WORDS, files=File(sent, b"x"))
    assert town.scalars(select(Attachment.name)) == [kept]
    assert kept in page.main
    (link,) = [link for link in page.links() if link.startswith("/attachments/")]
    header = lumen.get(link, check=False).headers["Content-Disposition"]
    assert header.isascii()
    assert header.isprintable()
    assert re.fullmatch(r"""attachment; filename="[^"\\]*"; filename\*=UTF-8''[A-Za-z0-9%._~-]+""", header)


def test_a_file_of_a_draft_is_its_writers_alone(lumen: Browser, town: Town, sign_in: SignIn) -> None:
    lumen.get("/help/billing/new")
    lumen.submit("/help/billing/files", files=File("a.txt", b"one"))
    (name,) = town.scalars(select(Attachment.public_id))
    assert lumen.get(f"/attachments/{name}", check=False).body == b"one"
    for email in ("member@lumen.example", "agent@support.example", "owner@northwind.example"):
        other = sign_in(email)
        assert other.get(f"/attachments/{name}", status=404)
        assert other.post("/help/billing/files/remove", {"file": name}).status == 303
    assert town.count(Attachment) == 1


def test_a_file_that_the_disk_has_lost_is_a_page_and_no_fault(lumen: Browser, town: Town) -> None:
    key = town.file(files=(("gone.txt", b"only here"),))
    (stored,) = town.scalars(select(Attachment.stored))
    outside().files.drop(stored)
    assert lumen.get(f"/attachments/{town.file_of(key, 'gone.txt')}", status=404)


def test_a_reply_carries_files_and_the_whole_request_has_a_limit(
    lumen: Browser, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models.attachments import FileLimits

    key = town.file()
    monkeypatch.setattr(outside(), "limits", FileLimits(10, 3, 12))
    lumen.get(f"/requests/{key}")
    page = lumen.submit(f"/requests/{key}/comments", body="See", files=File("a.txt", b"x" * 10))
    assert "a.txt10 bytes" in page.at("thread")
    page = lumen.submit(f"/requests/{key}/comments", body="Kept", files=File("b.txt", b"x" * 10), status=422)
    assert page.errors == ["b.txt does not fit: the files of one request can be up to 12 bytes together."]
    assert page.find(f"/requests/{key}/comments")[0].value_of("body") == "Kept"


def test_a_form_that_is_sent_again_has_its_file_once(lumen: Browser, town: Town) -> None:
    form, button = lumen.get("/help/billing/new").find("/help/billing/files")
    entries = form.entries(button, {"files": [File("a.txt", b"one"), File("b.txt", b"one")]})
    for _ in range(2):
        assert lumen.post("/help/billing/files", entries, token="").status == 303
    assert town.scalars(select(Attachment.name).order_by(Attachment.id)) == ["a.txt", "b.txt"]
