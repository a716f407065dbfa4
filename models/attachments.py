"""Files: first a part of a draft, then of the message that they were sent with. To us they are opaque bytes."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from sqlalchemy import BigInteger, ForeignKey, Index, Select, String, bindparam, exists, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, NotFound, Refused, session_of, token
from models.drafts import SENT, Draft
from models.numbers import hold
from models.organizations import Organization
from models.outside import FileStore, Scanner, TooLargeToScan
from models.people import Person
from models.tickets import Comment, Ticket, Tickets
from models.wording import size

MEGABYTE = 1024 * 1024
# Bytes that an image of the kind begins with: only these are ever shown in place, everything else is downloaded.
_SIGNATURES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("image/png", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", lambda head: head.startswith(b"\xff\xd8\xff")),
    ("image/gif", lambda head: head[:6] in {b"GIF87a", b"GIF89a"}),
    ("image/webp", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
)
# Marks that turn the direction of text would let `exe.png` be shown as a name's end.
_DIRECTION = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"))


class Attachment(Model):
    """One file. It belongs to a draft until its message is sent; its address is random and checked at every fetch."""

    __tablename__ = "attachments"
    # What an organization's files weigh is added up from this index alone.
    __table_args__ = (Index(None, "organization_id", "length"),)

    public_id: Mapped[str] = mapped_column(String(40), unique=True, default=token)
    uploader_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    draft_id: Mapped[int | None] = mapped_column(ForeignKey("drafts.id"), index=True)
    comment_id: Mapped[int | None] = mapped_column(ForeignKey("comments.id"), index=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    # Whose room it takes: the request's organization, as soon as that is known.
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(String(255))
    stored: Mapped[str] = mapped_column(String(80), index=True)
    length: Mapped[int] = mapped_column(BigInteger)
    image: Mapped[str] = mapped_column(String(20), default="")
    created_at: Mapped[datetime]

    @property
    def size(self) -> str:
        """The size in words."""
        return size(self.length)


class DoomedFile(Model):
    """A stored file whose bytes are about to be deleted: from the mark on, nobody may count on them."""

    __tablename__ = "doomed_files"

    name: Mapped[str] = mapped_column(String(80), unique=True)
    at: Mapped[datetime]


@dataclass(frozen=True)
class FileLimits:
    """How much may be attached."""

    file_bytes: int
    per_message: int
    ticket_bytes: int
    organization_bytes: int = 10 * 1024 * MEGABYTE

    @property
    def words(self) -> str:
        """The limits as the form states them before anything is chosen."""
        return (
            f"Up to {size(self.file_bytes)} each, {self.per_message} files a message, "
            f"{size(self.ticket_bytes)} a request."
        )


@dataclass(frozen=True)
class Upload:
    """A file as it arrives: its name, how many bytes the browser sent, and the bytes, which can be read repeatedly."""

    name: str
    length: int
    chunks: Iterable[bytes]


def safe_name(name: str) -> str:
    """Return the file's last name without paths, control characters and marks of direction, at most 200 characters."""
    last = name.replace("\\", "/").rsplit("/", maxsplit=1)[-1].translate(_DIRECTION)
    plain = "".join(
        c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"}
    )
    stem, dot, end = plain.strip().rpartition(".")
    kept = f"{stem[: 190 - len(end)]}.{end}" if dot and len(end) <= 20 else plain.strip()[:200]
    return kept.strip() or "file"


@dataclass(frozen=True)
class Stored:
    """A file whose bytes are kept already, under the name `stored`."""

    name: str
    stored: str
    length: int
    image: str


def check_upload(upload: Upload, limits: FileLimits, number: int = 1) -> None:
    """Raise Refused, naming the file, for what can be told before it is stored; `number` counts those of one form."""
    name = safe_name(upload.name)
    if number > limits.per_message:
        raise _too_many(name, limits)
    if upload.length > limits.file_bytes:
        raise Refused(
            f"Remove or replace {name}: it is {size(upload.length)} and files can be up to {size(limits.file_bytes)}.",
            "files",
        )
    if upload.length == 0:
        raise Refused(f"Remove or replace {name}: it is empty.", "files")


class Unchecked(Refused):
    """Nobody could tell whether the file is clean."""


def check_contents(upload: Upload, scanner: Scanner) -> None:
    """Raise Refused, naming the file, unless it was looked at and is clean; Unchecked when the scanner is away."""
    name = safe_name(upload.name)
    try:
        found = scanner.scan(upload.chunks)
    except TooLargeToScan:
        raise Refused(
            f"Remove or replace {name}: at {size(upload.length)} it is too large to be checked for viruses.", "files"
        ) from None
    except OSError:
        raise unchecked(upload) from None
    if found:
        raise Refused(f"Remove {name}: the virus scanner found {found[:80]} in it. It was not kept.", "files")


def unchecked(upload: Upload) -> Unchecked:
    """Return the refusal of a file that nobody could look at."""
    name = safe_name(upload.name)
    return Unchecked(f"{name} could not be checked for viruses just now. Attach it again in a few minutes.", "files")


def store(upload: Upload, files: FileStore) -> Stored:
    """Keep the bytes, before any row names them; what no row ever names is swept by the worker."""
    chunks = iter(upload.chunks)
    head = next(chunks, b"")
    stored, written = files.put(chain([head], chunks))
    return Stored(safe_name(upload.name), stored, written, next((kind for kind, fits in _SIGNATURES if fits(head)), ""))


def attach(
    draft: Draft,
    file: Stored,
    limits: FileLimits,
    *,
    now: datetime,
    on_ticket: int = 0,
    owner: Organization | None = None,
) -> Attachment:
    """Make the stored file a part of the draft; raises Refused naming it when there is no room for it.

    `on_ticket` is how many bytes the ticket has already, `owner` the organization in whose room it counts. The same
    file under the same name is meant once. After the commit `secure` must follow, outside of the transaction.
    """
    session = session_of(draft)
    hold(session, "files")
    if session.scalar(select(DoomedFile.id).where(DoomedFile.name == file.stored)) is not None:
        raise Refused(f"{file.name} could not be kept just now. Attach it again in a few minutes.", "files")
    kept = files_of(draft)
    twin = next((a for a in kept if (a.name, a.stored) == (file.name, file.stored)), None)
    if twin is not None:
        return twin
    if len(kept) >= limits.per_message:
        raise _too_many(file.name, limits)
    if on_ticket + sum(a.length for a in kept) + file.length > limits.ticket_bytes:
        raise Refused(
            f"{file.name} does not fit: the files of one request can be up to {size(limits.ticket_bytes)} together.",
            "files",
        )
    if owner is not None and organization_bytes(owner.id, session) + file.length > limits.organization_bytes:
        raise _no_room(file.name, owner, limits)
    attachment = Attachment(
        uploader_id=draft.person_id,
        draft_id=draft.id,
        organization_id=owner.id if owner else None,
        name=file.name,
        stored=file.stored,
        length=file.length,
        image=file.image,
        created_at=now,
    )
    session.add(attachment)
    session.flush()
    return attachment


def secure(attachment: Attachment, upload: Upload, files: FileStore) -> None:
    """Store the bytes once more if they are gone; raises OSError when that fails.

    They may have been swept as unused after they were stored and before their row was. From its commit on nobody
    takes them for unused any more, so that what this finds to be there stays there.
    """
    if not files.has(attachment.stored):
        files.put(upload.chunks)


def count_for(draft: Draft, owner: Organization | None, limits: FileLimits) -> None:
    """Count the draft's files in the room of the organization that the request is for; raises Refused naming one.

    To be called in the transaction that sends the draft: with the write lock, two requests cannot share one last room.
    """
    session, files = session_of(draft), files_of(draft)
    if files:
        hold(session, "files")
    for attachment in files:
        attachment.organization_id = owner.id if owner else None
    session.flush()
    if owner is not None and files and organization_bytes(owner.id, session) > limits.organization_bytes:
        raise _no_room(files[-1].name, owner, limits)


def organization_bytes(organization_id: int, session: Session) -> int:
    """Return how many bytes the organization's files have together, those in drafts included.

    A sum over an index, and no counter beside the rows: it cannot drift from them, whatever deletes them.
    """
    total = select(func.coalesce(func.sum(Attachment.length), 0)).where(Attachment.organization_id == organization_id)
    return int(session.scalar(total) or 0)


def _no_room(name: str, owner: Organization, limits: FileLimits) -> Refused:
    return Refused(
        f"Remove {name}: all files of {owner.name} can be up to {size(limits.organization_bytes)} together, and "
        "it does not fit any more. Send the rest without it, and say that you need more room.",
        "files",
    )


def _too_many(name: str, limits: FileLimits) -> Refused:
    return Refused(f"Remove a file to add {name}: a message carries at most {limits.per_message} files.", "files")


def files_of(draft: Draft) -> list[Attachment]:
    """Return the draft's files in the order in which they came."""
    return list(
        session_of(draft).scalars(select(Attachment).where(Attachment.draft_id == draft.id).order_by(Attachment.id))
    )


# One row where files wait with the draft that a form is sent from, or where the draft waited for a plan.
WAITING_FILES = (
    select(func.min(Draft.id))
    .where(Draft.person_id == bindparam("person"), Draft.place == bindparam("place"), Draft.key == bindparam("key"))
    .where(Draft.waits_for_id.is_not(None) | exists(select(Attachment.id).where(Attachment.draft_id == Draft.id)))
    .having(func.count() > 0)
)


def draft_to_send(person: Person, place: str, key: str) -> Draft | None:
    """Return the person's draft at that place under the form's key if it has files or waited for a plan, else None."""
    return session_of(person).scalar(_TO_SEND, {"person": person.id, "place": place, "key": key})


_TO_SEND = select(Draft).where(
    Draft.person_id == bindparam("person"),
    Draft.place == bindparam("place"),
    Draft.key == bindparam("key"),
    Draft.waits_for_id.is_not(None) | exists(select(Attachment.id).where(Attachment.draft_id == Draft.id)),
)


def draft_and_files(person: Person, place: str, key: str = "") -> tuple[Draft | None, list[Attachment]]:
    """Return what `draft_of` does, and the draft's files in the order in which they came; one statement."""
    return _first(person, _WITH_KEY if key else _LATEST, place=place, key=key)


def own_draft_and_files(person: Person, draft_id: int) -> tuple[Draft, list[Attachment]]:
    """Return what `own_draft` does, and its files; one statement. Raises NotFound as that does."""
    draft, files = _first(person, _BY_ID, draft=draft_id)
    if draft is None:
        raise NotFound
    return draft, files


def _first(person: Person, wanted: Select[Draft, Attachment], **given: object) -> tuple[Draft | None, list[Attachment]]:
    rows = session_of(person).execute(wanted, {"person": person.id, **given}).all()
    draft = rows[0][0] if rows else None
    return draft, [attachment for one, attachment in rows if one is draft and attachment is not None]


_WITH_FILES = (
    select(Draft, Attachment)
    .outerjoin(Attachment, Attachment.draft_id == Draft.id)
    .where(Draft.person_id == bindparam("person"))
    .order_by(Draft.updated_at.desc(), Draft.id.desc(), Attachment.id)
)
_LATEST = _WITH_FILES.where(Draft.place == bindparam("place"), ~SENT)
_WITH_KEY = _WITH_FILES.where(Draft.place == bindparam("place"), Draft.key == bindparam("key"))
_BY_ID = _WITH_FILES.where(Draft.id == bindparam("draft"), ~SENT)


def remove_file(draft: Draft, public_id: str) -> str:
    """Take the file from the draft and return its name; raises NotFound when the draft has no such file."""
    session = session_of(draft)
    mine = select(Attachment).where(Attachment.public_id == public_id, Attachment.draft_id == draft.id)
    attachment = session.scalar(mine)
    if attachment is None:
        raise NotFound
    session.delete(attachment)
    return attachment.name


def hand_over(draft: Draft, comment: Comment) -> list[Attachment]:
    """Give the draft's files to the message that was sent."""
    session, handed = session_of(draft), files_of(draft)
    # The ticket was read or made a moment ago: this asks no database.
    ticket = session.get_one(Ticket, comment.ticket_id)
    for attachment in handed:
        attachment.organization_id = ticket.organization_id
        attachment.draft_id = None
        attachment.comment_id = comment.id
        attachment.ticket_id = comment.ticket_id
    session.flush()
    return handed


def attachments_of(comment_ids: Iterable[int], session: Session) -> dict[int, list[Attachment]]:
    """Return the files of the messages, by message."""
    found: dict[int, list[Attachment]] = {}
    ids = list(comment_ids)
    if not ids:
        return found
    query = select(Attachment).where(Attachment.comment_id.in_(ids)).order_by(Attachment.id)
    for attachment in session.scalars(query):
        found.setdefault(attachment.comment_id or 0, []).append(attachment)
    return found


def ticket_bytes(ticket_id: int, session: Session) -> int:
    """Return how many bytes the ticket's files have together."""
    total = select(func.coalesce(func.sum(Attachment.length), 0)).where(Attachment.ticket_id == ticket_id)
    return int(session.scalar(total) or 0)


def attachment_of(actor: Person, scopes: Iterable[Tickets], public_id: str) -> Attachment:
    """Return the file if the person may see its ticket (and its note), or it is in their own draft; else NotFound."""
    session = session_of(actor)
    of_draft = Attachment.draft_id.in_(select(Draft.id).where(Draft.person_id == actor.id))
    ways = [of_draft]
    for scope in scopes:
        messages = select(Comment.id).join(Ticket, Ticket.id == Comment.ticket_id).where(scope.condition)
        if not scope.internal:
            messages = messages.where(Comment.internal.is_(False))
        ways.append(Attachment.comment_id.in_(messages))
    attachment = session.scalar(select(Attachment).where(Attachment.public_id == public_id, or_(*ways)))
    if attachment is None:
        raise NotFound
    return attachment


def contents(attachment: Attachment, files: FileStore) -> Iterator[bytes]:
    """Yield the file's bytes; raises FileNotFoundError when the store has lost them."""
    return files.get(attachment.stored)


def discard(draft: Draft) -> None:
    """Throw a draft away with its files; their bytes are swept by the worker."""
    session = session_of(draft)
    for attachment in files_of(draft):
        session.delete(attachment)
    session.flush()
    session.delete(draft)
    session.flush()
