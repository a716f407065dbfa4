"""Stored files that no message and no draft names any more: found, marked, and deleted.

Bytes are shared by equal files and stored before their row is written, so that deleting them must not meet somebody who
is attaching the same bytes:

1. In one transaction a name is marked as doomed, unless a row names it. `attach` refuses a name that is marked. So a
   name is never both: wanted by a row and doomed.
2. The bytes are deleted outside of any transaction: the store may be far away.
3. In another transaction the mark is taken away. Whoever stored the bytes between 1 and 2 and attaches them after 3
   finds them gone: for that `secure` looks after its row is committed, and stores them once more.

Each transaction, here and there, holds the name "files" (on SQLite the write lock) before it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import islice

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from models.attachments import Attachment, DoomedFile
from models.numbers import hold
from models.outside import FileStore

# One transaction's worth of names.
BATCH = 100
# Bytes that were stored so long ago belong to no form that is still on its way.
KEPT_FOR = timedelta(days=1)
# Whoever marked a name this long ago and took no mark away has died over it: somebody else does it again.
_TAKEN_OVER = timedelta(minutes=15)


def drop_unused(sessions: Callable[[], Session], names: Iterable[str], files: FileStore, *, now: datetime) -> int:
    """Forget the bytes of those files that no attachment names, and return how many; the names may come from far away.

    Makes its own transactions and commits them. Raises OSError when the store fails: the marks stay, and
    `drop_doomed` ends it later.
    """
    dropped, waiting = 0, iter(names)
    while wanted := set(islice(waiting, BATCH)):
        with sessions() as session:
            doomed = _mark(session, wanted, now)
            session.commit()
        _delete(sessions, doomed, files)
        dropped += len(doomed)
    return dropped


def drop_doomed(sessions: Callable[[], Session], files: FileStore, *, now: datetime) -> int:
    """End what a sweep left undone that died or whose store failed; return how many files. Raises OSError."""
    with sessions() as session:
        left = session.scalars(select(DoomedFile).where(DoomedFile.at < now - _TAKEN_OVER).limit(BATCH)).all()
        for mark in left:
            mark.at = now
        names = {mark.name for mark in left}
        session.commit()
    _delete(sessions, names, files)
    return len(names)


def _mark(session: Session, names: set[str], now: datetime) -> set[str]:
    """Mark those names that nobody has marked and no row names; return them."""
    hold(session, "files")
    fresh = names - set(session.scalars(select(DoomedFile.name).where(DoomedFile.name.in_(names))))
    fresh -= set(session.scalars(select(Attachment.stored).where(Attachment.stored.in_(fresh))))
    session.add_all(DoomedFile(name=name, at=now) for name in sorted(fresh))
    session.flush()
    return fresh


def _delete(sessions: Callable[[], Session], names: set[str], files: FileStore) -> None:
    for name in names:
        files.drop(name)
    if names:
        with sessions() as session:
            session.execute(delete(DoomedFile).where(DoomedFile.name.in_(names)))
            session.commit()
