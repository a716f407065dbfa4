"""The worker's rounds: mail that is due, what the clock brings, and money that has to be asked for."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from threading import Event
from typing import BinaryIO

from sqlalchemy.exc import DataError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from extensions import clock, db, outside, terms
from models.chores import close_due, note_missed, sweep
from models.collecting import advance_due, forget_left, forget_removed
from models.endings import tell_endings
from models.hooks import deliver_hook
from models.lead_mail import TooMany, take_in
from models.letters import facts_of
from models.oncall import call_due
from models.orphans import KEPT_FOR, drop_doomed, drop_unused
from models.outbox import Message, deliver_due
from models.recounting import behind, recount
from models.reminding import remind_sellers
from models.renewals import begin_last_usage, begin_renewals, begin_retries, end_contracts, end_unpaid
from models.sending import release_due
from models.silence import Patience, nudge

log = logging.getLogger(__name__)

CHORES_EVERY = 60.0
# So many seconds at least promises are counted again before mail has its turn again.
RECOUNT_LEAST = 1.0
# To look for files that nobody needs, all of them must be listed.
FILES_EVERY = 3600.0
LONGEST_BACK_OFF = 5.0
# What mail servers take by themselves is smaller.
MAIL_MOST = 40 * 1024 * 1024


def work(stop: Event, lives: Callable[[], bool] = lambda: True) -> None:
    """Do the worker's rounds until `stop` is set or `lives` says no; database trouble is logged and waited out."""
    next_chores, next_files, gap = 0.0, 0.0, 1.0
    while not stop.is_set() and lives():
        try:
            terms.keep()
            begun = time.monotonic()
            delivered = release_one() + deliver_one() + hook_one()
            # As long as the rest took: a slow mail server makes nobody's due time wait for a letter a batch.
            delivered += recount_some(stop, max(RECOUNT_LEAST, time.monotonic() - begun))
            if time.monotonic() >= next_chores:
                do_chores(stop)
                next_chores = time.monotonic() + CHORES_EVERY
            if time.monotonic() >= next_files:
                # First the time: a store that is down is asked again in an hour, and keeps no mail waiting.
                next_files = time.monotonic() + FILES_EVERY
                sweep_files()
            gap = 1.0
        except StaleDataError:
            delivered = 1  # somebody answered what was about to be closed: the next round looks again
        except (SQLAlchemyError, OSError) as trouble:
            log.error("The database or the disk gives trouble, next try in %.0f s: %s", gap, trouble)  # noqa: TRY400
            delivered = 0
            stop.wait(gap)
            gap = min(gap * 2, LONGEST_BACK_OFF)
        if not delivered:
            stop.wait(1.0)


def release_one() -> int:
    """Put the reply before its customer that its writer can no longer undo; return 0 when there was none."""
    with Session(db.engine) as session:
        released = release_due(session, clock.now())
        session.commit()
    return released


def recount_some(stop: Event, seconds: float) -> int:
    """Count promises by the hours to which their calendars have changed, for so long at most; return how many.

    One batch of each calendar after the other, so that none waits for another one's thousands.
    """
    done, until = 0, time.monotonic() + seconds
    with Session(db.engine) as session:
        before = -1
        while done > before and (waiting := behind(session)):
            before = done
            for calendar_id in waiting:
                done += recount(session, calendar_id)
                session.commit()
                if stop.is_set() or time.monotonic() >= until:
                    return done
    return done


def deliver_one() -> int:
    """Hand over the message that has been due longest; return 0 when there was none, or no way to send mail."""
    way = outside()
    if way.mailer is None:
        return 0
    return deliver_due(lambda: Session(db.engine), way.mailer, write_letter, clock, limit=1)


def hook_one() -> int:
    """Deliver the webhook that has been due longest; return 0 when there was none, or nobody receives any."""
    return deliver_hook(lambda: Session(db.engine), outside().hooks, clock)


def take_mail(stream: BinaryIO) -> tuple[int, str]:
    """Take in one mail that a mail server pipes; return what it is told: a code of sysexits.h, and words."""
    from gateways.mail_in import read

    replies_to = outside().settings.mail_replies
    if not replies_to:
        return os.EX_CONFIG, "MAIL_REPLIES: say at which address answers arrive."
    raw = stream.read(MAIL_MOST + 1)
    if len(raw) > MAIL_MOST:
        return os.EX_UNAVAILABLE, "The mail is too large."
    arrived = read(raw)
    try:
        with Session(db.engine) as session:
            key = take_in(session, arrived, replies_to=replies_to, now=clock.now())
            session.commit()
    except DataError:
        return os.EX_DATAERR, "This mail cannot be kept: the database takes no such text."
    except (SQLAlchemyError, TooMany) as trouble:
        # Also where somebody works on the lead, or the same message is being taken in beside this one.
        return os.EX_TEMPFAIL, f"It cannot be taken in just now ({type(trouble).__name__}). Try again later."
    if key is None:
        return os.EX_NOUSER, "This mail answers nothing here."
    return os.EX_OK, f"Taken in: {key}"


def write_letter(message: Message, session: Session) -> EmailMessage:
    """Return the letter of an outbox row; raises Undeliverable when there is nobody to write to."""
    chosen = outside().settings
    facts = facts_of(message, session, chosen.base_url, replies_to=chosen.mail_replies)
    return outside().letters.write(message.kind.value, facts)


def do_chores(stop: Event) -> None:
    """Do what is due by the clock, in small transactions, until nothing is left or `stop` is set."""
    collect(stop)
    for chore in (close_due, note_missed, call_due, _nudge, tell_endings, remind_sellers, end_contracts, _sweep):
        while not stop.is_set():
            with Session(db.engine) as session:
                done = chore(session, clock.now())
                session.commit()
            if not done:
                break


def _nudge(session: Session, now: datetime) -> int:
    settings = outside().settings
    days = (settings.remind_days, settings.remind_again_days, settings.resolve_silent_days)
    return nudge(session, now, Patience(*(timedelta(days=number) for number in days)))


def collect(stop: Event) -> None:
    """Renew what is due, charge it, and ask about what nobody has heard of, until nothing is left or `stop` is set.

    A clock that stepped over several months brings one period after the other.
    """
    gateway = outside().payments
    while not stop.is_set():
        done = 0
        for begin in (begin_renewals, begin_retries, begin_last_usage, end_unpaid):
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
    drop_unused(_sessions, names, outside().files, now=now)
    return swept


def sweep_files() -> None:
    """Forget files that no message and no draft names: their form was thrown away, or never came to its end."""
    files = outside().files
    drop_doomed(_sessions, files, now=clock.now())
    # The store tells the time by a clock of its own, which no demo turns.
    drop_unused(_sessions, files.older(datetime.now(UTC) - KEPT_FOR), files, now=clock.now())


def _sessions() -> Session:
    return Session(db.engine)
