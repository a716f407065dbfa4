"""What somebody is writing: kept on the server until it is sent, or 30 days after its last change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, bindparam, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, NotFound, session_of, token
from models.people import Person, digest
from models.tickets import Comment

# Product rule: a draft goes when it is sent, or 30 days after its last change.
KEPT_FOR = timedelta(days=30)
# A text that was on its way when the sign-in had ended waits so long for its writer.
HELD_FOR = timedelta(hours=24)


class Draft(Model):
    """One person's unfinished form at one place: a door of the Help Center, or a ticket's reply.

    Each form has a key of its own: two tabs at one door are two drafts, and no file goes to the other's request.
    """

    __tablename__ = "drafts"
    __table_args__ = (
        UniqueConstraint("person_id", "place", "key"),
        Index(None, "updated_at"),
        Index(None, "waits_for_id"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    place: Mapped[str] = mapped_column(String(60))
    fields: Mapped[dict[str, Any]]
    # Whatever is sent from this draft carries this key, and is taken once.
    key: Mapped[str] = mapped_column(String(40))
    updated_at: Mapped[datetime]
    # The organization whose plan kept it from being sent, and since when.
    waits_for_id: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"))
    waits_since: Mapped[datetime | None]


class HeldText(Model):
    """A form that arrived after its sender's sign-in had ended; given back to the same person alone."""

    __tablename__ = "held_texts"
    __table_args__ = (Index(None, "expires_at"),)

    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    endpoint: Mapped[str] = mapped_column(String(80))
    path: Mapped[str] = mapped_column(String(255))
    fields: Mapped[dict[str, Any]]
    expires_at: Mapped[datetime]


def draft_of(person: Person, place: str, key: str = "") -> Draft | None:
    """Return the person's draft at that place: that of the form with the key, or without a key the latest."""
    given = {"person": person.id, "place": place, "key": key}
    return session_of(person).scalar(_WITH_KEY if key else _LATEST, given)


# What was sent is nobody's draft any more, and swept by the worker: to delete it would make sending cost more.
SENT = exists(select(Comment.id).where(Comment.author_id == Draft.person_id, Comment.form_key == Draft.key))
_THERE = select(Draft).where(Draft.person_id == bindparam("person"), Draft.place == bindparam("place"))
_LATEST = _THERE.where(~SENT).order_by(Draft.updated_at.desc(), Draft.id.desc()).limit(1)
_WITH_KEY = _THERE.where(Draft.key == bindparam("key"))


def own_draft(person: Person, draft_id: int) -> Draft:
    """Return the person's draft with that key; raises NotFound for anybody else's and for none."""
    draft = session_of(person).scalar(select(Draft).where(Draft.id == draft_id, Draft.person_id == person.id, ~SENT))
    if draft is None:
        raise NotFound
    return draft


def drafts_of(person: Person) -> list[Draft]:
    """Return the person's drafts, the latest first (a hundred at most; older ones are swept in their time)."""
    return list(session_of(person).scalars(_DRAFTS, {"person": person.id}))


_DRAFTS = (
    select(Draft)
    .where(Draft.person_id == bindparam("person"), ~SENT)
    .order_by(Draft.updated_at.desc(), Draft.id.desc())
    .limit(100)
)


def keep_draft(person: Person, place: str, fields: Mapping[str, Any], *, now: datetime, key: str = "") -> Draft:
    """Write down what the person has typed so far and return the draft.

    `key` is the form's own key: whatever is sent later from the draft counts as the same form.
    """
    session = session_of(person)
    key = key or token()
    draft = draft_of(person, place, key)
    if draft is None:
        draft = Draft(person_id=person.id, place=place, fields=dict(fields), key=key, updated_at=now)
        session.add(draft)
    else:
        draft.fields = dict(fields)
        draft.updated_at = now
    session.flush()
    return draft


def hold(
    session: Session, person_id: int, secret: str, endpoint: str, path: str, fields: Mapping[str, Any], *, now: datetime
) -> bool:
    """Keep a text for the person for a day, under a secret that only their browser has; returns whether they exist."""
    if session.get(Person, person_id) is None:
        return False
    until = now + HELD_FOR
    text = HeldText(
        key_hash=digest(secret),
        person_id=person_id,
        endpoint=endpoint,
        path=path,
        fields=dict(fields),
        expires_at=until,
    )
    session.add(text)
    return True


def held_for(person: Person, secret: str, *, now: datetime) -> HeldText | None:
    """Return the text held under the secret if it is this person's and not yet forgotten."""
    mine = (HeldText.key_hash == digest(secret)) & (HeldText.person_id == person.id) & (HeldText.expires_at >= now)
    return session_of(person).scalar(select(HeldText).where(mine))
