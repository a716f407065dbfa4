"""Attachments in a folder of this machine, under the hash of their content."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{64}")
_PIECE = 64 * 1024


class LocalFiles:
    """A FileStore on a local disk: written beside, synced, then renamed, so that a crash leaves no half file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store the bytes and return (content hash, size in bytes); raises OSError when there is no room."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._folder / f"incoming.{secrets.token_hex(8)}"
        hasher, written = hashlib.sha256(), 0
        try:
            with fresh.open("xb") as target:
                for chunk in chunks:
                    hasher.update(chunk)
                    written += target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            name = hasher.hexdigest()
            path = self._path(name)
            path.parent.mkdir(exist_ok=True, mode=0o700)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        return name, written

    def get(self, name: str) -> Iterator[bytes]:
        """Yield the bytes in pieces; raises FileNotFoundError at once when they are gone."""
        source = self._path(name).open("rb")

        def pieces() -> Iterator[bytes]:
            with source:
                while piece := source.read(_PIECE):
                    yield piece

        return pieces()

    def older(self, than: datetime) -> Iterator[str]:
        """Yield the names of what was last stored before then; storing the same bytes again makes them new."""
        for path in self._folder.glob("??/*"):
            if _NAME.fullmatch(path.name) and path.stat().st_mtime < than.timestamp():
                yield path.name

    def drop(self, name: str) -> None:
        """Forget the bytes."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise FileNotFoundError(name)
        return self._folder / name[:2] / name
