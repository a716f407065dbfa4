"""What the views of one ticket at the desk share: the ticket, its whole page, and the page's last event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import request

from blueprints.access import actor, held, may, roles
from blueprints.conversation import comment_form, promise_view
from blueprints.pages import Answer, face_of, invalid, zone_here
from blueprints.uploads import keep_typed, kept
from extensions import clock, outside, reading
from forms.base import choices
from forms.desk import AnswerForm, AssigneeForm, StateForm
from models.arrivals import shown_in
from models.base import Refused
from models.catalogue import catalogue_at
from models.circles import beside, circle_of
from models.links import around
from models.macros import choices_of
from models.permissions import Permission
from models.tickets import Ticket, desk_of
from models.timelines import timeline_of


def ticket_here(key: str) -> Ticket:
    """Return the ticket of the key as those at the desk see it; raises NotFound for none."""
    return desk_of(actor(), roles()).one_or_404(key)


def number_in(written: str) -> int:
    """Return the number that somebody wrote; 0 for what is none that a database can hold."""
    return int(written) if written.isascii() and written.isdigit() and len(written) < 16 else 0


def seen_last() -> int:
    """Return the last event on the page that the form was sent from; 0 for nonsense."""
    return number_in(request.form.get("seen", ""))


def shown(
    ticket: Ticket,
    form: AnswerForm | None = None,
    preview: str = "",
    refused: Refused | None = None,
    **more: Any,  # noqa: ANN401 (a template takes anything)
) -> dict[str, Any]:
    """Return what the desk shows of one ticket."""
    draft, fields, files = kept(f"ticket:{ticket.key}")
    before = number_in(request.args.get("before", ""))
    timeline = timeline_of(ticket, internal=True, desk=True, before=before)
    seen = str(timeline.entries[-1].id) if timeline.entries else "0"
    form = form or comment_form(AnswerForm, draft, held() or fields)
    form.seen.data = seen
    macros = choices_of(actor()) if may(Permission.ANSWER) else []
    form.macro.choices = choices([("", "Choose a macro"), *((str(m.id), m.name) for m in macros)])
    if refused is not None:
        # The reason is about another form of the page: what is being written here stays.
        form.refuse(Refused(refused.reason))
    circle = circle_of(ticket, actor(), now=clock.now())
    tied = around(ticket, desk_of(actor(), roles()))
    by = beside(ticket)
    return {
        "ticket": ticket,
        "tags": by.tags,
        "rating": by.rating,
        "tags_offered": by.offered,
        "tag_typed": "",
        "timeline": timeline,
        "shown": shown_in(timeline.entries),
        "participants": circle.participants,
        "followers": circle.followers,
        "writers": circle.writers,
        "form": form,
        "files": files,
        "draft": draft,
        "preview": preview,
        "final": ticket.is_final(clock.now()),
        "held_until": ticket.held_until(clock.now()),
        "face": face_of(ticket, zone_here(), clock.now(), staff=True),
        "promise": promise_view(ticket),
        "severity_text": catalogue_at(ticket.catalogue_version).text(ticket.severity),
        "clusters": by.clusters,
        "others": tied.others,
        "links": tied.links,
        **handled(ticket, circle.agents, seen),
        "may_answer": may(Permission.ANSWER),
        "limits": outside().limits,
        "changes": (),
        **more,
    }


def handled(ticket: Ticket, people: Sequence[Any], seen: str) -> dict[str, Any]:
    """Return the forms for its status and its assignee, who is one of the people."""
    assign = AssigneeForm(formdata=None, assignee=str(ticket.assignee_id or ""), seen=seen)
    assign.assignee.choices = choices([("", "Nobody"), *((str(p.id), p.name) for p in people)])
    return {"assign": assign, "state": StateForm(formdata=None, state=ticket.state.value, seen=seen)}


def refused_answer(ticket: Ticket, form: AnswerForm) -> Answer:
    """Keep what was typed as a draft, and answer the page with the reasons beside the fields."""
    keep_typed(f"ticket:{ticket.key}")
    reading()
    return invalid("desk/show.html", **shown(ticket, form))
