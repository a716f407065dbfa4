"""The only answers that a view gives, and what every page shows around its own content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 (a filter has the plain name)
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Flask, Response, flash, g, make_response, redirect, render_template, request
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup, escape
from sqlalchemy import Row
from werkzeug.wrappers import Response as BaseResponse

from blueprints.access import may, may_there, visitor
from extensions import Settings, clock, outside
from models import wording
from models.catalogue import DoorName, PlanName
from models.explanations import Explanation
from models.faces import ClockFace, face
from models.lines import Line
from models.money import dollars, percent
from models.organizations import Organization, chosen_organization, memberships_of, organization_of
from models.paging import many
from models.people import Badge, Person
from models.permissions import Permission
from models.subscriptions import unpaid_of
from models.tickets import ACTIVE, Ticket, waiting_for

Answer = BaseResponse


def page(template: str, **values: Any) -> Answer:  # noqa: ANN401 (a template takes anything)
    """Answer a page: 200."""
    return make_response(render_template(template, **values), 200)


def part(template: str, **values: Any) -> Markup:  # noqa: ANN401
    """Return a part of a page, which a view keeps for the next one that is the same."""
    return Markup(render_template(template, **values))  # noqa: S704 (templates escape what is not theirs)


def polled(template: str, **values: Any) -> Answer:  # noqa: ANN401
    """Answer a part of a page that the page asks for again and again: 200, or 304 where nothing has changed.

    The browser keeps it for itself, and asks each time whether it still holds.
    """
    response = make_response(render_template(template, **values))
    response.headers["Cache-Control"] = "private, no-cache"
    response.vary.add("Cookie")
    response.add_etag(weak=True)
    return response.make_conditional(request)


def invalid(template: str, **values: Any) -> Answer:  # noqa: ANN401
    """Answer the page with its form as it was typed and the errors beside the fields: 422."""
    return make_response(render_template(template, form_has_errors=True, **values), 422)


def unsent(template: str, **values: Any) -> Answer:  # noqa: ANN401
    """Answer the page of a text that was kept, since it could not be sent yet; nothing in it is wrong: 422."""
    return make_response(render_template(template, **values), 422)


def conflict(template: str, **values: Any) -> Answer:  # noqa: ANN401
    """Answer the page with both versions, since somebody else was quicker: 409."""
    return make_response(render_template(template, form_has_errors=True, **values), 409)


def gone(template: str, **values: Any) -> Answer:  # noqa: ANN401
    """Answer the page of what was there once, for example a link that is used up: 410."""
    return make_response(render_template(template, **values), 410)


def too_many(template: str, until: datetime, **values: Any) -> Answer:  # noqa: ANN401
    """Answer the page with the time from which it may be tried again: 429 with Retry-After in seconds."""
    response = make_response(render_template(template, form_has_errors=True, until=until, **values), 429)
    response.headers["Retry-After"] = str(max(1, int((until - clock.now()).total_seconds()) + 1))
    return response


def see_other(path: str, good: str = "", warn: str = "") -> Answer:
    """Lead to another page of ours after a change (303), with a word on what happened."""
    if good:
        flash(good, "good")
    if warn:
        flash(warn, "warn")
    return redirect(path, 303)


def moved(path: str) -> Answer:
    """Lead to a page's present address for good: 301."""
    return redirect(path, 301)


def found(path: str) -> Answer:
    """Lead to the page that fits the person now: 302."""
    return redirect(path, 302)


def plain(words: str, code: int = 200) -> Answer:
    """Answer a line of text to a machine."""
    return Response(f"{words}\n", code, content_type="text/plain; charset=utf-8")


def nothing() -> Answer:
    """Answer that it is done, and leave the page as it is: 204."""
    return Response(status=204)


def file(pieces: Iterator[bytes], *, name: str, size: int, image: str = "") -> Answer:
    """Answer the bytes of an attachment: an image in place, everything else as a download that no browser opens."""
    response = Response(pieces, mimetype=image or "application/octet-stream")
    ascii_name = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    way = "inline" if image else "attachment"
    response.headers["Content-Disposition"] = (
        f"{way}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
    )
    response.headers["Content-Length"] = str(size)
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def download(pieces: Iterator[bytes], *, name: str, kind: str) -> Answer:
    """Answer a file that is made while it is sent; `name` is plain ASCII, `kind` its media type."""
    response = Response(pieces, content_type=f"{kind}; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@dataclass(frozen=True)
class NavItem:
    """One link of the top bar."""

    label: str
    href: str
    current: bool
    count: int = 0


@dataclass(frozen=True)
class Chosen:
    """An organization as the top bar shows it."""

    slug: str
    name: str
    plan_label: str


class Shell:
    """What surrounds every page: who is signed in, which organization is chosen, and where to go."""

    def __init__(self, person: Person | None) -> None:
        settings = outside().settings
        self.person = person
        self.theme = str(person.theme) if person else "system"
        self.keys = bool(person and person.shortcuts)
        self.demo = settings.demo
        self.htmx = _Htmx(settings)
        chosen = organization_here(person) if person else None
        self.organization, self._house = _chosen(chosen) if chosen else None, chosen
        self.organizations = [_chosen(m.organization) for m in memberships_of(person)] if person else []
        self.waiting = waiting_for(person) if person and not may(Permission.DESK) else 0
        self.nav = list(self._links()) if person else []
        self.bills = chosen is not None and may_there(Permission.BILLING, chosen)
        self.tabs = list(self._tabs(chosen)) if chosen and request.path.startswith("/console/") else []

    @property
    def unpaid(self) -> Row[Any] | None:
        """What the chosen organization has not paid, for who may pay it; a page that shows it asks."""
        return unpaid_of(self._house) if self._house is not None and self.bills else None

    def _links(self) -> Iterator[NavItem]:
        path = request.path

        def link(label: str, href: str, *under: str, count: int = 0) -> NavItem:
            return NavItem(label, href, path.startswith(under or (href,)), count)

        if may(Permission.DESK):
            yield link("Desk", "/desk")
        if may(Permission.REPORTS):
            yield link("Reports", "/reports")
        if may(Permission.SALES):
            yield link("Sales inbox", "/sales")
        if may(Permission.FIGURES):
            yield link("Business", "/business")
        if may(Permission.DELIVERY):
            yield link("Mail", "/delivery")
        if may(Permission.ADMINISTRATION):
            yield link("Administration", "/admin")
        if self.organization:
            yield link("Support", f"/console/{self.organization.slug}/support", "/console/")
        yield link("Help Center", "/help", "/help", "/announcements")
        if not may(Permission.DESK):
            yield link("Requests", "/requests", count=self.waiting)

    def _tabs(self, organization: Organization) -> Iterator[NavItem]:
        """What there is to see of the organization, as far as this person may."""
        for label, part, permission in _TABS:
            href = f"/console/{organization.slug}/{part}"
            if may_there(permission, organization):
                yield NavItem(label, href, request.path.startswith(href))


# The pages of an organization: their tab, the last part of their address, and what it takes to see them.
_TABS = (
    ("Plan", "support", Permission.SUPPORT),
    ("Members", "members", Permission.SUPPORT),
    ("Clusters", "clusters", Permission.CLUSTERS),
    ("Cards", "cards", Permission.BILLING),
    ("Invoices", "invoices", Permission.BILLING),
    ("Plan history", "history", Permission.SUPPORT),
    ("Scorecard", "scorecard", Permission.SUPPORT),
)


class _Htmx:
    def __init__(self, settings: Settings) -> None:
        self.src = settings.htmx_address or asset(settings.htmx_file)
        self.integrity = settings.htmx_hash


def _chosen(organization: Organization) -> Chosen:
    return Chosen(organization.slug, organization.name, PlanName(organization.plan).label)


def organization_here(person: Person) -> Organization | None:
    """Return the organization that the address names, else the one chosen last: two tabs may show two."""
    slug = (request.view_args or {}).get("org")
    if slug is not None and any(m.organization.slug == slug for m in person.memberships):
        return organization_of(person, slug)
    return chosen_organization(person)


def asset(name: str) -> str:
    """Return the fingerprinted address of a static file; raises KeyError for one that does not exist."""
    from flask import current_app

    return str(current_app.extensions["assets"].address(name))


def icon(name: str) -> Markup:
    """Return an icon of the sprite. As a filter of a literal name it is worked out when the template is compiled."""
    return Markup('<svg class="i" aria-hidden="true"><use href="{}#{}"/></svg>').format(asset("icons.svg"), name)


def attributes(pairs: Mapping[str, object]) -> Markup:
    """Return keywords as attributes: hx_target becomes hx-target; None and False are left out, True stands alone."""
    written = [
        f" {name.replace('_', '-')}" if value is True else f' {name.replace("_", "-")}="{escape(value)}"'
        for name, value in pairs.items()
        if value is not None and value is not False
    ]
    # The names are a template's own words, the values are escaped above: joined as plain text it costs half.
    return Markup("".join(written))  # noqa: S704


def zone_here() -> ZoneInfo:
    """Return the zone that the reader's times are in."""
    if "zone" not in g:
        person = None if g.get("broken") else visitor()
        g.zone = wording.zone(person.time_zone if person else "UTC")
    return g.zone  # type: ignore[no-any-return]


def _reader() -> tuple[ZoneInfo, datetime]:
    """Return the reader's zone, and the moment of which all times of the page speak."""
    reader: tuple[ZoneInfo, datetime] | None = g.get("reader")
    if reader is None:
        g.reader = reader = zone_here(), clock.now()
    return reader


def page_here() -> int:
    """Return the page of a list that the address asks for; 1 for none, and for what is no page."""
    number = request.args.get("page", "")
    return int(number) if number.isascii() and number.isdigit() and len(number) < 8 and int(number) else 1


def day_of(at: datetime) -> str:
    """Return the day of a moment in the reader's zone: "Wed 25 Nov"."""
    return wording.day(at.astimezone(zone_here()).date(), clock.now().astimezone(zone_here()).date())


def why_none(ticket: Ticket | Line) -> str:
    """Return why a ticket has no first-reply target, for whoever reads that it has none."""
    if ticket.door is DoorName.BILLING:
        return "Account and billing requests carry no target"
    return f"{ticket.plan.label} plan"


def face_of(
    ticket: Ticket | Line, zone: ZoneInfo, now: datetime, *, staff: bool = False, paper: bool = False
) -> ClockFace:
    """Return how the ticket's promise reads now."""
    done = ticket.state not in ACTIVE
    return face(ticket.target, zone, now, why=why_none(ticket), staff=staff, done=done, paper=paper)


@dataclass(frozen=True)
class Part:
    """A piece of the bar that shows how a promise's time is counted; `weight` is its width, 1 to 6."""

    label: str
    words: str
    counted: bool
    weight: int


def counting(explanation: Explanation) -> list[Part]:
    """Return the explanation as pieces of a bar."""
    return [
        Part(
            label=bar.segment.label,
            words=wording.hours(bar.segment.length) if bar.segment.counted else "",
            counted=bar.segment.counted,
            weight=min(6, max(1, round(bar.width / 15))),
        )
        for bar in explanation.bars
    ]


def init(app: Flask) -> None:
    """Give every template the shell and the words for times and sizes, in the reader's zone."""

    @app.context_processor
    def surroundings() -> dict[str, Any]:
        if "shell" not in g:
            g.shell = Shell(None if g.get("broken") else visitor())
        return {"shell": g.shell, "zone_name": zone_here().key}

    def moment(at: datetime) -> str:
        return wording.moment(at, *_reader())

    def dated(at: datetime) -> str:
        return wording.dated(at, zone_here())

    def ago(at: datetime) -> str:
        return wording.ago(at, *_reader())

    def date(on: Date) -> str:
        return wording.day(on, clock.now().astimezone(zone_here()).date())

    app.jinja_env.globals.update(counting=counting, csrf_token=lambda: g.get("csrf_token") or generate_csrf())
    # Each app has its own icons, since their addresses are those of its own files.
    icons = lru_cache(maxsize=256)(icon)
    app.jinja_env.filters.update(asset=asset, attributes=attributes, icon=icons)
    app.jinja_env.filters.update({name: _of_person(app, name) for name in ("person", "avatar")})
    app.jinja_env.filters.update({name: _made_once(app, name) for name in ("status", "severity")})
    app.jinja_env.filters.update(
        moment=moment,
        many=many,
        ago=ago,
        utc=wording.utc,
        size=wording.size,
        duration=wording.duration,
        exactly=wording.exactly,
    )
    app.jinja_env.filters.update(
        exactly=wording.exactly,
        date=date,
        day=day_of,
        dated=dated,
        inside=wording.inside,
        dollars=dollars,
        percent=percent,
    )


def _made_once(app: Flask, macro: str) -> Callable[..., Markup]:
    """Return a macro of ui.html as a filter that makes the markup of the same values once: rows repeat them."""

    @lru_cache(maxsize=1024)
    def made(*values: object) -> Markup:
        markup: Markup = getattr(app.jinja_env.get_template("macros/ui.html").module, macro)(*values)
        return markup

    return made


def _of_person(app: Flask, macro: str) -> Callable[[Person | Badge], Markup]:
    made = _made_once(app, macro)
    return lambda person: made(person if isinstance(person, Badge) else person.badge)
