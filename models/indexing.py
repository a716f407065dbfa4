"""The search index written anew from what was said: after an update that brings it, or where it is in doubt."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.orm import Session, lazyload

from models.attachments import Attachment
from models.search import add_text, clear, indexed, is_empty, scope_of
from models.tickets import Comment, Ticket

BATCH = 200


def is_missing(session: Session) -> bool:
    """Tell whether there are requests and no index, as an older version of the program leaves a database."""
    return is_empty(session) and session.scalar(select(Ticket.id).limit(1)) is not None


def index_anew(session: Session, tell: Callable[[str], None]) -> int:
    """Empty the index and write it anew; return how many requests it holds then."""
    clear(session)
    session.commit()
    return index_all(session, tell)


def index_all(session: Session, tell: Callable[[str], None]) -> int:
    """Write the terms of every request that has none and return how many; commits every two hundred.

    May end anywhere and be called again: it goes on where it was.
    """
    total, done, last = session.scalar(select(func.count(Ticket.id))) or 0, 0, 0
    while ids := session.scalars(select(Ticket.id).where(Ticket.id > last).order_by(Ticket.id).limit(BATCH)).all():
        last = ids[-1]
        there = indexed(session, ids)
        fresh = [number for number in ids if number not in there]
        index_these(session, fresh)
        session.commit()
        session.expunge_all()
        done += len(ids)
        if done % (BATCH * 50) == 0:
            tell(f"Indexed {done:,} of {total:,} requests.")
    return done


def index_these(session: Session, ids: list[int]) -> None:
    """Write the terms of requests that have none in the index."""
    mine = select(Ticket).where(Ticket.id.in_(ids)).options(lazyload("*"))
    said: dict[tuple[int | None, bool], list[str]] = {}
    comments = select(Comment.ticket_id, Comment.internal, Comment.source).where(Comment.ticket_id.in_(ids))
    files = (
        select(Attachment.ticket_id, Comment.internal, Attachment.name)
        .join(Comment, Comment.id == Attachment.comment_id)
        .where(Attachment.ticket_id.in_(ids))
    )
    for query in (comments, files):
        for ticket_id, internal, text in session.execute(query):
            said.setdefault((ticket_id, internal), []).append(text)
    for ticket in session.scalars(mine).all():
        scope = scope_of(ticket.organization_id, ticket.opener_id)
        facts = (ticket.key, ticket.summary, ticket.cluster_name, ticket.environment, ticket.version_affected)
        add_text(session, ticket.id, scope, *facts, *ticket.components, *said.get((ticket.id, False), []), known=set())
        if notes := said.get((ticket.id, True)):
            add_text(session, ticket.id, scope, *notes, internal=True)
