"""What is asked of files before they are kept: who sends them, are they clean, and is there room for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import databases
import pytest
from conftest import SignIn
from factories import LUMEN, Town, now
from flask import Flask
from page import ORIGIN, Browser, File
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from stores import EICAR, ClamdServer

from blueprints import bodies
from extensions import db, outside
from gateways.clamd import Clamd
from models.attachments import MEGABYTE, Attachment, FileLimits, Stored, attach
from models.base import Refused
from models.drafts import HeldText, keep_draft
from models.outside import TooLargeToScan
from models.tickets import Ticket

WORDS = {"summary": "With files", "description": "See the files.", "severity": "S3"}
NEW = "/help/billing/new"


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in("owner@lumen.example")


@pytest.fixture
def clamd(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClamdServer]:
    server = ClamdServer()
    monkeypatch.setattr(outside(), "scanner", Clamd(server.address, 1))
    yield server
    server.stop()


def stored() -> set[str]:
    return set(outside().files.older(datetime.now(UTC) + timedelta(hours=1)))


# The scanner


def test_a_file_with_a_virus_is_named_and_refused_and_all_else_is_kept(
    lumen: Browser, town: Town, clamd: ClamdServer
) -> None:
    lumen.get(NEW)
    before = stored()
    bad, good = File("invoice.exe", b"MZ" + EICAR), File("log.txt", b"all is well " * 20_000)
    page = lumen.submit(NEW, **WORDS, files=[bad, good], status=422)
    assert page.errors == [
        "Remove invoice.exe: the virus scanner found Eicar-Test-Signature in it. It was not kept.",
    ]
    assert page.find(NEW)[0].value_of("summary") == "With files"
    assert "log.txt" in page.at("files-field")
    assert town.scalars(select(Attachment.name)) == ["log.txt"]
    assert len(stored() - before) == 1, "the bytes of the refused one are nowhere"
    assert sorted(clamd.scanned) == [2 + len(EICAR), 240_000]
    page = lumen.submit(NEW, **WORDS)
    assert town.scalars(select(Attachment.name).where(Attachment.ticket_id.is_not(None))) == ["log.txt"]


@pytest.mark.parametrize("mood", ["dead", "mute", "confused", "gone"])
def test_what_cannot_be_checked_is_not_taken(lumen: Browser, town: Town, clamd: ClamdServer, mood: str) -> None:
    clamd.mood = mood
    if mood == "gone":
        clamd.stop()
    lumen.get(NEW)
    page = lumen.submit(NEW, **WORDS, files=[File("a.txt", b"one"), File("b.txt", b"two")], status=422)
    words = "could not be checked for viruses just now. Attach it again in a few minutes."
    assert page.errors == [f"a.txt {words}", f"b.txt {words}"]
    assert page.find(NEW)[0].value_of("description") == "See the files."
    assert town.count(Attachment) == town.count(Ticket) == 0


def test_a_file_that_is_too_large_for_the_scanner_is_named(
    lumen: Browser, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ClamdServer(most=100_000)
    monkeypatch.setattr(outside(), "scanner", Clamd(server.address, 5))
    lumen.get(NEW)
    page = lumen.submit(NEW, **WORDS, files=File("core.dump", b"x" * 3 * MEGABYTE), status=422)
    assert page.errors == ["Remove or replace core.dump: at 3 MB it is too large to be checked for viruses."]
    assert town.count(Attachment) == 0
    server.stop()


def test_the_scanner_is_asked_over_a_socket_file_too_and_piece_by_piece(tmp_path: Path) -> None:
    server = ClamdServer(tmp_path / "clamd.sock", most=10 * MEGABYTE)
    scanner = Clamd(server.address, 5)
    # The mark lies across the border of two pieces.
    assert scanner.scan([b"x" * 70_000 + EICAR[:30], EICAR[30:] + b"x"]) == "Eicar-Test-Signature"
    assert scanner.scan([]) == ""
    assert scanner.scan([b"", b"clean"]) == ""
    with pytest.raises(TooLargeToScan):
        scanner.scan(b"x" * MEGABYTE for _ in range(12))
    server.stop()
    with pytest.raises(OSError, match="refused"):
        scanner.scan([b"x"])


# Room


def test_the_files_of_an_organization_have_a_limit_which_others_do_not_share(
    lumen: Browser, town: Town, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside(), "limits", FileLimits(10, 3, 100, 15))
    lumen.get(NEW)
    lumen.submit(NEW, **WORDS, organization=LUMEN, files=File("a.txt", b"x" * 10))
    lumen.get(NEW)
    page = lumen.submit(NEW, **WORDS, organization=LUMEN, files=File("b.txt", b"y" * 10), status=422)
    (error,) = page.errors
    assert error == (
        "Remove b.txt: all files of Lumen Retail can be up to 15 bytes together, and it does not fit any more. Send "
        "the rest without it, and say that you need more room."
    )
    assert page.find(NEW)[0].value_of("summary") == "With files"
    assert town.count(Ticket) == 1
    lumen.submit(NEW, **WORDS, organization=LUMEN)
    assert town.count(Ticket) == 2
    northwind = sign_in("owner@northwind.example")
    northwind.get(NEW)
    northwind.submit(NEW, **WORDS, files=File("b.txt", b"y" * 10))
    assert town.count(Ticket) == 3


def test_files_count_for_the_organization_that_the_request_is_for_in_the_end(
    lumen: Browser, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside(), "limits", FileLimits(10, 3, 100, 15))
    lumen.get(NEW)
    lumen.submit("/help/billing/files", **WORDS, organization="", files=File("a.txt", b"x" * 10))
    assert town.scalars(select(Attachment.organization_id)) == [None]
    key = town.file(files=(("first.txt", b"z" * 10),))
    page = lumen.submit(NEW, **WORDS, organization=LUMEN, status=422)
    assert "Remove a.txt: all files of Lumen Retail can be up to 15 bytes together" in page.errors[0]
    lumen.submit("/help/billing/files/remove")
    lumen.submit(NEW, **WORDS, organization=LUMEN)
    house = town.scalars(select(Ticket.organization_id).where(Ticket.key == key))[0]
    assert town.scalars(select(Attachment.organization_id)) == [house]


def test_a_reply_counts_in_the_room_of_the_request(lumen: Browser, town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    key = town.file()
    monkeypatch.setattr(outside(), "limits", FileLimits(10, 3, 100, 15))
    for name, status in (("a.txt", 200), ("b.txt", 422)):
        lumen.get(f"/requests/{key}")
        page = lumen.submit(f"/requests/{key}/comments", body="See", files=File(name, name.encode() * 2), status=status)
    assert page.errors[0].startswith("Remove b.txt: all files of Lumen Retail can be up to 15 bytes together")
    assert page.find(f"/requests/{key}/comments")[0].value_of("body") == "See"


def test_two_who_attach_at_once_do_not_share_the_last_room(town: Town) -> None:
    town.file()
    limits, outcomes, ready = FileLimits(10, 3, 100, 15), [], threading.Barrier(4)

    def run(number: int) -> None:
        with Session(town.engine) as session:
            ready.wait()
            ticket = session.scalars(select(Ticket)).unique().one()
            draft = keep_draft(ticket.opener, f"place:{number}", {}, now=now())
            file = Stored(f"{number}.txt", f"{number}" * 64, 10, "")
            try:
                attach(draft, file, limits, now=now(), owner=ticket.organization)
                session.commit()
                outcomes.append("kept")
            except Refused:
                outcomes.append("refused")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", "refused", "refused", "refused"]
    assert town.count(Attachment) == 1


# Who may send a body at all


class Watched(BytesIO):
    """A body that notes how much of it is read."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.taken += len(piece)
        return piece

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.taken += count
        return count


BODY = (
    b'--frontier\r\nContent-Disposition: form-data; name="files"; filename="a.bin"\r\n\r\n'
    + b"x" * MEGABYTE
    + b"\r\n--frontier--\r\n"
)


def send(browser: Browser, path: str) -> tuple[int, int]:
    """Post a body with a file; return the status, and how many bytes were read."""
    body = Watched(BODY)
    answer = browser.client.post(
        path,
        base_url=ORIGIN,
        input_stream=body,
        content_length=len(BODY),
        content_type="multipart/form-data; boundary=frontier",
        headers={"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"},
    )
    return answer.status_code, body.taken


def test_no_byte_of_a_file_is_read_of_who_may_not_send_it(
    town: Town, client: Browser, sign_in: SignIn, lumen: Browser
) -> None:
    key = town.file()
    paths = ["comments", "follow-up", "files", "draft", "preview"]
    for part in paths:
        assert send(client, f"/requests/{key}/{part}") == (303, 0)
        for stranger in ("owner@northwind.example", "nobody@nowhere.example"):
            assert send(sign_in(stranger), f"/requests/{key}/{part}") == (404, 0), part
        assert send(sign_in("sales@support.example"), f"/requests/{key}/{part}")[1] == 0
    for part in ("messages", "files"):
        assert send(client, f"/desk/{key}/{part}") == (303, 0)
        assert send(lumen, f"/desk/{key}/{part}") == (403, 0)
        assert send(sign_in("agent@support.example"), "/desk/TECH-99999/" + part) == (404, 0)
    assert send(client, "/help/billing/files") == (303, 0)
    # Who may is asked for the form's token, which stands in the body.
    assert send(lumen, f"/requests/{key}/files") == (400, len(BODY))


def test_of_a_form_whose_sign_in_has_ended_the_text_is_kept_and_no_file(
    lumen: Browser, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    form, button = lumen.get(NEW).find(NEW)
    entries = form.entries(button, {**WORDS, "files": File("a.txt", b"x" * MEGABYTE)})
    with lumen.client.session_transaction(base_url=ORIGIN) as cookie:
        del cookie["_user_id"]
    most: list[int] = []
    real = bodies.Spool.__init__

    def noted(self: bodies.Spool, limit: int, folder: Path) -> None:
        most.append(limit)
        real(self, limit, folder)

    monkeypatch.setattr(bodies.Spool, "__init__", noted)
    page = lumen.post(NEW, entries, token="")
    assert (page.status, page.headers["Location"]) == (303, f"/sign-in?next={NEW}")
    assert most == [0]
    (held,) = town.scalars(select(HeldText))
    assert held.fields["summary"] == ["With files"]


# The figures behind it


@pytest.mark.skipif(databases.server() is not None, reason="a server chooses its plan by how many rows there are")
def test_the_sum_of_an_organization_reads_one_index(town: Town, app: Flask) -> None:
    query = select(func.sum(Attachment.length)).where(Attachment.organization_id == 1)
    with app.app_context():
        text = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
        plan = " ".join(str(row) for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
        db.session.rollback()
    assert "USING COVERING INDEX ix_attachments_organization_id_length" in plan
