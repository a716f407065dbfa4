"""Attachments in a bucket of any store that speaks S3, under the hash of their content."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from models.outside import WrongStore

log = logging.getLogger(__name__)

_NAME = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})")
_PIECE = 64 * 1024
# The least that S3 takes as a part. One part at a time is in memory, since several people may be sending at once.
_PART = 5 * 1024 * 1024


@dataclass(frozen=True)
class Bucket:
    """Where a bucket is, and who may use it; an empty endpoint is Amazon's own of the region."""

    name: str
    region: str
    endpoint: str
    prefix: str
    key_id: str
    secret: str = field(repr=False)
    timeout: int


class S3Files:
    """A FileStore in a bucket.

    The name is known when the last byte has been seen, so that the bytes wait in a nameless file on the disk and go up
    whole, straight to their place: nothing is ever half there, and nothing has to be copied or tidied in the bucket.
    """

    def __init__(self, bucket: Bucket, waiting: Path) -> None:
        self._bucket, self._waiting = bucket, waiting
        patience = timedelta(seconds=bucket.timeout)
        self._store = S3Store(
            bucket.name,
            prefix=bucket.prefix or None,
            region=bucket.region,
            endpoint=bucket.endpoint or f"https://s3.{bucket.region}.amazonaws.com",
            access_key_id=bucket.key_id,
            secret_access_key=bucket.secret,
            client_options={
                "allow_http": bucket.endpoint.startswith("http://"),
                "connect_timeout": min(patience, timedelta(seconds=3)),
                # Between two pieces. A download takes as long as its reader takes, which may be hours.
                "read_timeout": patience,
                "timeout": timedelta(hours=12),
            },
            retry_config={"max_retries": 3, "retry_timeout": patience},
        )

    def put(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store the bytes and return (content hash, size in bytes); raises OSError."""
        hasher, written = hashlib.sha256(), 0
        with tempfile.TemporaryFile(dir=self._waiting) as whole:
            for chunk in chunks:
                hasher.update(chunk)
                written += whole.write(chunk)
            whole.seek(0)
            name = hasher.hexdigest()
            with self._answering("store a file"):
                # Equal bytes go up again as well: their time is new then, which keeps them from being swept.
                obstore.put(self._store, _key(name), whole, chunk_size=_PART, max_concurrency=1)
        return name, written

    def get(self, name: str) -> Iterator[bytes]:
        """Yield the bytes in pieces; raises FileNotFoundError at once when they are gone."""
        key = _key(name)
        with self._answering("read a file"):
            stream = obstore.get(self._store, key).stream(min_chunk_size=_PIECE)

        def pieces() -> Iterator[bytes]:
            with self._answering("read a file"):
                yield from map(bytes, stream)

        return pieces()

    def has(self, name: str) -> bool:
        """Ask whether the bytes are there."""
        try:
            with self._answering("look for a file"):
                obstore.head(self._store, _key(name))
        except FileNotFoundError:
            return False
        return True

    def older(self, than: datetime) -> Iterator[str]:
        """Yield the names of what was last stored before then; what is no attachment in the bucket is let be."""
        with self._answering("list the files"):
            for page in obstore.list(self._store, chunk_size=1000):
                for found in page:
                    ours = _KEY.fullmatch(found["path"])
                    if ours and found["last_modified"] < than:
                        yield ours[1]

    def drop(self, name: str) -> None:
        """Forget the bytes."""
        key = _key(name)
        try:
            with self._answering("delete a file"):
                obstore.delete(self._store, key)
        except FileNotFoundError:
            pass  # Amazon says that it is deleted, some others that it was not there

    def ready(self) -> None:
        """Ask for a name that is not there: the store's answer shows whether bucket and keys are good."""
        try:
            with self._answering("answer"):
                obstore.get(self._store, _key("0" * 64))
        except FileNotFoundError:
            pass

    @contextmanager
    def _answering(self, what: str) -> Iterator[None]:
        """Turn the library's faults into ours, without its long tale of retries."""
        try:
            yield
        except (FileNotFoundError, BaseError) as trouble:
            if "<Code>NoSuchBucket<" in str(trouble):
                raise WrongStore("S3_BUCKET", f"the store has no bucket {self._bucket.name}") from None
            if isinstance(trouble, FileNotFoundError):
                raise FileNotFoundError("There is no such file in the bucket.") from None
            if isinstance(trouble, PermissionDeniedError | UnauthenticatedError):
                log.error("The bucket could not %s: %s", what, _brief(trouble))  # noqa: TRY400 (a trace tells nothing)
                raise WrongStore("S3_ACCESS_KEY_ID", "the store refuses this key, or its secret") from None
            raise OSError(f"The bucket could not {what}: {_brief(trouble)}") from None


def _key(name: str) -> str:
    """Return where it is in the bucket: as in the folder, so that one can be copied into the other as it is."""
    if not _NAME.fullmatch(name):
        raise FileNotFoundError(name)
    return f"{name[:2]}/{name}"


def _brief(trouble: Exception) -> str:
    return str(trouble).partition("\n\nDebug source")[0][:300]
