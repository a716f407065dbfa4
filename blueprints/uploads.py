"""Files that come with a form: kept with the sender's draft, so that a refused form loses none."""

from __future__ import annotations

from collections.abc import Iterator

from flask import request
from werkzeug.datastructures import FileStorage, MultiDict

from blueprints.access import actor, let_go
from extensions import clock, db, outside, reading, writing
from forms.base import Form
from models.attachments import (
    Attachment,
    Stored,
    Upload,
    attach,
    check_upload,
    discard,
    files_of,
    store,
    ticket_bytes,
)
from models.base import Refused, token
from models.drafts import Draft, draft_of, keep_draft, own_draft
from models.tickets import Ticket, result_of

_PIECE = 64 * 1024
# What a form carries for itself, and not for the draft.
_OWN = frozenset({"csrf_token", "key", "files", "file", "seen"})
_DRAFT_MOST = 400_000


def typed() -> dict[str, list[str]]:
    """Return what was typed into the posted form, bounded; a draft keeps just this."""
    fields = {name: values for name, values in request.form.lists() if name not in _OWN}
    if sum(len(value) for values in fields.values() for value in values) > _DRAFT_MOST or len(fields) > 50:
        return {}
    return fields


def given_key() -> str:
    """Return the form's own key, or a fresh one when there is none that could be ours."""
    key = request.form.get("key", "")
    return key if 16 <= len(key) <= 40 and key.isascii() and key.isprintable() else token()


def sent_before(place: str) -> str | None:
    """Return where the same form led when it came before, else None; what the second one kept goes with it.

    To be asked after the files were taken: that ends a transaction, and the first form may get in between.
    """
    earlier = result_of(actor(), given_key())
    draft = draft_of(actor(), place, given_key()) if earlier is not None else None
    if draft is not None:
        discard(draft)
        db.session.commit()
    return earlier


def keep_typed(place: str) -> Draft:
    """Keep what was typed as the person's draft at that place: from now on it stands for a text that was held."""
    let_go()
    return keep_draft(actor(), place, typed(), now=clock.now(), key=given_key())


def kept(place: str) -> tuple[Draft | None, MultiDict[str, str] | None, list[Attachment]]:
    """Return the draft that the page is about, what was typed there, and its files.

    For a posted form with a key that is its own; otherwise the draft that the address names, or the latest.
    """
    wanted = request.args.get("draft", "")
    if "key" in request.form:
        draft = draft_of(actor(), place, given_key())
    elif wanted == "new":
        draft = None
    elif wanted.isascii() and wanted.isdigit() and len(wanted) < 18:
        draft = own_draft(actor(), int(wanted))
    else:
        draft = draft_of(actor(), place)
    if draft is None or draft.place != place:
        return None, None, []
    return draft, MultiDict(draft.fields), files_of(draft)


def take_files(form: Form, place: str, ticket: Ticket | None = None) -> bool:
    """Attach the posted files to the form's draft; returns whether all were taken, errors named in the form.

    The bytes are written while nobody else is kept from writing. The draft is committed with its files: one that
    arrived is not asked for again.
    """
    uploads = [upload for upload in request.files.getlist("files") if upload.filename]
    if not uploads:
        return True
    reading()
    arrived, fine = _stored(form, uploads)
    writing()
    draft = keep_typed(place)
    there = ticket_bytes(ticket.id, db.session()) if ticket else 0
    for one in arrived:
        try:
            attach(draft, one, outside().limits, now=clock.now(), on_ticket=there)
        except Refused as refused:
            form.refuse(refused)
            fine = False
    db.session.commit()
    return fine


def _stored(form: Form, uploads: list[FileStorage]) -> tuple[list[Stored], bool]:
    """Store the bytes of what fits; returns those, and whether that were all."""
    limits, arrived, fine = outside().limits, [], True
    for number, upload in enumerate(uploads[:100], 1):
        try:
            given = _upload(upload)
            check_upload(given, limits, number)
            arrived.append(store(given, outside().files))
        except Refused as refused:
            form.refuse(refused)
            fine = False
    return arrived, fine


def _upload(upload: FileStorage) -> Upload:
    upload.stream.seek(0, 2)
    length = upload.stream.tell()
    upload.stream.seek(0)
    return Upload(upload.filename or "file", length, _pieces(upload))


def _pieces(upload: FileStorage) -> Iterator[bytes]:
    while piece := upload.stream.read(_PIECE):
        yield piece
