"""What is done with tickets from a queue: the next one taken, or many changed at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import select

from models import handling
from models.base import NotFound, Refused
from models.people import Person
from models.queues import first_waiting
from models.tickets import Ticket, Tickets

# As many as a page of a queue shows at most.
BATCH_MOST = 100


def take_next(scope: Tickets, actor: Person, *, now: datetime) -> Ticket | None:
    """Give the actor the unassigned ticket that is due next and return it; None when none waits.

    Nobody else gets the same: each is locked and read again before it is taken, and one that is gone is passed over.
    """
    gone: list[str] = []
    while (key := first_waiting(scope, gone)) is not None:
        ticket = scope.find(key)
        if ticket is not None and ticket.assignee_id is None and not ticket.is_final(now):
            handling.take(ticket, actor, now=now)
            return ticket
        gone.append(key)
    return None


def change_all(scope: Tickets, keys: Iterable[str], verb: Callable[[Ticket], None]) -> int:
    """Do the same with each of the tickets and return how many they are; all of them or none.

    Raises NotFound when one is not the scope's, and Refused, naming each ticket and why, when a rule keeps one from it.
    They are locked in the order of their ids, so that two who change the same ones do not wait for each other for ever.
    """
    wanted = sorted({key.upper() for key in keys})
    if not wanted:
        raise Refused("Choose at least one ticket first.")
    if len(wanted) > BATCH_MOST:
        raise Refused(f"Choose at most {BATCH_MOST} tickets at once.")
    found = select(Ticket.key).where(scope.condition, Ticket.key.in_(wanted)).order_by(Ticket.id)
    there = list(scope.session.scalars(found))
    if len(there) != len(wanted):
        raise NotFound
    reasons = []
    for key in there:
        try:
            verb(scope.one_or_404(key))
        except Refused as refused:
            reasons.append(f"{key}: {refused.reason}")
    if reasons:
        raise Refused(" ".join(reasons))
    return len(there)
