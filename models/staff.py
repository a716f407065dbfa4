"""What an administrator does with people: add staff, change roles, deactivate, and let them in again."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from models.base import Refused, session_of
from models.conversations import hand_to
from models.entrance import is_address, make_link
from models.events import EventKind, record
from models.leads import OPEN, Lead, note_lead
from models.outbox import Letter, queue
from models.people import OneTimeLink, Person, end_sign_ins, folded, person_by_email
from models.permissions import STAFF_ROLES, Role
from models.tickets import Ticket, TicketState

# OWASP ASVS 5.0, 6.4.1: a first password is chosen within a day.
LINK_LIFE = timedelta(hours=24)
_EMAIL = "Enter the email address, for example maya@example.com."
_LAST = "{} is the only administrator. Make somebody else an administrator first."
_DONE = (TicketState.RESOLVED, TicketState.CLOSED)


def add_staff(session: Session, actor: Person, name: str, email: str, role: Role, *, now: datetime) -> Person:
    """Add somebody to the staff and send them a link to choose a password; return the person.

    Raises Refused without a name, for an address that is none or has an account, and for a role that is not of the
    staff.
    """
    if role not in STAFF_ROLES:
        raise Refused("Choose a role from the list.", "role")
    if not name:
        raise Refused("Enter the name.", "name")
    if not is_address(email):
        raise Refused(_EMAIL, "email")
    there = person_by_email(session, email)
    if there is not None:
        raise Refused(f"{there.name} has an account with this address. Choose the role on their page.", "email")
    person = Person(
        email=email, email_folded=folded(email), name=name, staff_role=role, memberships=[], created_at=now
    )  # fmt: skip
    session.add(person)
    session.flush()
    record(
        session,
        EventKind.PERSON_ADDED,
        now=now,
        actor_id=actor.id,
        person_id=person.id,
        name=name,
        email=email,
        role=role.value,
    )
    _send(person, now=now)
    return person


def send_link(person: Person, actor: Person, *, now: datetime) -> None:
    """Send a fresh link to choose a first password; older ones stop to work. Raises Refused when one is chosen."""
    if not person.active:
        raise Refused("This account is deactivated. Reactivate it first.")
    if person.password_hash:
        raise Refused(
            f"{person.name} has chosen a password. “Forgot password?” on the sign-in page replaces a forgotten one."
        )
    _send(person, now=now)
    record(session_of(person), EventKind.LINK_SENT, now=now, actor_id=actor.id, person_id=person.id)


def set_role(person: Person, actor: Person, role: Role | None, *, now: datetime) -> int:
    """Give the person a staff role, or none, from the next request on; return how many tickets and leads are free now.

    Raises Refused for one's own role, for that of the only administrator, and for a deactivated account.
    """
    if role is not None and role not in STAFF_ROLES:
        raise Refused("Choose a role from the list.", "role")
    if person.id == actor.id:
        raise Refused("Nobody changes their own role. Ask another administrator.", "role")
    if not person.active:
        raise Refused("This account is deactivated. Reactivate it first.", "role")
    before = person.staff_role
    if role is before:
        return 0
    if before is Role.ADMINISTRATOR:
        _keep_one(person, "role")
    freed = _release(person, actor, now=now)
    person.staff_role, person.duty_manager = role, False
    record(
        session_of(person),
        EventKind.STAFF_ROLE,
        now=now,
        actor_id=actor.id,
        person_id=person.id,
        before=before.value if before else "",
        after=role.value if role else "",
    )
    return freed


def deactivate(person: Person, actor: Person, *, now: datetime) -> int:
    """Keep the person out from now: sign-ins end, links stop to work, open work goes back to its queue.

    Returns how many tickets and leads are free now. Raises Refused for oneself, for the only administrator, and for an
    account that is deactivated already.
    """
    if person.id == actor.id:
        raise Refused("Nobody deactivates their own account. Ask another administrator.")
    if not person.active:
        raise Refused("This account is deactivated already.")
    if person.staff_role is Role.ADMINISTRATOR:
        _keep_one(person, "")
    session = session_of(person)
    person.active = person.duty_manager = False
    end_sign_ins(person, now=now)
    spent = update(OneTimeLink).where(OneTimeLink.person_id == person.id, OneTimeLink.used_at.is_(None))
    session.execute(spent.values(used_at=now))
    freed = _release(person, actor, now=now)
    record(session, EventKind.PERSON_DEACTIVATED, now=now, actor_id=actor.id, person_id=person.id, freed=freed)
    return freed


def set_duty_manager(person: Person, actor: Person, *, on: bool, now: datetime) -> None:
    """Mark an agent as a duty manager, or no longer; another role, or the end of the account, takes the mark off.

    Raises Refused for who is no active agent.
    """
    if person.staff_role is not Role.AGENT or not person.active:
        raise Refused("Only an active support agent can be a duty manager.")
    if person.duty_manager is not on:
        person.duty_manager = on
        record(
            session_of(person), EventKind.DUTY_MANAGER, now=now, actor_id=actor.id, person_id=person.id, marked=on
        )  # fmt: skip


def reactivate(person: Person, actor: Person, *, now: datetime) -> None:
    """Let the person sign in again, with the roles and the password as they were. Raises Refused for an active one."""
    if person.active:
        raise Refused("This account is active.")
    person.active = True
    record(session_of(person), EventKind.PERSON_REACTIVATED, now=now, actor_id=actor.id, person_id=person.id)


def end_sessions(person: Person, actor: Person, *, now: datetime) -> None:
    """End all sign-ins of somebody else. Raises Refused for one's own, which the profile lists."""
    if person.id == actor.id:
        raise Refused("Your own sessions are in your profile.")
    end_sign_ins(person, now=now)
    record(session_of(person), EventKind.SIGN_INS_ENDED, now=now, actor_id=actor.id, person_id=person.id)


def open_work(person: Person) -> tuple[int, int]:
    """Return how many open tickets and leads the person has."""
    session = session_of(person)
    tickets = select(func.count(Ticket.id)).where(Ticket.assignee_id == person.id, Ticket.state.not_in(_DONE))
    leads = select(func.count(Lead.id)).where(Lead.owner_id == person.id, Lead.stage.in_(OPEN))
    return session.scalar(tickets) or 0, session.scalar(leads) or 0


def _send(person: Person, *, now: datetime) -> None:
    session = session_of(person)
    secret = make_link(session, person, now=now, life=LINK_LIFE)
    queue(session, Letter.STAFF_ADDED, to=person, now=now, give_up_at=now + LINK_LIFE, token=secret)


def _keep_one(person: Person, field: str) -> None:
    """Raise Refused unless another active administrator stays; the rows are locked, so that two cannot pass at once."""
    session = session_of(person)
    admins = select(Person.id).where(Person.staff_role == Role.ADMINISTRATOR, Person.active).with_for_update()
    if not set(session.scalars(admins)) - {person.id}:
        raise Refused(_LAST.format(person.name), field)


def _release(person: Person, actor: Person, *, now: datetime) -> int:
    """Take the person off their open tickets and leads, which go back to those that anybody may take."""
    session = session_of(person)
    mine = select(Ticket).where(Ticket.assignee_id == person.id, Ticket.state.not_in(_DONE)).order_by(Ticket.id)
    tickets = session.scalars(mine).unique().all()
    for ticket in tickets:
        hand_to(ticket, actor, None, now=now)
    leads = session.scalars(select(Lead).where(Lead.owner_id == person.id, Lead.stage.in_(OPEN)).order_by(Lead.id))
    free = leads.unique().all()
    for lead in free:
        lead.owner = None
        note_lead(lead, actor, EventKind.LEAD_OWNER, now=now, after="", taken=False)
    return len(tickets) + len(free)
