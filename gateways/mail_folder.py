"""Keeps letters as files instead of sending them: what development and the demo read their mail from."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from models.outside import TryLater, Undeliverable

# A name is made by us from random hexadecimal digits; nothing that a path could be made of matches.
NAME = re.compile(r"[0-9A-Za-z_-]{8,64}\Z")


@dataclass(frozen=True)
class DemoLetter:
    """A letter as the demo mailbox shows it; `text` is the plain part, `headers` are decoded and in order."""

    name: str
    to: str
    subject: str
    at: datetime
    text: str
    headers: tuple[tuple[str, str], ...]


class FolderMailer:
    """Writes each letter as `<message id>.eml` into a folder, which is made when the first one comes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, letter: EmailMessage) -> None:
        """Write the letter durably; the same Message-ID overwrites. Raises TryLater when the disk does not take it."""
        name = str(letter["Message-ID"]).strip().removeprefix("<").partition("@")[0]
        if not NAME.match(name):
            raise Undeliverable("The letter has no Message-ID of ours.")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            _write(self.path, f"{name}.eml", letter.as_bytes())
        except OSError as trouble:
            raise TryLater(f"The mail folder did not take it: {trouble.strerror}") from None


def read_all(path: Path, limit: int = 100) -> list[DemoLetter]:
    """Return the letters of the folder, newest first, at most `limit`; a folder that is not there has none."""
    if not path.is_dir():
        return []
    files = [file for file in path.glob("*.eml") if NAME.match(file.stem)]
    files.sort(key=lambda file: (file.stat().st_mtime_ns, file.stem), reverse=True)
    return [_read(file) for file in files[:limit]]


def read_one(path: Path, name: str) -> DemoLetter | None:
    """Return the letter of that name, or None when the name is not one of ours or no such letter is there."""
    if not NAME.match(name):
        return None
    try:
        return _read(path / f"{name}.eml")
    except FileNotFoundError:
        return None


def _write(folder: Path, name: str, content: bytes) -> None:
    """Write a whole file or none: a reader never sees half of one, and a power cut leaves the old one or the new."""
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(folder / name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(file: Path) -> DemoLetter:
    """Parse a file that `FolderMailer` wrote."""
    letter = message_from_bytes(file.read_bytes(), policy=default)
    body = letter.get_body(("plain",))
    return DemoLetter(
        name=file.stem,
        to=str(letter["To"]),
        subject=str(letter["Subject"]),
        at=letter["Date"].datetime,
        text="" if body is None else body.get_content().replace("\r\n", "\n"),
        headers=tuple((name, str(value)) for name, value in letter.items()),
    )
