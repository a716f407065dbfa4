"""Tickets in their relation to each other: links, merging, splitting. Each is a page that shows what it does."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from blueprints.access import actor, requires, roles
from blueprints.deskwork import number_in, ticket_here
from blueprints.pages import Answer, invalid, page, see_other
from blueprints.uploads import given_key
from extensions import clock, db
from forms.desk import LinkForm, MergeForm, SplitForm
from models.base import NotFound, Refused, token
from models.links import around, merged_into, relate, unrelate
from models.permissions import Permission
from models.prose import cleaned
from models.restructuring import check_merge, lock, merge, newcomers, promise_lost, split
from models.tickets import Ticket, desk_of
from models.timelines import timeline_of

bp = Blueprint("arranging", __name__)


@bp.get("/desk/<key:key>/links")
@requires(Permission.ANSWER)
def links(key: str) -> Answer:
    return page("desk/links.html", **_links(ticket_here(key), LinkForm()))


def _links(ticket: Ticket, form: LinkForm) -> dict[str, Any]:
    return {"ticket": ticket, "form": form, "links": around(ticket, desk_of(actor(), roles())).links}


@bp.post("/desk/<key:key>/links")
@requires(Permission.ANSWER)
def link(key: str) -> Answer:
    form = LinkForm()
    ticket, other = _pair(key, form.other.data or "")
    try:
        if form.validate():
            relate(ticket, other, actor(), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
    if form.errors or other is None:
        return invalid("desk/links.html", **_links(ticket, form))
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good=f"{ticket.key} and {other.key} are linked.")


def _pair(key: str, other: str) -> tuple[Ticket, Ticket | None]:
    """Return both tickets, locked in one order whoever asks; raises NotFound for the first, None for no second."""
    other = cleaned(other).strip()
    lock(db.session(), key, other)
    return ticket_here(key), desk_of(actor(), roles()).find(other)


@bp.post("/desk/<key:key>/links/remove")
@requires(Permission.ANSWER)
def unlink(key: str) -> Answer:
    ticket, other = _pair(key, request.form.get("other", ""))
    if other is None:
        raise NotFound
    unrelate(ticket, other, actor(), now=clock.now())
    db.session.commit()
    return see_other(f"/desk/{ticket.key}", good=f"{ticket.key} and {other.key} are no longer linked.")


@bp.get("/desk/<key:key>/merge")
@requires(Permission.ANSWER)
def ask_merge(key: str) -> Answer:
    ticket = ticket_here(key)
    form = MergeForm(formdata=None, into=cleaned(request.args.get("into", ""))[:40])
    if not form.into.data:
        return page("desk/merge.html", **_merge(ticket, form, None))
    other = desk_of(actor(), roles()).find(form.into.data.strip())
    try:
        into = check_merge(ticket, other, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("desk/merge.html", **_merge(ticket, form, None))
    return page("desk/merge.html", **_merge(ticket, form, into))


def _merge(ticket: Ticket, form: MergeForm, into: Ticket | None) -> dict[str, Any]:
    people = newcomers(ticket, into) if into is not None else []
    lost = into is not None and promise_lost(ticket, into)
    return {"ticket": ticket, "form": form, "into": into, "newcomers": people, "lost": lost}


@bp.post("/desk/<key:key>/merge")
@requires(Permission.ANSWER)
def create_merge(key: str) -> Answer:
    form = MergeForm()
    ticket, other = _pair(key, form.into.data or "")
    if other is not None and merged_into(ticket, desk_of(actor(), roles())) == other.key:
        return see_other(f"/desk/{other.key}")
    try:
        merge(ticket, other, actor(), carry=form.carry.data, now=clock.now())
    except Refused as refused:
        db.session.rollback()
        form.refuse(refused)
        into = other if refused.field == "carry" else None
        return invalid("desk/merge.html", **_merge(ticket_here(key), form, into))
    db.session.commit()
    goes_on = other.key if other else ticket.key
    return see_other(f"/desk/{goes_on}", good=f"{ticket.key} is merged into {goes_on}, and closed.")


@bp.get("/desk/<key:key>/split")
@requires(Permission.ANSWER)
def ask_split(key: str) -> Answer:
    ticket = ticket_here(key)
    return page("desk/split.html", **_split(ticket, SplitForm(formdata=None, key=token(), summary=ticket.summary)))


def _split(ticket: Ticket, form: SplitForm) -> dict[str, Any]:
    before = number_in(request.args.get("before", ""))
    timeline = timeline_of(ticket, internal=True, desk=True, before=before)
    messages = [entry for entry in timeline.entries if entry.comment and not entry.comment.held and not entry.opens]
    chosen = set(request.form.getlist("messages"))
    return {"ticket": ticket, "form": form, "timeline": timeline, "messages": messages, "chosen": chosen}


@bp.post("/desk/<key:key>/split")
@requires(Permission.ANSWER)
def create_split(key: str) -> Answer:
    ticket, form = ticket_here(key), SplitForm()
    chosen = [number_in(written) for written in request.form.getlist("messages")[:200]]
    try:
        fine = form.validate()
        new = split(ticket, actor(), chosen, form.summary.data or "", key=given_key(), now=clock.now()) if fine else ""
    except Refused as refused:
        db.session.rollback()
        form.refuse(refused)
        fine = False
    if not fine:
        return invalid("desk/split.html", **_split(ticket_here(key), form))
    db.session.commit()
    return see_other(f"/desk/{new}", good=f"{new} created of the messages that you chose.")
