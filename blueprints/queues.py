"""The desk's queues: shown, narrowed, worked through one by one, or many tickets at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, g, request
from markupsafe import Markup
from sqlalchemy import Row

from blueprints.access import actor, may, requires, roles
from blueprints.deskwork import number_in
from blueprints.pages import Answer, face_of, invalid, page, page_here, part, polled, see_other, zone_here
from extensions import clock, db
from models import batches, conversations, handling, tags
from models.base import Refused
from models.catalogue import DoorName, PlanName, Severity
from models.people import Person, agents, agents_to_choose
from models.permissions import Permission
from models.prose import cleaned
from models.queues import NOBODY, ONLY, DeskWish, Queue, changed_since, desk_counts, queue_of
from models.tags import tag_name
from models.tickets import Ticket, TicketState, desk_of
from models.views import views_of

bp = Blueprint("queues", __name__)
# In the year 9987: no clock shows a later moment, and every database can hold it.
_LAST_MS = 253_000_000_000_000


# What is typed to narrow a queue: what stands in the empty field, and how long it can be.
_WORDS = {
    "organization": ("Organization", 200),
    "requester": ("Requester’s email", 254),
    "environment": ("Environment", 60),
    "cluster": ("Cluster", 200),
    "component": ("Component", 60),
}
_OFFERED = {
    "only": ONLY,
    "words": _WORDS,
    "doors": list(DoorName),
    "plans": list(PlanName),
    "severities": list(Severity),
    "states": list(TicketState),
}


@bp.get("/desk")
@requires(Permission.DESK)
def index() -> Answer:
    person, now, zone = actor(), clock.now(), zone_here()
    wish, scope = wish_of(request.args), desk_of(person, roles())
    if "go" in request.args and (exact := scope.find(wish.text)) is not None:
        return see_other(f"/desk/{exact.key}")
    counts = desk_counts(person, scope, now=now)
    rows, paging = queue_of(person, scope, wish, counts, now=now)
    return page(
        "desk/index.html",
        rows=rows,
        tags=tags.tags_of(db.session(), [row.id for row in rows]),
        paging=paging,
        counts=counts,
        since=now,
        changed=0,
        faces={t.id: face_of(t, zone, now, staff=True) for t in rows},
        **_around(person, wish),
    )


def _around(person: Person, wish: DeskWish) -> dict[str, Any]:
    """Return what stands beside a queue and above it."""
    offered, may_answer = tuple(agents_to_choose(db.session())), may(Permission.ANSWER)
    return {
        "wish": wish,
        "queues": list(Queue),
        "doors": list(DoorName),
        "states": list(TicketState),
        "narrow": _narrow(wish, offered, may_answer),
        "give": _give(offered, person.id),
        "may_answer": may_answer,
        "back": wish.href(page=wish.page),
        "views": views_of(person),
        "view": number_in(request.args.get("view", "")),
    }


def wish_of(given: Mapping[str, str]) -> DeskWish:
    """Return the queue that an address names, or a saved view; what it does not know is as if it were not there."""
    assignee = given.get("assignee", "")
    return DeskWish(
        queue=next((q for q in Queue if q.value == given.get("queue")), Queue.DUE),
        door=next((d for d in DoorName if d.value == given.get("door")), None),
        when=given.get("when", "") if given.get("when") in {"late", "soon", "escalated"} else "",
        plan=next((p for p in PlanName if p.value == given.get("plan")), None),
        severity=next((s for s in Severity if s.value == given.get("severity")), None),
        state=next((s for s in TicketState if s.value == given.get("state")), None),
        assignee=assignee if assignee == NOBODY or number_in(assignee) else "",
        **_typed(given),
        only=given.get("only", "") if given.get("only") in ONLY else "",
        tag=tag_name(cleaned(given.get("tag", "")))[: tags.NAME_MOST],
        text=cleaned(given.get("q", ""))[:200].strip(),
        page=page_here() if given is request.args else 1,
        after=given.get("after", "")[:80],
        before=given.get("before", "")[:80],
    )


@lru_cache(maxsize=64)
def _narrow(wish: DeskWish, offered: tuple[Row[int, str], ...], may_answer: bool) -> Markup:
    """Return the form above a queue: a sixth of the page's cost, and the same until something else is asked."""
    narrowing = urlencode({name: value for name, value in wish.parts.items() if value})
    return part("desk/_narrow.html", wish=wish, agents=offered, may_answer=may_answer, narrowing=narrowing, **_OFFERED)


@lru_cache(maxsize=64)
def _give(offered: tuple[Row[int, str], ...], me: int) -> Markup:
    return part("desk/_give.html", agents=offered, me=me)


def _typed(given: Mapping[str, str]) -> dict[str, str]:
    """Return what was typed to narrow a queue; what is longer than such a word can be is as if it were not there."""
    typed = {name: cleaned(given.get(name, "")).strip() for name in _WORDS}
    return {name: value for name, value in typed.items() if len(value) <= _WORDS[name][1]}


@bp.get("/desk/changed")
@requires(Permission.DESK)
def changed() -> Answer:
    # Nobody asked for this: a page that lies open must not keep a sign-in alive.
    g.unattended = True
    since = datetime.fromtimestamp(min(number_in(request.args.get("since", "")), _LAST_MS) / 1000, UTC)
    here = _here(request.args.get("back", ""))
    wish = wish_of(dict(parse_qsl(here.partition("?")[2])))
    many = changed_since(actor(), desk_of(actor(), roles()), wish, since)
    return polled("desk/_changed.html", since=since, changed=many, back=here)


def _here(address: str) -> str:
    """Return the address if it is a queue of ours, else that of the first queue."""
    return address if address.isprintable() and address.partition("?")[0] == "/desk" else "/desk"


@bp.post("/desk/next")
@requires(Permission.ANSWER)
def take_next() -> Answer:
    ticket = batches.take_next(desk_of(actor(), roles()), actor(), now=clock.now())
    if ticket is None:
        db.session.rollback()
        return see_other("/desk?queue=unassigned", warn="No ticket waits for an assignee. Look at what is due next.")
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good=f"{ticket.key} is yours.")


@bp.post("/desk/together/assignee")
@requires(Permission.ANSWER)
def assign_together() -> Answer:
    given, now = request.form.get("assignee", ""), clock.now()
    assignee = next((person for person in agents(db.session()) if str(person.id) == given), None)

    def assign(ticket: Ticket) -> None:
        handling.assign(ticket, actor(), assignee, now=now)

    wrong = "" if assignee or given == NOBODY else "Choose one of the support agents, or nobody."
    return _together(assign, f"given to {assignee.name}" if assignee else "without an assignee now", wrong)


@bp.post("/desk/together/state")
@requires(Permission.ANSWER)
def set_state_together() -> Answer:
    state, now = next((s for s in TicketState if s.value == request.form.get("state")), None), clock.now()

    if state is None:
        return _together(lambda _: None, "", "Choose a status from the list.")

    def set_state(ticket: Ticket) -> None:
        conversations.set_state(ticket, actor(), state, now=now)

    return _together(set_state, f"{state.desk_label} now")


@bp.post("/desk/together/tag")
@requires(Permission.ANSWER)
def tag_together() -> Answer:
    written, now = cleaned(request.form.get("tag", "")), clock.now()
    off = request.form.get("do") == "off"

    def change(ticket: Ticket) -> None:
        (tags.remove_tag if off else tags.add_tag)(ticket, actor(), written, now=now)

    wrong = "" if tag_name(written) else "Write the tag, for example slow-query."
    return _together(change, f"{'without' if off else 'with'} the tag {tag_name(written)} now", wrong)


def _together(verb: Callable[[Ticket], None], words: str, wrong: str = "") -> Answer:
    """Change the chosen tickets, all or none, and go back to the queue that they were chosen in."""
    keys, back = map(cleaned, request.form.getlist("ticket")), _here(request.form.get("back", ""))
    try:
        if wrong:
            raise Refused(wrong)  # noqa: TRY301 (told like every other reason)
        many = batches.change_all(desk_of(actor(), roles()), keys, verb)
    except Refused as refused:
        db.session.rollback()
        return invalid("desk/together.html", reason=refused.reason, back=back)
    db.session.commit()
    return see_other(back, good=f"{many} ticket{'' if many == 1 else 's'} {'is' if many == 1 else 'are'} {words}.")
