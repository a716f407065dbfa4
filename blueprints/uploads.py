"""Files that come with a form: kept with the sender's draft, so that a refused form loses none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from flask import request
from sqlalchemy.exc import IntegrityError
from werkzeug.datastructures import FileStorage, MultiDict

from blueprints.access import actor, let_go
from blueprints.bodies import Spool
from extensions import clock, db, outside, reading, writing
from forms.base import Form
from models.attachments import (
    Attachment,
    Stored,
    Unchecked,
    Upload,
    attach,
    check_contents,
    check_upload,
    discard,
    draft_and_files,
    own_draft_and_files,
    secure,
    store,
    ticket_bytes,
    unchecked,
)
from models.base import Refused, token
from models.drafts import Draft, draft_of, keep_draft
from models.organizations import Organization
from models.tickets import Ticket, sent_with

T = TypeVar("T")
_PIECE = 64 * 1024
# What a form carries for itself, and not for the draft.
_OWN = frozenset({"csrf_token", "key", "files", "file", "seen", "macro"})
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


class SentBefore(Exception):  # noqa: N818 (the sentence reads: it was sent before)
    """The form came a second time; `key` is that of the ticket to which the first one led."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def once(place: str, send: Callable[[], T]) -> T:
    """Send the form and commit, and return what `send` does. Raises SentBefore for one that came before.

    Nobody is asked beforehand whether it did: hardly any form comes twice, and the message's unique key tells.
    """
    try:
        done = send()
        let_go()
        db.session.commit()
    except (Refused, IntegrityError):
        db.session.rollback()
        check_first(place)
        raise
    return done


def check_first(place: str) -> None:
    """Raise SentBefore when the form came before; what the second one kept goes with it.

    To be asked before anything is said against a form, and after its files were taken: that ends a transaction, and the
    first one may get in between.
    """
    earlier = sent_with(actor(), given_key())
    if earlier is None:
        return
    draft = draft_of(actor(), place, given_key())
    if draft is not None:
        discard(draft)
        db.session.commit()
    raise SentBefore(earlier)


def keep_typed(place: str) -> Draft:
    """Keep what was typed as the person's draft at that place: from now on it stands for a text that was held."""
    let_go()
    return keep_draft(actor(), place, typed(), now=clock.now(), key=given_key())


def kept(place: str) -> tuple[Draft | None, MultiDict[str, str] | None, list[Attachment]]:
    """Return the draft that the page is about, what was typed there, and its files.

    For a posted form with a key that is its own; otherwise the draft that the address names, or the latest.
    """
    wanted = request.args.get("draft", "")
    files: list[Attachment] = []
    if "key" in request.form:
        draft, files = draft_and_files(actor(), place, given_key())
    elif wanted == "new":
        draft = None
    elif wanted.isascii() and wanted.isdigit() and len(wanted) < 18:
        draft, files = own_draft_and_files(actor(), int(wanted))
    else:
        draft, files = draft_and_files(actor(), place)
    if draft is None or draft.place != place:
        return None, None, []
    return draft, MultiDict(draft.fields), files


def take_files(form: Form, place: str, ticket: Ticket | None = None, organization: Organization | None = None) -> bool:
    """Attach the posted files to the form's draft; returns whether all were taken, errors named in the form.

    They count in the room of the ticket's organization, or of the given one. The bytes are written while nobody else is
    kept from writing. The draft is committed with its files: one that arrived is not asked for again. Raises OSError
    when the store fails.
    """
    uploads = [upload for upload in request.files.getlist("files") if upload.filename]
    if not uploads:
        return True
    reading()
    arrived, fine = _stored(form, uploads)
    writing()
    draft = keep_typed(place)
    there = ticket_bytes(ticket.id, db.session()) if ticket else 0
    owner = ticket.organization if ticket else organization
    taken = []
    for upload, one in arrived:
        try:
            row = attach(draft, one, outside().limits, now=clock.now(), on_ticket=there, owner=owner)
            taken.append((upload, row))
        except Refused as refused:
            form.refuse(refused)
            fine = False
    db.session.commit()
    for upload, row in taken:
        _secure(row, upload)
    return fine


def _secure(row: Attachment, upload: Upload) -> None:
    """Make sure that the row's bytes are kept, or take the row back: none may name bytes that are not there."""
    try:
        secure(row, upload, outside().files)
    except OSError:
        db.session.delete(row)
        db.session.commit()
        raise


def _stored(form: Form, uploads: list[FileStorage]) -> tuple[list[tuple[Upload, Stored]], bool]:
    """Store the bytes of what fits and is clean; returns those, and whether that were all."""
    limits, arrived, fine = outside().limits, [], True
    scanner = outside().scanner
    away = False
    for number, upload in enumerate(uploads[:100], 1):
        try:
            given = _upload(upload)
            check_upload(given, limits, number)
            if away:
                # One that did not answer is not waited for again, with every file of the form.
                raise unchecked(given)
            if scanner is not None:
                check_contents(given, scanner)
            arrived.append((given, store(given, outside().files)))
        except Refused as refused:
            away = away or isinstance(refused, Unchecked)
            form.refuse(refused)
            fine = False
    return arrived, fine


def _upload(upload: FileStorage) -> Upload:
    """Return the file as it arrived; raises OSError when there was no room for it."""
    spool = upload.stream
    assert isinstance(spool, Spool)
    if spool.trouble is not None:
        raise spool.trouble
    return Upload(upload.filename or "file", spool.length, _Pieces(spool))


class _Pieces:
    """The bytes of a file, from its beginning each time that they are asked for."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __iter__(self) -> Iterator[bytes]:
        self._spool.seek(0)
        while piece := self._spool.read(_PIECE):
            yield piece
