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
_UNFINISHED = re.compile(r"incoming\.[0-9a-f]{16}")
_PIECE = 64 * 1024


class LocalFiles:
    """A FileStore on a local disk: written beside, synced, then renamed, so that a crash leaves no half file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store the bytes and return (content hash, size in bytes); raises OSError when there is no room."""
        self._make(self._folder)
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
            self._make(path.parent)
            # Also over equal bytes: they count as new from now on, which keeps them from being swept.
            fresh.replace(path)
            _sync(path.parent)
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

    def has(self, name: str) -> bool:
        """Tell whether the bytes are there."""
        return bool(_NAME.fullmatch(name)) and self._path(name).is_file()

    def older(self, than: datetime) -> Iterator[str]:
        """Yield the names of what was last stored before then; storing the same bytes again makes them new."""
        for pattern, fits in (("incoming.*", _UNFINISHED), ("??/*", _NAME)):
            for path in self._folder.glob(pattern):
                try:
                    old = path.stat().st_mtime < than.timestamp()
                except FileNotFoundError:
                    continue  # dropped, or renamed at its end, since the folder was listed
                if old and fits.fullmatch(path.name):
                    yield path.name

    def drop(self, name: str) -> None:
        """Forget the bytes."""
        path = self._folder / name if _UNFINISHED.fullmatch(name) else self._path(name)
        path.unlink(missing_ok=True)

    def ready(self) -> None:
        """Write a little and take it away again; raises OSError when that is not possible."""
        self._make(self._folder)
        probe = self._folder / f"incoming.{secrets.token_hex(8)}"
        try:
            probe.write_bytes(b"ready" * 1000)
        finally:
            probe.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise FileNotFoundError(name)
        return self._folder / name[:2] / name

    def _make(self, folder: Path) -> None:
        """Make the folder, for this account alone, so that it is still there after a power cut."""
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Have the disk keep the names in the folder: syncing a file keeps only its bytes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
