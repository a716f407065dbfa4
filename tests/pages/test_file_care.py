"""Attachments in trouble: full disks, stores that are away, and sweeps that meet people."""

from __future__ import annotations

import errno
import resource
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import SignIn
from factories import Town, now
from flask import Flask
from page import Browser, File
from sqlalchemy import select
from sqlalchemy.orm import Session
from stores import BUCKET, KEYS, S3Server

import extensions
import worker
from extensions import outside
from gateways.files_local import LocalFiles
from models.attachments import MEGABYTE, Attachment, DoomedFile
from models.drafts import Draft
from models.orphans import drop_doomed, drop_unused
from models.outside import FileStore
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


def stored() -> set[str]:
    return set(outside().files.older(datetime.now(UTC) + timedelta(hours=1)))


def kept_text(page: Any) -> bool:
    """Tell whether a fault's page gives back what was typed."""
    return 'value="With files"' in page.html and "See the files." in page.html


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
