"""Requests: the list, one request, and what its customer can do with it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, held, may, requires
from blueprints.conversation import (
    attached,
    comment_form,
    commented,
    detached,
    drafted,
    explained,
    previewed,
    promise_view,
)
from blueprints.pages import Answer, face_of, invalid, page, see_other, zone_here
from blueprints.sheets import severity_choices
from blueprints.uploads import SentBefore, check_first, keep_typed, kept, once, take_files
from extensions import clock, db, outside, reading
from forms.base import choices
from forms.tickets import CommentForm, ParticipantForm, RaiseForm
from models import conversations, handling
from models.arrivals import shown_in
from models.base import NotFound, Refused
from models.catalogue import DoorName, Severity, catalogue_at
from models.filing import follow_up
from models.links import merged_into
from models.listings import By, Sort, Status, Wish, requests_of
from models.organizations import memberships_of
from models.people import Person
from models.permissions import Permission
from models.prose import cleaned
from models.ratings import may_rate
from models.tickets import Ticket, TicketState, participants_of, tickets_of
from models.timelines import timeline_of

bp = Blueprint("tickets", __name__)


@bp.get("/requests")
@requires(Permission.REQUESTS)
def index() -> Answer:
    person, now, zone = actor(), clock.now(), zone_here()
    organizations = [m.organization for m in memberships_of(person)]
    wish, scope = _wish({o.slug: o.id for o in organizations}), tickets_of(person)
    if "go" in request.args and (exact := scope.find(wish.text)) is not None:
        return see_other(f"/requests/{exact.key}")
    listing = requests_of(person, scope, wish)
    faces = {ticket.id: face_of(ticket, zone, now) for ticket in listing.rows}
    return page(
        "tickets/index.html",
        wish=wish,
        listing=listing,
        faces=faces,
        organizations=organizations,
        statuses=list(Status),
        sorts=Sort,
        bys=list(By),
        doors=list(DoorName),
        severities=list(Severity),
    )


def _wish(organizations: dict[str, int]) -> Wish:
    """Read the list's address; what it does not know is as if it were not there."""
    given = request.args
    slug = given.get("organization", "")
    return Wish(
        status=_one(Status, given.get("status"), Status.OPEN),
        sort=_one(Sort, given.get("sort"), Sort.UPDATED),
        by=_one(By, given.get("by"), By.ANYONE),
        door=_one(DoorName, given.get("door"), None),
        severity=_one(Severity, given.get("severity"), None),
        organization=organizations.get(slug),
        organization_slug=slug if slug in organizations else "",
        text=cleaned(given.get("q", ""))[:200].strip(),
        page=page_number(given.get("page", "")),
        after=given.get("after", "")[:80],
        before=given.get("before", "")[:80],
    )


def _one(kind: Any, written: str | None, otherwise: Any) -> Any:  # noqa: ANN401 (any enum)
    return next((member for member in kind if member.value == written), otherwise)


def page_number(written: str) -> int:
    """Return the page that an address asks for, 1 for anything that is no page."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 8 and int(written) else 1


def _shown(ticket: Ticket, form: CommentForm | None = None, preview: str = "", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the page of one request shows."""
    place = f"ticket:{ticket.key}"
    draft, fields, files = kept(place)
    people, scope = participants_of(ticket), tickets_of(actor())
    timeline = timeline_of(ticket, internal=False, before=_before(), scope=scope)
    return {
        "ticket": ticket,
        "timeline": timeline,
        "shown": shown_in(timeline.entries),
        "participants": people,
        "takes_part": actor() in people,
        "form": form or comment_form(CommentForm, draft, held() or fields),
        "files": files,
        "draft": draft,
        "final": ticket.is_final(clock.now()),
        "rateable": may_rate(ticket, clock.now()),
        "held_until": ticket.held_until(clock.now()),
        "face": face_of(ticket, zone_here(), clock.now()),
        "promise": promise_view(ticket),
        "severity_text": catalogue_at(ticket.catalogue_version).text(ticket.severity),
        "limits": outside().limits,
        "merged": merged_into(ticket, scope) if ticket.state is TicketState.CLOSED else "",
        "preview": preview,
        **more,
    }


def _before() -> int:
    written = request.args.get("before", "")
    return int(written) if written.isascii() and written.isdigit() and len(written) < 16 else 0


@bp.get("/requests/<key:key>")
@requires(Permission.REQUESTS)
def show(key: str) -> Answer:
    ticket = tickets_of(actor()).find(key)
    if ticket is None and may(Permission.DESK):
        return see_other(f"/desk/{key.upper()}")
    if ticket is None:
        raise NotFound
    return page("tickets/show.html", **_shown(ticket))


@bp.get("/requests/<key:key>/clock")
@requires(Permission.REQUESTS)
def clock_page(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return explained(ticket, f"/requests/{ticket.key}", staff=False)


@bp.get("/requests/<key:key>/print")
@requires(Permission.REQUESTS)
def print_view(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return page(
        "tickets/print.html",
        ticket=ticket,
        timeline=timeline_of(ticket, internal=False, most=2000, scope=tickets_of(actor())),
        participants=participants_of(ticket),
        now=clock.now(),
        face=face_of(ticket, zone_here(), clock.now(), paper=True),
    )


@bp.post("/requests/<key:key>/comments")
@requires(Permission.REQUESTS)
def reply(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return _send(ticket, follow=False)


@bp.post("/requests/<key:key>/follow-up")
@requires(Permission.REQUESTS)
def create_follow_up(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return _send(ticket, follow=True)


def _send(ticket: Ticket, *, follow: bool) -> Answer:
    """Take a reply, or the text of a follow-up; a form that comes twice counts once."""
    form, place = CommentForm(), f"ticket:{ticket.key}"
    try:
        # The fields first: to validate them forgets what is said of the files.
        if not all([form.validate(), take_files(form, place, ticket)]):
            check_first(place)
            return _refused(ticket, form)
        verb = follow_up if follow else conversations.reply
        path, words = once(place, lambda: commented(ticket, form, place, verb))
    except SentBefore as before:
        return see_other(f"/requests/{before.key}")
    except Refused as refused:
        form.refuse(refused)
        return _refused(tickets_of(actor()).one_or_404(ticket.key), form)
    return see_other(path, good=words)


def _refused(ticket: Ticket, form: CommentForm) -> Answer:
    keep_typed(f"ticket:{ticket.key}")
    reading()
    return invalid("tickets/show.html", **_shown(ticket, form))


@bp.post("/requests/<key:key>/draft")
@requires(Permission.REQUESTS)
def save_draft(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return drafted(ticket)


@bp.post("/requests/<key:key>/files")
@requires(Permission.REQUESTS)
def add_files(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    form = CommentForm()
    return attached(ticket, form, "/requests") or _refused(ticket, form)


@bp.post("/requests/<key:key>/files/remove")
@requires(Permission.REQUESTS)
def drop_file(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return detached(ticket, "/requests")


@bp.post("/requests/<key:key>/preview")
@requires(Permission.REQUESTS)
def preview(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return page("tickets/show.html", **_shown(ticket, CommentForm(), previewed(ticket)))


@bp.post("/requests/<key:key>/resolve")
@requires(Permission.REQUESTS)
def resolve(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    conversations.resolve(ticket, actor(), now=clock.now())
    db.session.commit()
    return see_other(f"/requests/{ticket.key}", good="Marked as resolved. You can reopen it for 14 days.")


@bp.post("/requests/<key:key>/reopen")
@requires(Permission.REQUESTS)
def reopen(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    conversations.reopen(ticket, actor(), now=clock.now())
    db.session.commit()
    return see_other(f"/requests/{ticket.key}", good="Reopened. Our support engineers see it in their queue again.")


@bp.get("/requests/<key:key>/severity")
@requires(Permission.REQUESTS)
def edit_severity(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    form = RaiseForm(severity=ticket.severity.value)
    return page("tickets/severity.html", **_severity(ticket, form))


@bp.post("/requests/<key:key>/severity")
@requires(Permission.REQUESTS)
def change_severity(key: str) -> Answer:
    ticket, form = tickets_of(actor()).one_or_404(key), RaiseForm()
    shown = _severity(ticket, form)
    if not form.validate():
        return invalid("tickets/severity.html", **shown)
    try:
        severity = _one(Severity, form.severity.data, None)
        if severity is None:
            raise Refused("Choose one of the severities.", "severity")  # noqa: TRY301 (shown beside the field)
        at_once = handling.change_severity(ticket, actor(), severity, form.reason.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("tickets/severity.html", **shown)
    db.session.commit()
    asked = "Your agent is asked to raise the severity, and sees your reason."
    return see_other(f"/requests/{key}", good=f"The severity is {severity.value} now." if at_once else asked)


def _severity(ticket: Ticket, form: RaiseForm) -> dict[str, Any]:
    offered = severity_choices(ticket)
    form.severity.choices = choices([(row.value, row.value) for row in offered])
    owned = ticket.assignee is not None
    final = ticket.is_final(clock.now())
    # What is S1 already was confirmed.
    form.impact.data = form.impact.data or ticket.severity is Severity.S1
    return {"ticket": ticket, "form": form, "choices": offered, "owned": owned, "final": final}


@bp.get("/requests/<key:key>/participants")
@requires(Permission.REQUESTS)
def edit_participants(key: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    return page("tickets/participants.html", **_participants(ticket, ParticipantForm()))


@bp.post("/requests/<key:key>/participants")
@requires(Permission.REQUESTS)
def add_participant(key: str) -> Answer:
    ticket, form = tickets_of(actor()).one_or_404(key), ParticipantForm()
    shown = _participants(ticket, form)
    person: Person | None = next((p for p in shown["candidates"] if str(p.id) == form.person.data), None)
    try:
        if person is None:
            raise Refused("Choose somebody of the request’s organization.", "person")  # noqa: TRY301
        handling.add_participant(ticket, actor(), person, now=clock.now())
    except Refused as refused:
        form.validate()
        form.refuse(refused)
        return invalid("tickets/participants.html", **shown)
    db.session.commit()
    return see_other(f"/requests/{key}", good=f"{person.name} takes part now and gets the mail.")


def _participants(ticket: Ticket, form: ParticipantForm) -> dict[str, Any]:
    people = handling.candidates(ticket)
    form.person.choices = choices([("", "Select a person"), *((str(p.id), p.name) for p in people)])
    final = ticket.is_final(clock.now())
    return {"ticket": ticket, "form": form, "candidates": people, "final": final}


@bp.post("/requests/<key:key>/participants/<number:person>/remove")
@requires(Permission.REQUESTS)
def drop_participant(key: str, person: int) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    leaver = next((p for p in participants_of(ticket) if p.id == person), None)
    if leaver is None:
        raise NotFound
    handling.remove_participant(ticket, actor(), leaver, now=clock.now())
    db.session.commit()
    seen = tickets_of(actor()).find(key) is not None
    return see_other(f"/requests/{key}" if seen else "/requests", good=f"{leaver.name} no longer takes part.")


@bp.post("/requests/<key:key>/confidential")
@requires(Permission.REQUESTS)
def hide(key: str) -> Answer:
    return _set_confidential(key, confidential=True, words="Only those who take part see this request now.")


@bp.post("/requests/<key:key>/visible")
@requires(Permission.REQUESTS)
def unhide(key: str) -> Answer:
    return _set_confidential(key, confidential=False, words="Your organization’s rule decides again who sees it.")


def _set_confidential(key: str, *, confidential: bool, words: str) -> Answer:
    ticket = tickets_of(actor()).one_or_404(key)
    handling.set_confidential(ticket, actor(), confidential, now=clock.now())
    db.session.commit()
    return see_other(f"/requests/{ticket.key}", good=words)
