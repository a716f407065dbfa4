"""The worker's rounds: mail that is due, what the clock brings, and money that has to be asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.message import EmailMessage
from threading import Event

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from extensions import clock, db, outside
from models.chores import close_due, drop_unused, note_missed, sweep
from models.collecting import advance_due, forget_left, forget_removed
from models.letters import facts_of
from models.outbox import Message, deliver_due
from models.renewals import begin_last_usage, begin_renewals, end_contracts, end_unpaid

log = logging.getLogger(__name__)

CHORES_EVERY = 60.0
LONGEST_BACK_OFF = 30.0


def work(stop: Event, lives: Callable[[], bool] = lambda: True) -> None:
    """Do the worker's rounds until `stop` is set or `lives` says no; database trouble is logged and waited out."""
    next_chores, gap = 0.0, 1.0
    while not stop.is_set() and lives():
        try:
            delivered = deliver_one()
            if time.monotonic() >= next_chores:
                do_chores(stop)
                next_chores = time.monotonic() + CHORES_EVERY
            gap = 1.0
        except (DBAPIError, OSError) as trouble:
            log.error("The database or the disk gives trouble, next try in %.0f s: %s", gap, trouble)  # noqa: TRY400
            delivered = 0
            stop.wait(gap)
            gap = min(gap * 2, LONGEST_BACK_OFF)
        if not delivered:
            stop.wait(1.0)


def deliver_one() -> int:
    """Hand over the message that has been due longest; return 0 when there was none, or no way to send mail."""
    way = outside()
    if way.mailer is None:
        return 0
    return deliver_due(lambda: Session(db.engine), way.mailer, write_letter, clock, limit=1)


def write_letter(message: Message, session: Session) -> EmailMessage:
    """Return the letter of an outbox row; raises Undeliverable when there is nobody to write to."""
    return outside().letters.write(message.kind.value, facts_of(message, session, outside().settings.base_url))


def do_chores(stop: Event) -> None:
    """Do what is due by the clock, in small transactions, until nothing is left or `stop` is set."""
    collect(stop)
    for chore in (close_due, note_missed, end_contracts, _sweep, _sweep_files):
        while not stop.is_set():
            with Session(db.engine) as session:
                done = chore(session, clock.now())
                session.commit()
            if not done:
                break


def collect(stop: Event) -> None:
    """Renew what is due, charge it, and ask about what nobody has heard of, until nothing is left or `stop` is set.

    A clock that stepped over several months brings one period after the other.
    """
    gateway = outside().payments
    while not stop.is_set():
        done = 0
        for begin in (begin_renewals, begin_last_usage, end_unpaid):
            with Session(db.engine) as session:
                done += begin(session, clock.now())
                session.commit()
        if gateway is not None:
            done += advance_due(lambda: Session(db.engine), gateway, clock)
            forget_left(lambda: Session(db.engine), gateway, clock)
            forget_removed(lambda: Session(db.engine), gateway, clock)
        if not done:
            break


def _sweep(session: Session, now: datetime) -> int:
    swept, names = sweep(session, now)
    session.commit()
    if names:
        drop_unused(session, names, outside().files)
    return swept


def _sweep_files(session: Session, now: datetime) -> int:
    """Forget files that no message and no draft names: their form was thrown away, or never came to its end."""
    drop_unused(session, outside().files.older(now - timedelta(days=1)), outside().files)
    return 0
