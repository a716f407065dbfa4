"""What a request may carry: its bounds, and where its files are kept while it is read."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast

from flask import Request, g
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from extensions import outside

# So much of each file stays in memory: as many of them as a form may have parts still are a modest sum.
_IN_MEMORY = 64 * 1024


class Spool:
    """A file of a form while it arrives: a little in memory, the rest in a nameless file that no crash leaves behind.

    What is longer than `most` is only measured, not kept; and when the disk is full the form is still read to its
    end, so that the text in it can be given back.
    """

    def __init__(self, most: int, folder: Path) -> None:
        self.length = 0
        self.trouble: OSError | None = None
        self._most = most
        fresh = SpooledTemporaryFile(max_size=_IN_MEMORY, mode="rb+", dir=str(folder))  # noqa: SIM115
        self._file = cast("IO[bytes]", fresh)

    def write(self, piece: bytes) -> int:
        """Keep the piece, or only count it when it is too much or there is no room."""
        self.length += len(piece)
        if self.length > self._most:
            self._empty()
        elif self.trouble is None:
            try:
                self._file.write(piece)
                # What waits in a buffer would fail where nobody expects it any more.
                self._file.flush()
            except OSError as trouble:
                self.trouble = trouble
                self._empty()
        return len(piece)

    def _empty(self) -> None:
        """Give back what it has taken of the disk."""
        with suppress(OSError):
            self._file.close()
        self._file = BytesIO()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of what was kept."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to that byte."""
        return self._file.seek(offset, whence)

    def close(self) -> None:
        """Forget the bytes."""
        self._file.close()


class BoundedParser(FormDataParser):
    """Reads forms; one without files is read at once, so its length and its number of fields are bounded here."""

    def parse(
        self, stream: IO[bytes], mimetype: str, content_length: int | None, options: dict[str, str] | None = None
    ) -> Any:  # noqa: ANN401 (as the parser that it extends)
        """Return the stream, the fields and the files; raises RequestEntityTooLarge."""
        most = self.max_form_memory_size or 0
        if mimetype == "application/x-www-form-urlencoded":
            if content_length is None or content_length > most:
                raise RequestEntityTooLarge
            body = stream.read(most + 1)
            if body.count(b"&") > (self.max_form_parts or 0):
                raise RequestEntityTooLarge
            stream = BytesIO(body)
        return super().parse(stream, mimetype, content_length, options)


class BoundedRequest(Request):
    """A request whose body has bounds: its fields, its parts, its length, and what is kept of its files."""

    max_form_parts = 500
    form_data_parser_class = BoundedParser

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002 (as the method that it replaces)
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,
        content_length: int | None = None,  # noqa: ARG002
    ) -> IO[bytes]:
        """Return where the next file of the form goes; more than a message may carry are not kept."""
        limits = outside().limits
        self._named = getattr(self, "_named", 0) + bool(filename)
        kept = filename and self._named <= limits.per_message and not g.get("text_only", False)
        return cast("IO[bytes]", Spool(limits.file_bytes if kept else 0, outside().settings.data))
