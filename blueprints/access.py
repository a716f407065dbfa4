"""Who is asking, and may they: the marks on routes, the guard that reads them, and the way to the sign-in page."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from flask import Flask, abort, g, make_response, redirect, request, session
from flask_login import UserMixin, current_user, login_user, logout_user
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from blueprints.addresses import CONVERTERS
from extensions import BUSY_MS, SAFE, clock, csrf, db, login, outside, terms, writing
from models import drafts, organizations, people
from models.drafts import HeldText
from models.events import EventKind, record
from models.organizations import Organization, organization_of, role_in, roles_of
from models.people import Person, SignIn
from models.permissions import Permission, Role, allowed
from models.tickets import desk_of, tickets_of

View = TypeVar("View", bound=Callable[..., Any])
HELD_MOST = 300_000
# What other machines post, signed, is some kilobytes long.
SIGNED_MOST = 256 * 1024
# What is typed into these fields is neither kept nor given back: passwords, and what stands on a card.
NEVER_KEPT = frozenset(
    {"csrf_token", "password", "new_password", "current_password", "card_number", "card_code", "card_expiry"}
)


def public(view: View) -> View:
    """Mark a route that everybody may use, signed in or not."""
    view.access = None  # type: ignore[attr-defined]
    return view


def signed_elsewhere(view: View) -> View:
    """Mark a public route that other machines post to: it proves by a signature of its own what it is sent."""
    view.access = None  # type: ignore[attr-defined]
    view.signed = True  # type: ignore[attr-defined]
    return view


def requires(permission: Permission) -> Callable[[View], View]:
    """Mark a route with the permission that it needs."""

    def mark(view: View) -> View:
        view.access = permission  # type: ignore[attr-defined]
        return view

    return mark


class Visitor(UserMixin):  # type: ignore[misc]
    """A signed-in browser, as Flask-Login knows it: its id is the secret of the sign-in."""

    def __init__(self, secret: str, entry: SignIn) -> None:
        self.id = secret
        self.entry = entry


def init(app: Flask) -> None:
    """Put the guard before every request, and refuse to start with a route that nobody marked."""
    app.url_map.converters.update(CONVERTERS)
    # An address with a part left out is nothing of ours, and leads nowhere.
    app.url_map.merge_slashes = False
    login.session_protection = None
    login.user_loader(_visitor)
    app.before_request(_guard)
    app.after_request(_note_use)


def check_marks(app: Flask) -> None:
    """Raise RuntimeError naming every route that is neither public nor requires a permission."""
    bare = [name for name, view in app.view_functions.items() if not hasattr(view, "access")]
    if bare:
        raise RuntimeError(f"Mark these routes with @public or @requires(Permission.…): {', '.join(sorted(bare))}")


def actor() -> Person:
    """Return the signed-in person; raises LookupError where nobody is (a public route must ask `visitor()`)."""
    person = visitor()
    if person is None:
        raise LookupError("Nobody is signed in.")
    return person


def visitor() -> Person | None:
    """Return the signed-in person, or None; the way through Flask-Login is gone once a request, not once a word."""
    if "visitor" not in g:
        g.visitor = current_user.entry.person if current_user.is_authenticated else None
    return g.visitor  # type: ignore[no-any-return]


def sign_in_id() -> int:
    """Return the id of the sign-in that this request came with; 0 without one."""
    return current_user.entry.id if current_user.is_authenticated else 0


def roles() -> frozenset[Role]:
    """Return the roles of whoever asks, worked out once a request."""
    if "roles" not in g:
        person = visitor()
        g.roles = roles_of(person) if person else frozenset()
    return g.roles  # type: ignore[no-any-return]


def may(permission: Permission) -> bool:
    """Tell whether whoever asks has the permission anywhere."""
    return allowed(roles(), permission)


def idle_limit() -> timedelta:
    """Return how long a sign-in lives unused."""
    return timedelta(hours=outside().settings.session_idle_hours)


def absolute_limit() -> timedelta:
    """Return how long a sign-in lives in any case."""
    return timedelta(days=outside().settings.session_days)


def _visitor(secret: str) -> Visitor | None:
    entry = organizations.sign_in_with_memberships(db.session(), secret)
    if entry is None or not people.is_live(entry, now=clock.now(), idle=idle_limit(), absolute=absolute_limit()):
        return None
    return Visitor(secret, entry)


def open_sign_in(person: Person) -> None:
    """Sign the person in with a fresh session: nothing of the old cookie stays but a text that waits for them."""
    waiting = _waiting()
    session.clear()
    address = request.remote_addr or ""
    secret = people.sign_in(person, device=_device(), address=address, now=clock.now())
    db.session.flush()
    entry = people.sign_in_of(db.session(), secret)
    assert entry is not None
    login_user(Visitor(secret, entry))
    g.pop("visitor", None)
    g.pop("roles", None)
    session.permanent = True
    session["was"] = person.id
    session.update(waiting)


def _waiting() -> dict[str, Any]:
    """Return what outlives signing in and out: a text that waits for its writer, and an invitation that was opened."""
    return {name: session[name] for name in ("held", "invitation") if name in session}


def close_sign_in() -> None:
    """End this browser's sign-in on the server and in the cookie."""
    person = actor()
    current_user.entry.ended_at = clock.now()
    record(db.session(), EventKind.SIGNED_OUT, now=clock.now(), actor_id=person.id)
    logout_user()
    g.pop("visitor", None)
    opened = session.get("invitation")
    session.clear()
    session["was"] = person.id
    if opened:
        session["invitation"] = opened


def _device() -> str:
    """Return the browser and system in words, as far as the browser says."""
    agent = request.user_agent.string[:400]
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    )
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
    )
    browser = next((name for mark, name in browsers if mark in agent), "Browser")
    system = next((name for mark, name in (*systems, ("Linux", "Linux")) if mark in agent), "")
    return f"{browser} on {system}" if system else browser


def _guard() -> Response | None:
    """Deny what is not marked, send strangers to the sign-in page, refuse forged posts. The order matters."""
    if request.endpoint is None:
        return None
    view = _view()
    if not hasattr(view, "access"):
        abort(403)
    if request.method not in SAFE and not _from_here():
        abort(403)
    permission: Permission | None = view.access
    if permission is not None and visitor() is None:
        return to_sign_in()
    terms.keep()
    if permission is not None and not (_may_here(permission) and may(permission)):
        _note_denial(permission)
        abort(403)
    if request.method not in SAFE:
        _check_reach()
        # The body is read here, however slowly it comes, before anybody else is kept from writing.
        if hasattr(view, "signed"):
            # Anybody can post here: nothing longer is taken into memory.
            request.max_content_length = SIGNED_MOST
            request.get_data()
        else:
            csrf.protect()
        writing()
    return None


def _check_reach() -> None:
    """Raise NotFound for files to a ticket that is not theirs, before a byte of them is read; the view looks again.

    A form that is no larger than a message can be is left to the view alone: it costs no more than any other.
    """
    key = (request.view_args or {}).get("key")
    if (
        key is None
        or request.blueprint not in {"tickets", "desk", "composing"}
        or request.mimetype != "multipart/form-data"
    ):
        return
    if request.content_length is not None and request.content_length <= HELD_MOST:
        return
    if tickets_of(actor()).find(key) is None:
        desk_of(actor(), roles()).one_or_404(key)


def _may_here(permission: Permission) -> bool:
    """Tell whether whoever asks has the permission in the organization that the address names, if it names one.

    A role in another organization gives nothing here. Raises NotFound for an organization that is not theirs.
    """
    slug = (request.view_args or {}).get("org")
    if slug is None:
        return True
    return may_there(permission, organization_of(actor(), slug))


def may_there(permission: Permission, organization: Organization) -> bool:
    """Tell whether whoever asks has the permission in that organization."""
    role = role_in(actor(), organization)
    return role is not None and allowed((role,), permission)


def _view() -> Any:  # noqa: ANN401 (a view function)
    from flask import current_app

    return current_app.view_functions[request.endpoint or ""]


def _from_here() -> bool:
    """Tell whether the post comes from a page of this origin, as far as the browser says."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.host


def _note_denial(permission: Permission) -> None:
    if request.method in SAFE:
        return
    writing()
    now = clock.now()
    record(db.session(), EventKind.ACCESS_DENIED, now=now, actor_id=actor().id, permission=permission.value)
    db.session.commit()


def _note_use(response: Response) -> Response:
    """Note the last use of a sign-in, at most every five minutes, without ever making a reader wait."""
    if g.get("broken") or g.get("unattended") or g.get("visitor") is None:
        return response
    if clock.now() - current_user.entry.last_seen_at < people.SEEN_EVERY:
        return response
    mine = current_user.entry.id
    try:
        with db.engine.connect().execution_options(writes=True) as connection:
            if connection.dialect.name == "sqlite":
                connection.connection.driver_connection.execute("PRAGMA busy_timeout=50")  # type: ignore[union-attr]
            try:
                with connection.begin():
                    people.touch(connection, mine, now=clock.now())
            finally:
                if connection.dialect.name == "sqlite":
                    connection.connection.driver_connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")  # type: ignore[union-attr]
    except SQLAlchemyError:
        pass  # somebody writes just now, or the database went away after the answer: the next request notes it
    return response


def to_sign_in() -> Response:
    """Send the browser to the sign-in page and back afterwards; a text that was posted waits there for its writer."""
    path = request.full_path.rstrip("?") if request.method in SAFE else _page_of(request.path)
    if request.method not in SAFE:
        _hold()
    address = f"/sign-in?next={quote(path, safe='/')}"
    if request.headers.get("HX-Request") == "true":
        response = make_response("", 204)
        response.headers["HX-Redirect"] = address
        return response
    return redirect(address, 303)


def _page_of(path: str) -> str:
    """Return the page that a POST address belongs to: itself, or the nearest page above it, or the form beside it."""
    from flask import current_app

    adapter = current_app.url_map.bind("")
    while path.strip("/"):
        for page in (path, f"{path}/new"):
            with suppress(HTTPException):
                adapter.match(page, method="GET")
                return page
        path = path.rpartition("/")[0]
    return "/"


def _hold() -> None:
    """Keep the posted text for the person whose sign-in has ended in this browser; nobody else gets it.

    Forms whose text is worth keeping carry a key of their own; a mere button must not push such a text out.
    """
    person_id, secret = session.get("was"), secrets.token_urlsafe(24)
    length = request.content_length
    if not person_id or not length or length > outside().limits.ticket_bytes or not request.endpoint:
        return
    # Nobody is signed in, so that none of the files in it is kept, not even for a moment.
    g.text_only = True
    if "key" not in request.form:
        return
    fields = {name: request.form.getlist(name) for name in request.form if name not in NEVER_KEPT}
    if sum(len(v) for values in fields.values() for v in values) > HELD_MOST:
        return
    writing()
    if drafts.hold(db.session(), person_id, secret, request.endpoint, request.path[:255], fields, now=clock.now()):
        db.session.commit()
        session["held"] = secret


def held() -> MultiDict[str, str] | None:
    """Return what the person was sending or saving from this page when the sign-in had ended."""
    text = _held_text() if request.method in SAFE else None
    return None if text is None else MultiDict(text.fields)


def let_go(*pages: str) -> None:
    """Forget the text held for this page, or for those pages, since it was sent, saved as a draft or thrown away."""
    text = _held_text(*pages)
    if text is not None:
        session.pop("held")
        db.session.delete(text)


def _held_text(*pages: str) -> HeldText | None:
    secret = session.get("held")
    if not secret:
        return None
    text = drafts.held_for(actor(), secret, now=clock.now())
    if text is None:
        return None
    return text if _page_of(text.path) in (pages or (_page_of(request.path),)) else None
