"""Saved views: a queue of the desk with all that narrows it, under a name; own, or shared with all agents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, String, UniqueConstraint, bindparam, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Model, NotFound, Refused, read, session_of
from models.people import Person

NAME_MOST = 60
# So many stand beside the queues, and so many one agent can save.
SHOWN_MOST, OWN_MOST = 30, 30
_TAKEN = "You have a view with this name. Choose another one."


class SavedView(Model):
    """One view. Only its author changes or deletes it, also when it is shared: others rely on what it shows."""

    __tablename__ = "saved_views"
    __table_args__ = (UniqueConstraint("author_id", "name"), Index(None, "shared", "name", "id"))

    author_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    name: Mapped[str] = mapped_column(String(NAME_MOST))
    shared: Mapped[bool]
    # What narrows the queue, as the queue's address names it.
    parts: Mapped[dict[str, Any]]

    author: Mapped[Person] = relationship(lazy="joined", innerjoin=True)


def views_of(actor: Person) -> Sequence[Row[int, str, bool, int, str]]:
    """Return the actor's views and the shared ones, by name (thirty of each kind at most); one statement.

    Each row has `id`, `name`, `shared`, `author_id` and the author's name as `author`.
    """
    return read(session_of(actor), _SHOWN, me=actor.id).all()


_OWN = select(SavedView.id).where(SavedView.author_id == bindparam("me")).limit(OWN_MOST).subquery()
_SHARED = (
    select(SavedView.id).where(SavedView.shared).order_by(SavedView.name, SavedView.id).limit(SHOWN_MOST).subquery()
)
_SHOWN = (
    select(SavedView.id, SavedView.name, SavedView.shared, SavedView.author_id, Person.name.label("author"))
    .join(Person, Person.id == SavedView.author_id)
    .where(or_(SavedView.id.in_(select(_OWN.c.id)), SavedView.id.in_(select(_SHARED.c.id))))
    .order_by(SavedView.name, SavedView.id)
)


def view_for(actor: Person, view_id: int) -> SavedView:
    """Return the view if it is the actor's or shared; raises NotFound otherwise."""
    mine = or_(SavedView.author_id == actor.id, SavedView.shared)
    view = session_of(actor).scalar(select(SavedView).where(SavedView.id == view_id, mine))
    if view is None:
        raise NotFound
    return view


def own_view(actor: Person, view_id: int) -> SavedView:
    """Return the actor's own view; raises NotFound for anybody else's, a shared one included."""
    view = view_for(actor, view_id)
    if view.author_id != actor.id:
        raise NotFound
    return view


def save_view(actor: Person, name: str, parts: dict[str, str], *, shared: bool) -> SavedView:
    """Save the queue under the name. Raises Refused for a name that the actor has used, and for one view too many."""
    session = session_of(actor)
    if (session.scalar(select(func.count(SavedView.id)).where(SavedView.author_id == actor.id)) or 0) >= OWN_MOST:
        raise Refused(f"You have {OWN_MOST} views, as many as there can be. Delete one first.", "name")
    view = SavedView(author_id=actor.id, name=name, shared=shared, parts=parts)
    _write(actor, lambda: session.add(view))
    return view


def change_view(view: SavedView, name: str, *, shared: bool) -> None:
    """Give the view another name, share it or keep it. Raises Refused for a name that its author has used."""

    def change() -> None:
        view.name, view.shared = name, shared

    _write(view.author, change)


def _write(author: Person, change: Callable[[], None]) -> None:
    session = session_of(author)
    try:
        with session.begin_nested():
            change()
            session.flush()
    except IntegrityError:
        raise Refused(_TAKEN, "name") from None


def delete_view(view: SavedView) -> None:
    """Delete the view; the requests that it shows stay as they are."""
    session_of(view).delete(view)
