"""What the request's page and the desk's share: the composer's form, and the promise explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from flask import request

from blueprints.access import actor
from blueprints.pages import Answer, face_of, page, see_other, zone_here
from blueprints.uploads import given_key, keep_typed, take_files
from extensions import clock, db, reading
from forms.base import Form
from forms.tickets import CommentForm
from models.accounts import account_of, way_of
from models.attachments import draft_to_send, remove_file
from models.base import NotFound, session_of, token
from models.drafts import Draft
from models.explanations import Explanation
from models.promises import Result
from models.prose import cleaned, rendered
from models.replies import known_of
from models.tickets import ACTIVE, Ticket, sent_with
from models.timetables import timetable_for

F = TypeVar("F", bound=Form)


def comment_form(kind: type[F], draft: Draft | None, given: Mapping[str, Any] | None) -> F:
    """Return the composer: empty, or with what was typed before; its key is the draft's."""
    form = kind(given) if given else kind()
    form["key"].data = draft.key if draft else token()
    return form


def commented(ticket: Ticket, form: CommentForm, place: str, verb: Callable[..., Any]) -> tuple[str, str]:
    """Send the message by the verb and return where to go and what to say."""
    known, now = known_of(ticket, actor(), place=place, key=given_key(), followers=True), clock.now()
    draft = draft_to_send(actor(), place, given_key()) if known.files else None
    if verb.__name__ == "follow_up":
        key = verb(actor(), ticket, form.body.data, key=given_key(), now=now, draft=draft)
        return f"/requests/{key}", f"{key} created. It follows {ticket.key}."
    comment = verb(ticket, actor(), form.body.data, now=now, key=given_key(), draft=draft, known=known)
    return f"/requests/{ticket.key}#message-{comment.id}", "Your reply is sent."


def drafted(ticket: Ticket) -> Answer:
    """Keep what is being written to the ticket; a text that was sent meanwhile does not come back as a draft."""
    if sent_with(actor(), given_key()) is None:
        keep_typed(_place(ticket))
        db.session.commit()
    return see_other("/help/drafts")


def attached(ticket: Ticket, form: Form, under: str) -> Answer | None:
    """Keep the posted files with what is being written; None when one of them is refused, errors in the form."""
    if not take_files(form, _place(ticket), ticket):
        return None
    draft = keep_typed(_place(ticket))
    db.session.commit()
    return see_other(f"{under}/{ticket.key}?draft={draft.id}#reply")


def detached(ticket: Ticket, under: str) -> Answer:
    """Take a file from what is being written; a second click finds it gone, and its words are kept all the same."""
    draft = keep_typed(_place(ticket))
    with suppress(NotFound):
        remove_file(draft, cleaned(request.form.get("file", ""))[:40])
    db.session.commit()
    return see_other(f"{under}/{ticket.key}?draft={draft.id}#reply")


def previewed(ticket: Ticket) -> str:
    """Return the posted text as others will see it, and keep it as a draft."""
    keep_typed(_place(ticket))
    reading()
    return rendered(cleaned(request.form.get("body", ""))[:70_000])


def _place(ticket: Ticket) -> str:
    return f"ticket:{ticket.key}"


@dataclass(frozen=True)
class PromiseView:
    """A ticket's promise as its page explains it in short."""

    cycle: int
    words: str
    severity: str
    plan: str
    version: str
    # The higher plan that brought it forward, and when: "" and none where its own terms decide.
    risen: str
    since: datetime | None
    around_the_clock: bool
    hours: str
    zone: str
    explanation: Explanation
    earlier: tuple[tuple[int, Result], ...]


def promise_view(ticket: Ticket) -> PromiseView | None:
    """Return the promise with its reasons, in the reader's zone; None where nothing is promised."""
    target = ticket.target
    if target is None:
        return None
    now, hours = clock.now(), timetable_for(session_of(ticket), target.calendar_id, target.started_at)
    if target.met_at is not None:
        hours = hours.known(target.hours_version)
    start, way = target.way(now, hours)
    risen = target.plan_of(start, way)
    return PromiseView(
        cycle=target.cycle,
        words=way.words,
        severity=target.severity.value,
        plan=target.plan.label,
        version=target.catalogue,
        risen=risen.label if risen else "",
        since=start if risen else None,
        around_the_clock=way.around_the_clock,
        hours=hours.present.words,
        zone=hours.present.zone.key,
        explanation=way_of(target, hours, now, zone_here()),
        earlier=tuple((past.cycle, past.result) for past in ticket.targets[:-1]),
    )


def explained(ticket: Ticket, base: str, *, staff: bool) -> Answer:
    """Answer the page that says in full why the promise is due when it is, or that nothing is promised."""
    return page(
        "tickets/clock.html",
        ticket=ticket,
        base=base,
        staff=staff,
        done=ticket.state not in ACTIVE,
        face=face_of(ticket, zone_here(), clock.now(), staff=staff),
        account=account_of(ticket, clock.now(), zone_here()),
    )
