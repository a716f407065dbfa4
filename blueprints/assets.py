"""Static files: read once, fingerprinted, compressed once, cached by browsers for a year."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, request

from blueprints.access import public

bp = Blueprint("assets", __name__)

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml; charset=utf-8",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file as it is served."""

    name: str
    mark: str
    type: str
    plain: bytes
    packed: bytes


class Assets:
    """The files of the static folder, by name."""

    def __init__(self, folder: Path) -> None:
        self._found: dict[str, Asset] = {}
        # Stylesheets come last: they name other files, whose fingerprints must be known by then.
        for path in sorted(folder.rglob("*"), key=lambda p: (p.suffix == ".css", str(p))):
            if path.suffix in _TYPES:
                self._add(path.relative_to(folder).as_posix(), path)

    def _add(self, name: str, path: Path) -> None:
        plain = path.read_bytes()
        if path.suffix == ".css":
            text = re.sub(r"url\(([a-z0-9.-]+)\)", lambda m: f"url({self.address(m[1])})", plain.decode())
            # What is written for people stays here: a seventh of what would travel.
            text = re.sub(r"\n\s*", "\n", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
            plain = text.encode()
        elif name == "app.js":
            plain = re.sub(rb"(?m)^\s+(//.*\n)?", b"", plain)
        mark = hashlib.sha256(plain).hexdigest()[:12]
        packed = b"" if path.suffix == ".woff2" else gzip.compress(plain, 9, mtime=0)
        self._found[name] = Asset(name, mark, _TYPES[path.suffix], plain, packed)

    def address(self, name: str) -> str:
        """Return the file's address, which changes with its content; raises KeyError for an unknown name."""
        return f"/static/{self._found[name].mark}/{name}"

    def get(self, mark: str, name: str) -> Asset | None:
        """Return the file of that name and fingerprint."""
        asset = self._found.get(name)
        return asset if asset is not None and asset.mark == mark else None


def init(app: Flask, folder: Path) -> None:
    """Read the static folder once, at the start."""
    app.extensions["assets"] = Assets(folder)


@bp.get("/static/<string(length=12):mark>/<path:name>")
@public
def show(mark: str, name: str) -> Response:
    asset: Asset | None = current_app.extensions["assets"].get(mark, name)
    if asset is None:
        abort(404)
    packed = asset.packed and request.accept_encodings["gzip"] > 0
    response = Response(asset.packed if packed else asset.plain, content_type=asset.type)
    response.headers["Cache-Control"] = _YEAR
    response.headers["Vary"] = "Accept-Encoding"
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    return response
