"""Done anew: what lost a race in the database, or found its connection gone, is worked out once more from the start.

A view reads, judges, writes and commits once; when somebody else was quicker, the database refuses all of it, and the
second time it sees what the other one wrote. Forms carry a key that is taken once, so that nothing is done twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, g, request
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm.exc import StaleDataError

from extensions import SAFE, db, is_conflict, is_lost, writing

TRIES = 5
# Who has waited so long for a connection that broke is told so: the page that says it must come within 10 s.
LOST_WITHIN = 3.0
# What this request has found out about who asks belongs to the transaction that was lost.
_FOUND = ("visitor", "roles", "shell", "_login_user")


def init(app: Flask) -> None:
    """Let every view be done anew; the routes must all be there by now."""
    for name, view in app.view_functions.items():
        app.view_functions[name] = _patient(view)
    # The guard asks the database before any view does, so that it is the first to find its connection gone.
    hooks = app.before_request_funcs[None]
    hooks[:] = [_patient(hook, begins=False) for hook in hooks]
    with app.app_context():
        # The moment from which on nobody can tell whether a lost connection had written.
        event.listen(db.engine, "commit", _note_commit)


def _note_commit(_connection: Connection) -> None:
    if g:
        g.committing = True


def _patient(view: Callable[..., Any], *, begins: bool = True) -> Callable[..., Any]:
    """Return the view, done anew where that helps; `begins` says that it finds its transaction begun."""

    @wraps(view)
    def patient(**given: Any) -> Any:  # noqa: ANN401 (whatever the view answers)
        start = time.monotonic()
        for left in reversed(range(TRIES)):
            g.committing = False
            try:
                return view(**given)
            except (DBAPIError, StaleDataError) as trouble:
                if not left or not _worth_while(trouble, time.monotonic() - start):
                    raise
            _forget(begins=begins)
            time.sleep(random.uniform(0.002, 0.02) * (TRIES - left))  # noqa: S311 (so that two do not meet again)
        raise AssertionError("the last try answers or raises")

    return patient


def _worth_while(trouble: BaseException, spent: float) -> bool:
    if is_lost(trouble):
        return spent < LOST_WITHIN and (request.method in SAFE or not g.committing)
    return is_conflict(trouble)


def _forget(*, begins: bool) -> None:
    db.session.remove()
    for name in _FOUND:
        g.pop(name, None)
    g.writes = False
    if begins and request.method not in SAFE:
        writing()
