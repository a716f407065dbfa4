"""Webhooks that leave: each a row written with what it tells of, delivered by the worker, retried, and kept as a log.

The format is Standard Webhooks (standardwebhooks.com): a JSON body with `type`, `timestamp` and `data`, its id and its
moment in headers, and a signature over the three.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from sqlalchemy import CursorResult, Index, String, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Model, token
from models.outside import Clock, HookSender, TryLater, Undeliverable
from models.tickets import Body

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
GAPS = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 300, 1800, 7200))
KEPT_FOR = timedelta(days=90)


class Hook(Model):
    """One message to the company's own systems; `next_at` is null when it is delivered or given up."""

    __tablename__ = "hooks"
    __table_args__ = (Index(None, "next_at"), Index(None, "created_at", "id"))

    public_id: Mapped[str] = mapped_column(String(40), unique=True)
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


def queue_hook(session: Session, kind: str, data: Mapping[str, Any], *, give_up_at: datetime, now: datetime) -> None:
    """Write a message in the caller's transaction; where nothing receives any, the worker passes it over."""
    body = json.dumps({"type": kind, "timestamp": now.isoformat(), "data": data}, ensure_ascii=False)
    session.add(
        Hook(public_id=f"msg_{uuid4().hex}", kind=kind, body=body, created_at=now, next_at=now, give_up_at=give_up_at)
    )


def deliver_hook(sessions: Callable[[], Session], sender: HookSender, clock: Clock) -> int:
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
    values: dict[str, object] = {"next_at": None}
    try:
        if clock.now() > give_up_at:
            raise Undeliverable("Its time was over before it could be sent.")  # noqa: TRY301 (noted as any refusal)
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


def _claim(sessions: Callable[[], Session], now: datetime) -> tuple[int, str] | None:
    due = (Hook.next_at <= now) & or_(Hook.leased_until.is_(None), Hook.leased_until < now)
    with sessions() as session:
        for key in session.scalars(select(Hook.id).where(due).order_by(Hook.next_at, Hook.id).limit(20)).all():
            lease = token()
            taking = update(Hook).where(Hook.id == key, due)
            if _changed(session, taking.values(attempts=Hook.attempts + 1, lease=lease, leased_until=now + LEASE)):
                session.commit()
                return key, lease
    return None


def _changed(session: Session, change: Any) -> bool:  # noqa: ANN401 (an UPDATE, whose type says nothing here)
    result = session.execute(change, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1
