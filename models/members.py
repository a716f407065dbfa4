"""Who belongs to an organization: roles, leaving, and who sees its requests. Somebody always stays its Owner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from models.base import NotFound, Refused, session_of
from models.events import EventKind, record
from models.invitations import Invitation, close_invitations
from models.organizations import Membership, Organization, Visibility
from models.outbox import Letter, queue
from models.paging import COUNTED_TO, Paging, within
from models.people import Person
from models.permissions import ORGANIZATION_ROLES, Role


def members_of(organization: Organization, page: int, size: int, path: str) -> tuple[Sequence[Membership], Paging]:
    """Return one page of the organization's members by name, with their people; `path` is the list's address."""
    session = session_of(organization)
    mine = Membership.organization_id == organization.id
    some = select(Membership.id).where(mine).limit(COUNTED_TO + 1).subquery()
    total = session.scalar(select(func.count()).select_from(some)) or 0
    page = within(page, total, size)
    query = select(Membership).join(Person, Person.id == Membership.person_id).where(mine)
    shown = query.options(joinedload(Membership.person)).order_by(Person.name, Membership.id)
    rows = session.scalars(shown.offset((page - 1) * size).limit(size)).all()
    return rows, Paging(page, size, len(rows), total, lambda n: f"{path}?page={n}" if n > 1 else path)


def member_of(organization: Organization, membership_id: int) -> Membership:
    """Return the organization's member of that id; raises NotFound for any other's."""
    mine = (Membership.id == membership_id) & (Membership.organization_id == organization.id)
    found = (
        session_of(organization)
        .scalars(select(Membership).where(mine).options(joinedload(Membership.person)))
        .one_or_none()
    )
    if found is None:
        raise NotFound
    return found


def change_role(member: Membership, actor: Person, role: Role, *, now: datetime) -> bool:
    """Give the member another role from the next page on; return whether it is another one.

    Raises Refused for a role that is none of an organization, and when nobody would stay its Owner.
    """
    if role not in ORGANIZATION_ROLES:
        raise Refused("Choose a role from the list.", "role")
    before = member.role
    if role is before:
        return False
    if before is Role.OWNER:
        _keep_owner(member)
        close_invitations(member.organization, Invitation.invited_by == member.person_id, now=now)
    member.role = role
    _note(member, EventKind.MEMBER_ROLE, actor, now=now, before=before.value, after=role.value)
    if member.person_id != actor.id:
        _tell(member, Letter.MEMBER_ROLE, now=now, role=role.value, by=actor.name)
    return True


def remove(member: Membership, actor: Person, *, now: datetime) -> None:
    """End the membership, one's own or another's: access ends at once, requests stay with the organization.

    Raises Refused when nobody would stay its Owner.
    """
    if member.role is Role.OWNER:
        _keep_owner(member)
    # Neither whom they invited comes in any more, nor they themselves by an older mail.
    theirs = (Invitation.invited_by == member.person_id) | (Invitation.email_folded == member.person.email_folded)
    close_invitations(member.organization, theirs, now=now)
    _note(member, EventKind.MEMBER_REMOVED, actor, now=now, role=member.role.value, email=member.person.email)
    if member.person_id != actor.id:
        _tell(member, Letter.MEMBER_REMOVED, now=now, by=actor.name)
    session = session_of(member)
    session.delete(member)
    session.flush()


def set_visibility(organization: Organization, actor: Person, visibility: Visibility, *, now: datetime) -> bool:
    """Choose who sees requests that others of the organization filed, at once; return whether that changes anything."""
    before = organization.visibility
    if visibility is before:
        return False
    organization.visibility = visibility
    record(
        session_of(organization),
        EventKind.VISIBILITY_CHANGED,
        now=now,
        actor_id=actor.id,
        organization_id=organization.id,
        before=before.value,
        after=visibility.value,
    )
    return True


def stays_because(member: Membership) -> str:
    """Return why the membership cannot end, "" where it can: somebody always stays an Owner."""
    return "" if member.role is not Role.OWNER or _other_owners(member) else _ONLY.format(member=member)


_ONLY = "{member.person.name} is the only Owner of {member.organization.name}. Make somebody else an Owner first."


def _keep_owner(member: Membership) -> None:
    """Raise Refused unless another active Owner stays; the rows are locked, so that two cannot go at once."""
    if not _other_owners(member, lock=True):
        raise Refused(_ONLY.format(member=member), "role")


def _other_owners(member: Membership, *, lock: bool = False) -> set[int]:
    owners = (
        select(Membership.person_id)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.organization_id == member.organization_id, Membership.role == Role.OWNER, Person.active)
    )
    return set(session_of(member).scalars(owners.with_for_update() if lock else owners)) - {member.person_id}


def _note(member: Membership, kind: EventKind, actor: Person, *, now: datetime, **facts: str) -> None:
    record(
        session_of(member),
        kind,
        now=now,
        actor_id=actor.id,
        person_id=member.person_id,
        organization_id=member.organization_id,
        **facts,  # type: ignore[arg-type]
    )


def _tell(member: Membership, letter: Letter, *, now: datetime, **facts: str) -> None:
    queue(
        session_of(member),
        letter,
        to=member.person,
        now=now,
        organization=member.organization_id,
        **facts,  # type: ignore[arg-type]
    )
