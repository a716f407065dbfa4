"""Webhooks that leave: each a row written with what it tells of, delivered by the worker, retried, and kept as a log.

The format is Standard Webhooks (standardwebhooks.com): a JSON body with `type`, `timestamp` and `data`, its id and its
moment in headers, and a signature over the three. Receivers are named by an administrator (`Endpoint`); one more may
stand in the settings, which gets on-call alerts alone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import CursorResult, ForeignKey, Index, String, func, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model, NotFound, Refused, session_of, token
from models.events import EventKind, record
from models.outside import Clock, HookSender, HookSenders, TryLater, Undeliverable
from models.paging import COUNTED_TO, Paging, within
from models.people import Person
from models.tickets import Body

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
GAPS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 300, 1800, 7200))
KEPT_FOR = timedelta(days=90)
# A receiver that is down over a weekend misses nothing.
TRIED_FOR = timedelta(days=3)
ENDPOINTS_MOST = 20
BOTH_FOR = timedelta(days=1)


class Topic(Labelled):
    """What a receiver can be told of."""

    LEADS = "leads", "Leads: received, sent again, moved to another stage"
    ON_CALL = "on-call", "On-call alerts"


class Endpoint(Model):
    """A receiver of webhooks. Its secret is in no row: it follows from the portal's own key and what `seed` says."""

    __tablename__ = "hook_endpoints"

    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    url: Mapped[str] = mapped_column(String(500))
    topics: Mapped[list[Any]]
    # Each number has a secret of its own.
    generation: Mapped[int] = mapped_column(default=1)
    # When the newest one was made: the one before it signs as well for a day, until the receiver knows the new one.
    renewed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("people.id"))
    removed_at: Mapped[datetime | None]

    @property
    def seed(self) -> str:
        """What the secret follows from, beside the portal's key."""
        return f"{self.public_id}:{self.generation}"

    def seeds(self, now: datetime) -> list[str]:
        """Return what the secrets follow from that sign now, the newest first."""
        both = self.renewed_at is not None and now - self.renewed_at < BOTH_FOR
        return [self.seed, *([f"{self.public_id}:{self.generation - 1}"] if both else [])]

    @property
    def topic_labels(self) -> list[str]:
        """What it is told of, in words."""
        return [Topic(one).label for one in self.topics]


class Hook(Model):
    """One message to the company's own systems; `next_at` is null when it is delivered or given up."""

    __tablename__ = "hooks"
    __table_args__ = (
        Index(None, "next_at"),
        Index(None, "created_at", "id"),
        Index(None, "endpoint_id", "created_at", "id"),
    )

    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    # Null for the receiver of the settings.
    endpoint_id: Mapped[int | None] = mapped_column(ForeignKey("hook_endpoints.id"))
    kind: Mapped[str] = mapped_column(String(40))
    body: Mapped[str] = mapped_column(Body)
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime | None]
    give_up_at: Mapped[datetime]
    lease: Mapped[str | None] = mapped_column(String(40))
    leased_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(String(500))

    @property
    def about(self) -> str:
        """The key of the lead or the request that it tells of; "" for a test."""
        data = json.loads(self.body)["data"]
        return str(data.get("key") or data.get("ticket") or "")


def add_endpoint(actor: Person, url: str, topics: Sequence[str], *, now: datetime) -> Endpoint:
    """Name a receiver; the address was checked by whoever sends there. Raises Refused for no topic and too many."""
    session = session_of(actor)
    known = [topic.value for topic in Topic if topic.value in topics]
    if not known:
        raise Refused("Choose what it is told of.", "topics")
    if len(endpoints(session)) >= ENDPOINTS_MOST:
        raise Refused(f"There are {ENDPOINTS_MOST} receivers, which is the most. Remove one first.", "url")
    endpoint = Endpoint(public_id=token(), url=url, topics=known, created_at=now, created_by=actor.id)
    session.add(endpoint)
    session.flush()
    record(session, EventKind.HOOK_ADDED, now=now, actor_id=actor.id, url=url, topics=known)
    return endpoint


def endpoints(session: Session) -> Sequence[Endpoint]:
    """Return the receivers that were not removed, in the order in which they were named."""
    return session.scalars(select(Endpoint).where(Endpoint.removed_at.is_(None)).order_by(Endpoint.id)).all()


def tells_on_call(session: Session) -> bool:
    """Tell whether any receiver that was named is told of on-call alerts."""
    return any(Topic.ON_CALL.value in endpoint.topics for endpoint in endpoints(session))


def endpoint_of(session: Session, number: int) -> Endpoint:
    """Return the receiver with that key; raises NotFound for none and for one that was removed."""
    found = session.scalar(select(Endpoint).where(Endpoint.id == number, Endpoint.removed_at.is_(None)))
    if found is None:
        raise NotFound
    return found


def remove_endpoint(endpoint: Endpoint, actor: Person, *, now: datetime) -> None:
    """Tell the receiver nothing more; what waits for it is given up."""
    session, endpoint.removed_at = session_of(endpoint), now
    waiting = (Hook.endpoint_id == endpoint.id) & Hook.next_at.is_not(None)
    session.execute(update(Hook).where(waiting).values(next_at=None, last_error="The receiver was removed."))
    record(session, EventKind.HOOK_REMOVED, now=now, actor_id=actor.id, url=endpoint.url)


def renew_secret(endpoint: Endpoint, actor: Person, *, now: datetime) -> None:
    """Sign with another secret from now on, and for a day with the one before it as well.

    Raises Refused within that day: the receiver would know neither.
    """
    if len(endpoint.seeds(now)) > 1:
        raise Refused("There was a new secret within a day. Give it to the receiver first.")
    endpoint.generation += 1
    endpoint.renewed_at = now
    record(session_of(endpoint), EventKind.HOOK_SECRET, now=now, actor_id=actor.id, url=endpoint.url)


def send_test(endpoint: Endpoint, *, now: datetime) -> None:
    """Queue a message that says that it is a test."""
    _add(session_of(endpoint), endpoint.id, "test", {"words": "A test from the help center."}, now + TRIED_FOR, now)


def send_again(endpoint: Endpoint, number: int, *, now: datetime) -> None:
    """Send a message once more under its own id. Raises NotFound for another receiver's, Refused while it waits."""
    session = session_of(endpoint)
    hook = session.scalar(select(Hook).where(Hook.id == number, Hook.endpoint_id == endpoint.id))
    if hook is None:
        raise NotFound
    if hook.next_at is not None:
        raise Refused("This message is on its way already.")
    hook.next_at, hook.give_up_at, hook.attempts, hook.delivered_at = now, now + TRIED_FOR, 0, None


def deliveries(endpoint: Endpoint, page: int, size: int, path: str) -> tuple[Sequence[Hook], Paging]:
    """Return one page of what the receiver was sent, the newest first."""
    session, mine = session_of(endpoint), Hook.endpoint_id == endpoint.id
    some = select(Hook.id).where(mine).limit(COUNTED_TO + 1).subquery()
    total = session.scalar(select(func.count()).select_from(some)) or 0
    page = within(page, total, size)
    first = select(Hook).where(mine).order_by(Hook.created_at.desc(), Hook.id.desc())
    rows = session.scalars(first.offset((page - 1) * size).limit(size)).all()
    return rows, Paging(page, size, len(rows), total, lambda number: f"{path}?page={number}" if number > 1 else path)


def queue_hook(
    session: Session,
    topic: Topic,
    kind: str,
    data: Mapping[str, Any],
    *,
    now: datetime,
    give_up_at: datetime | None = None,
) -> None:
    """Write a message for each receiver of the topic in the caller's transaction; it is tried for three days at most.

    On-call alerts go to the receiver of the settings besides; where there is none, the worker gives them up at once.
    """
    until = give_up_at or now + TRIED_FOR
    if topic is Topic.ON_CALL:
        _add(session, None, kind, data, until, now)
    for endpoint in endpoints(session):
        if topic.value in endpoint.topics:
            _add(session, endpoint.id, kind, data, until, now)


def _add(
    session: Session, endpoint: int | None, kind: str, data: Mapping[str, Any], until: datetime, now: datetime
) -> None:
    body = json.dumps({"type": kind, "timestamp": now.isoformat(), "data": data}, ensure_ascii=False)
    hook = Hook(
        public_id=f"msg_{uuid4().hex}",
        endpoint_id=endpoint,
        kind=kind,
        body=body,
        created_at=now,
        next_at=now,
        give_up_at=until,
    )
    session.add(hook)


def deliver_hook(sessions: Callable[[], Session], senders: HookSenders, clock: Clock) -> int:
    """Deliver the message that has been due longest; return 0 when none was due. Any number of workers may do so.

    No transaction is open while the receiver is talked to; a message whose worker died goes again when its lease ends.
    """
    claimed = _claim(sessions, clock.now())
    if claimed is None:
        return 0
    key, lease = claimed
    with sessions() as session:
        hook = session.get_one(Hook, key)
        public_id, body, attempts, give_up_at = hook.public_id, hook.body, hook.attempts, hook.give_up_at
        sender = _sender(session, hook, senders, clock.now())
    values: dict[str, object] = {"next_at": None}
    try:
        if clock.now() > give_up_at:
            raise Undeliverable("Its time was over before it could be sent.")  # noqa: TRY301 (noted as any refusal)
        if sender is None:
            raise Undeliverable("Nobody receives it: none is set up, or it was removed.")  # noqa: TRY301
        sender.send(public_id, body.encode(), clock.now())
        values |= {"delivered_at": clock.now(), "last_error": None}
    except Undeliverable as refusal:
        values["last_error"] = str(refusal)[:500]
    except TryLater as trouble:
        again = clock.now() + GAPS[min(attempts, len(GAPS)) - 1]
        values = {"last_error": str(trouble)[:500], "next_at": again if again < give_up_at else None}
    with sessions() as session:
        ending = update(Hook).where(Hook.id == key, Hook.lease == lease)
        if not _changed(session, ending.values(lease=None, leased_until=None, **values)):
            log.warning("Webhook %s was taken over by another worker.", public_id)
        session.commit()
    return 1


def _sender(session: Session, hook: Hook, senders: HookSenders, now: datetime) -> HookSender | None:
    if hook.endpoint_id is None:
        return senders.standing
    endpoint = session.get(Endpoint, hook.endpoint_id)
    there = endpoint is not None and endpoint.removed_at is None
    return senders.to(endpoint.url, endpoint.seeds(now)) if endpoint is not None and there else None


# Somebody is called at night: that waits for no CRM.
_FIRST = (Hook.kind != "oncall.alert", Hook.next_at, Hook.id)


def _claim(sessions: Callable[[], Session], now: datetime) -> tuple[int, str] | None:
    due = (Hook.next_at <= now) & or_(Hook.leased_until.is_(None), Hook.leased_until < now)
    with sessions() as session:
        for key in session.scalars(select(Hook.id).where(due).order_by(*_FIRST).limit(20)).all():
            lease = token()
            taking = update(Hook).where(Hook.id == key, due)
            if _changed(session, taking.values(attempts=Hook.attempts + 1, lease=lease, leased_until=now + LEASE)):
                session.commit()
                return key, lease
    return None


def _changed(session: Session, change: Any) -> bool:  # noqa: ANN401 (an UPDATE, whose type says nothing here)
    result = session.execute(change, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1
