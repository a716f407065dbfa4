"""Calls a WSGI application in the same process: just enough of a browser not to pay for one."""

from __future__ import annotations

import gzip
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass
class Browser:
    """One signed-in, or anonymous, caller of an application."""

    app: Callable
    cookie: str = ""

    def call(self, path: str, form: dict[str, str] | None = None) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of one request."""
        path, _, query = path.partition("?")
        body = urlencode(form).encode() if form is not None else b""
        environ = {
            "REQUEST_METHOD": "GET" if form is None else "POST",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "HTTP_ACCEPT_ENCODING": "gzip",
            "HTTP_COOKIE": self.cookie,
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if form is not None:
            environ |= {"CONTENT_TYPE": "application/x-www-form-urlencoded", "CONTENT_LENGTH": str(len(body))}
        got: list = []
        answer = self.app(environ, lambda status, headers, _info=None: got.extend((status, headers)))
        data = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        headers = dict(got[1])
        if "Set-Cookie" in headers:
            self.cookie = headers["Set-Cookie"].split(";")[0]
        return int(got[0][:3]), data, headers

    def see(self, path: str) -> int:
        """Return how many bytes the page weighs; it must be there."""
        status, data, _ = self.call(path)
        assert status == 200, (path, status)
        return len(data)

    def token(self, path: str) -> str:
        """Return the CSRF token of the page's forms."""
        _, data, headers = self.call(path)
        page = gzip.decompress(data) if headers.get("Content-Encoding") == "gzip" else data
        return re.search(r'name="csrf_token" value="([^"]+)"', page.decode())[1]

    def sign_in(self, email: str, password: str) -> None:
        """Sign in as that person."""
        given = {"csrf_token": self.token("/sign-in"), "email": email, "password": password}
        status, _, _ = self.call("/sign-in", given)
        assert status == 303, status
