"""What surrounds every answer: headers, compression, and a page for every fault."""

from __future__ import annotations

import gzip
import logging
import secrets
from contextlib import suppress
from functools import lru_cache
from typing import Any

from flask import Flask, Response, current_app, g, make_response, render_template, request
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from blueprints.access import NEVER_KEPT, actor, may_there, visitor
from extensions import SAFE, CSRFError, db, is_down, outside
from models.base import NotFound, Refused, Stale
from models.organizations import managers, organization_of
from models.permissions import Permission

log = logging.getLogger(__name__)

_TEXT = ("text/", "application/json", "image/svg+xml")
_SMALL = 500
# A form that failed for our fault comes back with all it held, up to so many characters.
_KEPT_MOST = 300_000
# What is refused before its body is read is read all the same, up to so many bytes.
_UNWANTED_MOST = 64 * 1024


def init(app: Flask) -> None:
    """Register the faults' pages and what is done to every answer."""
    app.register_error_handler(NotFound, lambda _: fault(404))
    app.register_error_handler(Stale, lambda _: fault(409))
    app.register_error_handler(StaleDataError, lambda _: fault(409))
    app.register_error_handler(Refused, lambda refused: fault(422, message=refused.reason))
    app.register_error_handler(CSRFError, lambda _: fault(400, message=_EXPIRED, again=True))
    app.register_error_handler(HTTPException, _http_fault)
    for trouble in (OperationalError, InterfaceError, NoConnection):
        app.register_error_handler(trouble, _database_fault)
    app.register_error_handler(OSError, _disk_fault)
    app.register_error_handler(Exception, _unforeseen)
    app.after_request(_headers)
    app.after_request(_compressed)
    app.after_request(_heard_out)


_EXPIRED = "This page was open for so long that it expired. What you typed is below: check it and send it again."


def fault(code: int, *, message: str = "", reference: str = "", again: bool = False) -> Response:
    """Answer the page of a fault; `again` gives back what was posted, in a form that sends it once more."""
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.remove()  # its connection is gone, and with it whatever was to be taken back
    g.writes = False
    values = {
        "code": code,
        "message": message,
        "reference": reference,
        "typed": _typed() if again else [],
        "action": request.path,
        **(_whom_to_ask() if code == 403 else {}),
    }
    try:
        body = render_template("errors/page.html", **values)
    except (SQLAlchemyError, OSError):
        # The page around the fault needs the database too: show it as to somebody who is not signed in.
        g.pop("shell", None)
        g.broken = True
        body = render_template("errors/page.html", **values)
    response = make_response(body, code)
    if code == 503:
        response.headers["Retry-After"] = "10"
    return response


def _whom_to_ask() -> dict[str, Any]:
    """Return who may change the plan, for the members of an organization who asked for what only those may do."""
    view = current_app.view_functions.get(request.endpoint or "")
    slug = (request.view_args or {}).get("org", "")
    if getattr(view, "access", None) is not Permission.BILLING or visitor() is None:
        return {}
    with suppress(NotFound):
        organization = organization_of(actor(), slug)
        if not may_there(Permission.BILLING, organization):
            return {"organization": organization, "managers": managers(organization)}
    return {}


def _typed() -> list[tuple[str, str]]:
    if request.method in SAFE or request.mimetype not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return []
    typed = [(name, value) for name, value in request.form.items(multi=True) if name not in NEVER_KEPT]
    return typed if sum(len(value) for _, value in typed) <= _KEPT_MOST else []


def _http_fault(error: HTTPException) -> Any:  # noqa: ANN401 (whatever Flask takes as an answer)
    if error.code is None or error.code < 400:
        return error
    response = fault(error.code)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    return response


def _database_fault(error: Exception) -> Response:
    """Answer for a database that is down, frozen, locked for too long, or has no connection left."""
    log.error("The database failed: %s", getattr(error, "orig", error))
    if is_down(error):
        g.pop("shell", None)
        g.broken = True
    return fault(503, again=True)


def _disk_fault(error: OSError) -> Response:
    log.error("A file could not be read or written: %s", error, exc_info=error)
    return fault(503, again=True)


def _unforeseen(mistake: Exception) -> Response:
    reference = secrets.token_hex(4)
    log.error("Fault %s at %s %s", reference, request.method, request.path, exc_info=mistake)
    return fault(500, reference=reference, again=True)


def _headers(response: Response) -> Response:
    headers = response.headers
    # The rest is about pages, and would weigh three kilobytes on a first visit.
    file = request.endpoint == "assets.show" and response.status_code == 200
    there = {name.lower() for name in headers.keys()}  # noqa: SIM118 (its items are pairs)
    wanted = _wanted(outside().settings.secure, outside().settings.htmx_address, file=file)
    headers.extend([(name, value) for name, value in wanted if name.lower() not in there])
    return response


@lru_cache(maxsize=8)
def _wanted(secure: bool, htmx_address: str, *, file: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers that every answer has unless it says otherwise."""
    every = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if secure:
        every["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
    if not file:
        script = f"'self' {htmx_address}".strip()
        every |= {
            "Content-Security-Policy": (
                f"default-src 'none'; script-src {script}; style-src 'self'; img-src 'self'; font-src 'self'; "
                "connect-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"
            ),
            "Referrer-Policy": "same-origin",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }
    return tuple(every.items())


def _heard_out(response: Response) -> Response:
    """Read a short body that nobody wanted to its end: its connection serves the next request, of whomever."""
    if request.method not in SAFE and 0 < (request.content_length or 0) <= _UNWANTED_MOST:
        with suppress(HTTPException, OSError):
            request.stream.read()
    return response


def _compressed(response: Response) -> Response:
    """Compress text with gzip 4: a fifth faster than 6 for a twentieth more; static files are packed once."""
    if response.direct_passthrough or response.is_streamed or "Content-Encoding" in response.headers:
        return response
    if not (response.mimetype or "").startswith(_TEXT) or response.status_code in {204, 304}:
        return response
    response.vary.add("Accept-Encoding")
    body = response.get_data()
    if len(body) >= _SMALL and request.accept_encodings["gzip"] > 0:
        response.set_data(gzip.compress(body, 4, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response
