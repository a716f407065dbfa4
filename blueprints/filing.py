"""Both portal forms: filling, drafts, files, preview, and filing."""

from __future__ import annotations

from flask import Blueprint, request
from werkzeug.datastructures import MultiDict

from blueprints.access import actor, held, let_go, requires
from blueprints.pages import Answer, invalid, page, see_other, unsent
from blueprints.sheets import Sheet, explained_door
from blueprints.tills import about_payment
from blueprints.uploads import SentBefore, check_first, given_key, keep_typed, kept, once, take_files
from extensions import clock, db, outside, reading
from models.attachments import Attachment, count_for, discard, draft_to_send, own_draft_and_files, remove_file
from models.base import NotFound, Refused
from models.catalogue import DoorName
from models.drafts import Draft, drafts_of, own_draft
from models.filing import file_ticket
from models.permissions import Permission
from models.prose import cleaned, rendered
from models.tickets import sent_with
from models.waiting import ask_billing, wait_for_plan, waiting_of

bp = Blueprint("filing", __name__)

# What the address may choose beside the text: the page asks so for what hangs on a choice.
ASKED = ("organization", "cluster", "severity", "impact", "environment", "version", "filled")
DOOR = "<any(technical, billing):door>"


@bp.get(f"/help/{DOOR}/new")
@requires(Permission.HELP)
def new(door: str) -> Answer:
    name = DoorName(door)
    draft, fields, files = kept(door)
    asked = {part: request.args[part] for part in ASKED if part in request.args}
    about = about_payment() if name is DoorName.BILLING else None
    if about is not None:
        draft, fields, files = None, about, []
    text = held()
    sheet = Sheet(name, text or fields or MultiDict(), asked=asked)
    # Whoever comes back to words of theirs finds them: the form itself says that the plan is closed.
    goes_on = text is not None or (draft is not None and "draft" in request.args)
    if not (sheet.entitled or goes_on or "organization" in asked):
        return explained_door(name, draft)
    key = draft.key if draft else None
    return page("tickets/new.html", sheet=sheet, form=sheet.form(key), files=files, draft=draft, preview="")


@bp.post(f"/help/{DOOR}/new")
@requires(Permission.HELP)
def create(door: str) -> Answer:
    sheet = Sheet(DoorName(door), request.form, key=given_key())
    form = sheet.form(given_key())
    try:
        # The fields first: to validate them forgets what is said of the files.
        if not all([sheet.valid(), _take_files(sheet)]):
            check_first(door)
            return _refused(door, sheet)
        key = once(door, lambda: _file(sheet, given_key()))
    except SentBefore as before:
        return see_other(f"/requests/{before.key}")
    except Refused as refused:
        form.refuse(refused)
        return _refused(door, sheet)
    return see_other(f"/requests/{key}", good=sheet.filed_words(key))


def _file(sheet: Sheet, key: str) -> str:
    return file_ticket(actor(), sheet.filing(), key=key, now=clock.now(), draft=_draft(sheet, key))


def _take_files(sheet: Sheet) -> bool:
    return take_files(sheet.bound, sheet.door.value, organization=sheet.organization)


def _draft(sheet: Sheet, key: str) -> Draft | None:
    """Return the draft whose files go along, counted for whom the request is; raises Refused when they do not fit."""
    if not (sheet.facts.files or any(upload.filename for upload in request.files.getlist("files"))):
        return None
    draft = draft_to_send(actor(), sheet.door.value, key)
    if draft is not None:
        count_for(draft, sheet.organization, outside().limits)
    return draft


def _refused(door: str, sheet: Sheet) -> Answer:
    """Show the form with its errors; what was typed is a draft from now on, so that nothing is lost anywhere."""
    draft = keep_typed(door)
    if sheet.organization is not None and not sheet.offer.open:
        wait_for_plan(draft, sheet.organization, now=clock.now())
    reading()
    _, _, files = kept(door)
    return _answer(sheet, draft, files)


def _answer(sheet: Sheet, draft: Draft, files: list[Attachment]) -> Answer:
    form = sheet.bound
    say = unsent if sheet.kept and not form.errors else invalid
    return say("tickets/new.html", sheet=sheet, form=form, files=files, draft=draft, preview="")


@bp.post(f"/help/{DOOR}/organization")
@requires(Permission.HELP)
def use_organization(door: str) -> Answer:
    """Take over another organization or cluster without JavaScript, as the page does by itself with it."""
    draft = keep_typed(door)
    asked = {part: request.form[part] for part in ASKED if part in request.form}
    draft.fields = Sheet(DoorName(door), MultiDict(draft.fields), asked=asked).refilled(draft.fields)
    db.session.commit()
    return see_other(f"/help/{door}/new?draft={draft.id}")


@bp.post(f"/help/{DOOR}/draft")
@requires(Permission.HELP)
def save_draft(door: str) -> Answer:
    if sent_with(actor(), given_key()) is None:
        keep_typed(door)
        db.session.commit()
    return see_other("/help/drafts")


@bp.get("/help/drafts")
@requires(Permission.HELP)
def drafts() -> Answer:
    waiting = waiting_of(actor(), now=clock.now())
    ids = {one.draft.id for one in waiting}
    every = drafts_of(actor())
    drafts = [draft for draft in every if draft.id not in ids]
    doors = {d.value: d.label for d in DoorName}
    return page("tickets/drafts.html", latest=every[0] if every else None, drafts=drafts, waiting=waiting, doors=doors)


@bp.post("/help/drafts/<number:id>/file")
@requires(Permission.HELP)
def file_waiting(id: int) -> Answer:  # noqa: A002 (the name in the address)
    """File a text that waited for a plan as it stands, checked anew; what has to be chosen first is asked."""
    if before := sent_with(actor(), given_key()):
        return see_other(f"/requests/{before}")
    draft = own_draft(actor(), id)
    if draft.place != DoorName.TECHNICAL.value:
        raise NotFound
    sheet = Sheet(DoorName.TECHNICAL, MultiDict(draft.fields), key=draft.key)
    form = sheet.form(draft.key)
    try:
        if not sheet.valid():
            return _shown_again(sheet, draft)
        key = once(draft.place, lambda: _file(sheet, draft.key))
    except SentBefore as done:
        return see_other(f"/requests/{done.key}")
    except Refused as refused:
        form.refuse(refused)
        return _shown_again(sheet, draft)
    return see_other(f"/requests/{key}", good=sheet.filed_words(key))


def _shown_again(sheet: Sheet, draft: Draft) -> Answer:
    _, files = own_draft_and_files(actor(), draft.id)
    return _answer(sheet, draft, files)


@bp.post("/help/drafts/<number:id>/billing")
@requires(Permission.HELP)
def make_billing(id: int) -> Answer:  # noqa: A002 (the name in the address)
    draft = own_draft(actor(), id)
    if draft.waits_since is None:
        raise NotFound
    ask_billing(draft)
    db.session.commit()
    return see_other(f"/help/billing/new?draft={draft.id}")


@bp.post("/help/drafts/<number:id>/discard")
@requires(Permission.HELP)
def discard_draft(id: int) -> Answer:  # noqa: A002 (the name in the address)
    draft = own_draft(actor(), id)
    key = draft.place.rpartition(":")[2]
    let_go(f"/help/{key}/new", f"/requests/{key}", f"/desk/{key}")
    discard(draft)
    db.session.commit()
    return see_other("/help/drafts", good="The draft is thrown away.")


@bp.post(f"/help/{DOOR}/files")
@requires(Permission.HELP)
def add_files(door: str) -> Answer:
    sheet = Sheet(DoorName(door), request.form)
    sheet.form(given_key())
    if not _take_files(sheet):
        return _refused(door, sheet)
    draft = keep_typed(door)
    db.session.commit()
    return see_other(f"/help/{door}/new?draft={draft.id}")


@bp.post(f"/help/{DOOR}/files/remove")
@requires(Permission.HELP)
def drop_file(door: str) -> Answer:
    draft = keep_typed(door)
    try:
        name = remove_file(draft, cleaned(request.form.get("file", ""))[:40])
    except NotFound:
        name = ""
    db.session.commit()
    return see_other(f"/help/{door}/new?draft={draft.id}", good=f"{name} is removed." if name else "")


@bp.post(f"/help/{DOOR}/preview")
@requires(Permission.HELP)
def preview(door: str) -> Answer:
    sheet = Sheet(DoorName(door), request.form)
    draft = keep_typed(door)
    reading()
    _, _, files = kept(door)
    text = rendered(cleaned(request.form.get("description", ""))[:70_000])
    form = sheet.form(given_key())
    return page("tickets/new.html", sheet=sheet, form=form, files=files, draft=draft, preview=text)
