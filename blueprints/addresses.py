"""What stands in the addresses of pages: each kind of name, and nothing that is none."""

from __future__ import annotations

from werkzeug.routing import BaseConverter


class KeyConverter(BaseConverter):
    """A ticket's key, such as TECH-1284."""

    regex = r"[A-Za-z]{2,8}-[0-9]{1,10}"


class SlugConverter(BaseConverter):
    """An organization's short name."""

    regex = r"[a-z0-9-]{1,60}"


class SecretConverter(BaseConverter):
    """A random id."""

    regex = r"[A-Za-z0-9_-]{16,60}"


class VersionConverter(BaseConverter):
    """The name of a version of the catalogue."""

    regex = r"[A-Za-z0-9.-]{1,20}"


class NumberConverter(BaseConverter):
    """A database id, within what every database can hold."""

    regex = r"[1-9][0-9]{0,17}"

    def to_python(self, value: str) -> int:
        """Return the number."""
        return int(value)


CONVERTERS: dict[str, type[BaseConverter]] = {
    "key": KeyConverter,
    "slug": SlugConverter,
    "secret": SecretConverter,
    "number": NumberConverter,
    "version": VersionConverter,
}
