"""Attachments in trouble: full disks, stores and scanners that are away, full rooms, sweeps that meet people."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from conftest import SignIn
from factories import LUMEN, Town, now
from flask import Flask
from page import ORIGIN, Browser, File
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from stores import BUCKET, EICAR, KEYS, ClamdServer, S3Server

import extensions
import worker
from blueprints import bodies
from extensions import db, outside
from gateways.clamd import Clamd
from gateways.files_local import LocalFiles
from models.attachments import MEGABYTE, Attachment, DoomedFile, FileLimits
from models.drafts import Draft, HeldText
from models.orphans import drop_doomed, drop_unused
from models.outside import FileStore, TooLargeToScan
from models.tickets import Ticket

WORDS = {"summary": "With files", "description": "See the files.", "severity": "S3"}
NEW = "/help/billing/new"


@pytest.fixture
def lumen(town: Town, sign_in: SignIn) -> Browser:
    return sign_in("owner@lumen.example")


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def clamd(monkeypatch: pytest.MonkeyPatch) -> Iterator[ClamdServer]:
    server = ClamdServer()
    monkeypatch.setattr(outside(), "scanner", Clamd(server.address, 1))
    yield server
    server.stop()


def stored() -> set[str]:
    return set(outside().files.older(datetime.now(UTC) + timedelta(hours=1)))


def kept_text(page: Any) -> bool:
    """Tell whether a fault's page gives back what was typed."""
    return 'value="With files"' in page.html and "See the files." in page.html


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


# Stores in trouble


class Full(LocalFiles):
    """A folder on a disk that is full."""

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        def some() -> Iterator[bytes]:
            yield next(iter(chunks))
            raise OSError(errno.ENOSPC, "No space left on device")

        return super().put(some())


def test_a_full_disk_is_said_with_the_text_and_leaves_no_file(
    lumen: Browser, town: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(outside(), "files", Full(tmp_path / "full"))
    lumen.get(NEW)
    page = lumen.submit(NEW, **WORDS, files=File("a.txt", b"one"), status=503)
    assert kept_text(page)
    assert page.headers["Retry-After"] == "10"
    assert town.count(Attachment) == town.count(Ticket) == 0
    assert [path for path in (tmp_path / "full").rglob("*") if path.is_file()] == []
    monkeypatch.undo()
    assert lumen.submit(NEW, status=200).path.startswith("/requests/")


def test_a_disk_that_is_full_while_the_form_arrives_loses_no_text(lumen: Browser, town: Town) -> None:
    """The text may come after the files: the form is read to its end."""
    form, button = lumen.get(NEW).find(NEW)
    entries = form.entries(button, {**WORDS, "files": File("a.txt", b"x" * 20 * MEGABYTE)})
    entries.sort(key=lambda entry: not isinstance(entry[1], File))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * MEGABYTE, before[1]))
    try:
        page = lumen.post(NEW, entries, token="")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert page.status == 503
    assert kept_text(page)
    assert town.count(Attachment) == town.count(Ticket) == 0


def test_no_name_of_a_form_on_its_way_is_ever_in_the_data_folder(lumen: Browser, town: Town) -> None:
    form, button = lumen.get(NEW).find(NEW)
    entries = form.entries(button, {**WORDS, "files": [File(f"{n}.bin", b"%d" % n * MEGABYTE) for n in range(3)]})
    before = {path for path in outside().settings.data.iterdir() if path.is_file()}
    assert lumen.post(NEW, entries, token="").status == 303
    assert {path for path in outside().settings.data.iterdir() if path.is_file()} <= before | {
        outside().settings.data / name for name in ("help-center.sqlite-wal", "help-center.sqlite-shm")
    }
    assert town.count(Attachment) == 3


@pytest.fixture
def in_bucket(app: Flask, app_with: Callable[..., Flask], bucket: S3Server) -> FileStore:
    """The store of a portal whose settings say that its attachments are in a bucket."""
    ours = extensions._outside[:]
    bucket.empty()
    app_with(FILES="s3", S3_BUCKET=BUCKET, S3_ENDPOINT=bucket.address, S3_TIMEOUT="1", **KEYS)
    theirs = outside().files
    extensions._outside[:] = ours
    return theirs


def test_files_go_through_a_bucket_and_its_loss_is_said(
    lumen: Browser, town: Town, in_bucket: FileStore, bucket: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside(), "files", in_bucket)
    lumen.get(NEW)
    content = bytes(range(256)) * 4 * 1024 * 11
    page = lumen.submit(NEW, **WORDS, files=File("big.bin", content))
    (link,) = [link for link in page.links() if link.startswith("/attachments/")]
    assert lumen.get(link, check=False).body == content
    assert "<Key>" in bucket.names()
    assert lumen.get("/readyz").body == b"ready\n"
    bucket.freeze()
    try:
        assert lumen.get(link, status=503).headers["Retry-After"] == "10"
        assert lumen.get("/readyz", status=503).body == b"not ready: attachments\n"
        assert lumen.get("/healthz").body == b"alive\n"
        lumen.get(NEW)
        page = lumen.submit(NEW, **WORDS, files=File("a.txt", b"one"), status=503)
        assert kept_text(page)
    finally:
        bucket.thaw()
    assert town.count(Ticket) == town.count(Attachment) == 1
    assert lumen.get("/readyz").body == b"ready\n"


# Orphans


@pytest.fixture(params=["local", "s3"])
def sweeping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, town: Town, tmp_path: Path) -> FileStore:
    files = LocalFiles(tmp_path / "files") if request.param == "local" else request.getfixturevalue("in_bucket")
    monkeypatch.setattr(outside(), "files", files)
    # What is stored now is old enough to be swept.
    monkeypatch.setattr(worker, "KEPT_FOR", timedelta(hours=-1))
    assert isinstance(files, LocalFiles) == (request.param == "local")
    return files


def sweep(app: Flask) -> None:
    with app.app_context():
        worker.sweep_files()


def test_what_nobody_names_is_swept_and_the_rest_stays(app: Flask, town: Town, sweeping: FileStore) -> None:
    key = town.file(files=(("mine.txt", b"of a message"),))
    with town.open() as session:
        person = session.scalars(select(Ticket)).unique().one().opener_id
        session.add(Draft(person_id=person, place="billing", fields={}, key="k" * 20, updated_at=now()))
    for content in (b"orphan one", b"orphan two", b"of a draft"):
        sweeping.put([content])
    with town.open() as session:
        draft = session.scalars(select(Draft).where(Draft.key == "k" * 20)).one()
        name, length = sweeping.put([b"of a draft"])
        session.add(
            Attachment(
                uploader_id=draft.person_id, draft_id=draft.id, name="d", stored=name, length=length, created_at=now()
            )
        )
    sweep(app)
    left = {b"".join(sweeping.get(name)) for name in stored()}
    assert left == {b"of a message", b"of a draft"}
    assert town.count(DoomedFile) == 0
    assert key


def test_nothing_is_swept_before_a_day_has_passed_whatever_a_demos_clock_says(
    app: Flask, town: Town, sweeping: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "KEPT_FOR", timedelta(days=1))
    monkeypatch.setattr(type(extensions.clock), "ahead", timedelta(days=40))
    name, _ = sweeping.put([b"on its way"])
    sweep(app)
    assert sweeping.has(name)


def test_a_file_that_is_swept_while_it_is_attached_is_stored_once_more(
    app: Flask, town: Town, sweeping: FileStore, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep comes when the bytes are stored and their row is not written yet: the worst moment."""
    browser = sign_in("owner@lumen.example")
    browser.get(NEW)
    real, swept = type(sweeping).put, []

    def put_then_swept(self: FileStore, chunks: Iterable[bytes]) -> tuple[str, int]:
        answer = real(self, chunks)  # type: ignore[arg-type]
        if not swept:
            swept.append(drop_unused(lambda: Session(town.engine), [answer[0]], sweeping, now=now()))
        return answer

    monkeypatch.setattr(type(sweeping), "put", put_then_swept)
    page = browser.submit(NEW, **WORDS, files=File("a.txt", b"contested"))
    assert swept == [1]
    (link,) = [link for link in page.links() if link.startswith("/attachments/")]
    assert browser.get(link, check=False).body == b"contested"


def test_a_file_whose_bytes_are_being_deleted_is_not_attached(
    app: Flask, town: Town, sweeping: FileStore, sign_in: SignIn
) -> None:
    browser = sign_in("owner@lumen.example")
    browser.get(NEW)
    name, _ = sweeping.put([b"contested"])
    with town.open() as session:
        session.add(DoomedFile(name=name, at=now()))
    page = browser.submit(NEW, **WORDS, files=File("a.txt", b"contested"), status=422)
    assert page.errors == ["a.txt could not be kept just now. Attach it again in a few minutes."]
    assert town.count(Attachment) == 0


def test_a_sweep_that_died_is_ended_by_the_next_one(town: Town, sweeping: FileStore) -> None:
    name, _ = sweeping.put([b"half swept"])
    other, _ = sweeping.put([b"being swept"])
    with town.open() as session:
        session.add(DoomedFile(name=name, at=now() - timedelta(minutes=16)))
        session.add(DoomedFile(name=other, at=now() - timedelta(minutes=14)))
    assert drop_doomed(lambda: Session(town.engine), sweeping, now=now()) == 1
    assert not sweeping.has(name)
    assert sweeping.has(other)
    assert town.scalars(select(DoomedFile.name)) == [other]


def test_bytes_that_cannot_be_stored_again_take_their_row_with_them(
    app: Flask, town: Town, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Lossy(LocalFiles):
        puts = 0

        def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
            self.puts += 1
            if self.puts > 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            name, size = super().put(chunks)
            self.drop(name)
            return name, size

    monkeypatch.setattr(outside(), "files", Lossy(tmp_path / "lossy"))
    browser = sign_in("owner@lumen.example")
    browser.get(NEW)
    page = browser.submit(NEW, **WORDS, files=File("a.txt", b"one"), status=503)
    assert kept_text(page)
    assert town.count(Attachment) == town.count(Ticket) == 0


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


def test_the_sum_of_an_organization_reads_one_index(town: Town, app: Flask) -> None:
    query = select(func.sum(Attachment.length)).where(Attachment.organization_id == 1)
    with app.app_context():
        text = str(query.compile(db.engine, compile_kwargs={"literal_binds": True}))
        plan = " ".join(str(row) for row in db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
        db.session.rollback()
    assert "USING COVERING INDEX ix_attachments_organization_id_length" in plan
