"""Organizations, who belongs to them, and their clusters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Select, String, UniqueConstraint, bindparam, select
from sqlalchemy.orm import Mapped, Session, lazyload, mapped_column, relationship
from sqlalchemy.orm.attributes import set_committed_value

from models.base import Labelled, Model, NotFound, session_of, to_write
from models.people import Person, SignIn, digest
from models.permissions import Role


class Visibility(Labelled):
    """Who in an organization sees requests that others of it filed."""

    OWN = "own", "Everyone sees only their own requests"
    MANAGERS = "managers", "Owner and Billing Admin see all requests"
    EVERYONE = "everyone", "Everyone sees all requests"


class Organization(Model):
    """A customer of the company: it has a plan, members, clusters and a calendar of business hours."""

    __tablename__ = "organizations"
    __table_args__ = (Index(None, "name", "id"), Index(None, "calendar_id"), Index(None, "contract_end"))

    slug: Mapped[str] = mapped_column(String(60), unique=True)
    name: Mapped[str]
    plan: Mapped[str] = mapped_column(String(20), default="basic")
    plan_since: Mapped[datetime]
    visibility: Mapped[Visibility] = mapped_column(default=Visibility.EVERYONE)
    calendar_id: Mapped[int] = mapped_column(ForeignKey("calendars.id"))
    # Only while a contract sets the plan: its first and last day, and who looks after the organization.
    contract_start: Mapped[date | None]
    contract_end: Mapped[date | None]
    # What was agreed about the price: for sales alone.
    contract_note: Mapped[str | None] = mapped_column(String(2000))
    contract_reference: Mapped[str | None] = mapped_column(String(60))
    # The price of a month, in US cents.
    contract_cents: Mapped[int | None] = mapped_column(BigInteger)
    account_manager: Mapped[str | None] = mapped_column(String(120))

    members: Mapped[list[Membership]] = relationship(back_populates="organization", order_by="Membership.id")


class Membership(Model):
    """That a person belongs to an organization, and as what."""

    __tablename__ = "memberships"
    __table_args__ = (UniqueConstraint("person_id", "organization_id"), Index(None, "organization_id"))

    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    role: Mapped[Role]
    # Not known of those who belonged to it before this was written down, or whom the directory names.
    joined_at: Mapped[datetime | None]

    organization: Mapped[Organization] = relationship(back_populates="members", lazy="joined", innerjoin=True)
    person: Mapped[Person] = relationship(back_populates="memberships")


class Cluster(Model):
    """A database cluster of an organization; one that is deleted keeps its row and its name."""

    __tablename__ = "clusters"
    __table_args__ = (Index(None, "organization_id", "name"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str]
    tier: Mapped[str] = mapped_column(String(40))
    region: Mapped[str] = mapped_column(String(40))
    environment: Mapped[str] = mapped_column(String(60), default="")
    version: Mapped[str] = mapped_column(String(60), default="")
    deleted_at: Mapped[datetime | None]


def memberships_of(person: Person) -> list[Membership]:
    """Return the person's memberships with their organizations, in the order of the names (one query a request)."""
    return sorted(person.memberships, key=lambda m: m.organization.name.casefold())


def role_in(person: Person, organization: Organization | None) -> Role | None:
    """Return what the person is to the organization; None for a stranger."""
    if organization is None:
        return None
    return next((m.role for m in person.memberships if m.organization_id == organization.id), None)


def organization_of(person: Person, slug: str) -> Organization:
    """Return the person's organization of that slug; raises NotFound for anybody else's and for none.

    Whoever is about to write has it for themselves until they commit, as it is now.
    """
    session = session_of(person)
    for membership in person.memberships:
        if membership.organization.slug == slug:
            if session.info.get("writes"):
                mine = select(Organization).where(Organization.id == membership.organization_id)
                session.scalars(to_write(mine, session, Organization)).one()
            return membership.organization
    raise NotFound


def chosen_organization(person: Person) -> Organization | None:
    """Return the organization that the person chose last, else the first by name; None without any."""
    memberships = memberships_of(person)
    for membership in memberships:
        if membership.organization_id == person.chosen_organization_id:
            return membership.organization
    return memberships[0].organization if memberships else None


def choose_organization(person: Person, slug: str) -> Organization:
    """Remember the organization that the person works on from now; raises NotFound when it is not theirs."""
    organization = organization_of(person, slug)
    person.chosen_organization_id = organization.id
    return organization


def roles_of(person: Person) -> frozenset[Role]:
    """Return all the roles that the person has anywhere."""
    staff = {person.staff_role} if person.staff_role else set()
    if person.duty_manager:
        staff.add(Role.DUTY_MANAGER)
    return frozenset(staff | {m.role for m in person.memberships}) or frozenset({Role.NOBODY})


def managers_of(organization: Organization) -> Select[Person]:
    """Select those who may change the organization's plan, by name."""
    return (
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(
            Membership.organization_id == organization.id,
            Membership.role.in_([Role.OWNER, Role.BILLING_ADMIN]),
            Person.active,
        )
        .order_by(Person.name)
    )


def managers(organization: Organization) -> list[Person]:
    """Return those who may change the organization's plan, by name."""
    return list(session_of(organization).scalars(managers_of(organization)))


def owners(organization: Organization) -> list[Person]:
    """Return the organization's active Owners, by name."""
    mine = (Membership.organization_id == organization.id) & (Membership.role == Role.OWNER)
    query = select(Person).join(Membership, Membership.person_id == Person.id).where(mine, Person.active)
    return list(session_of(organization).scalars(query.order_by(Person.name)))


def clusters_of(organization: Organization) -> list[Cluster]:
    """Return the organization's present clusters by name."""
    return list(session_of(organization).scalars(_CLUSTERS, {"organization": organization.id}))


_CLUSTERS = (
    select(Cluster)
    .where(Cluster.organization_id == bindparam("organization"), Cluster.deleted_at.is_(None))
    .order_by(Cluster.name)
)


@dataclass(frozen=True)
class ClusterLine:
    """A cluster as a form offers it."""

    id: int
    organization_id: int
    name: str
    tier: str
    version: str
    environment: str
    region: str


CLUSTERS = select(
    Cluster.id,
    Cluster.organization_id,
    Cluster.name,
    Cluster.tier,
    Cluster.version,
    Cluster.environment,
    Cluster.region,
).where(Cluster.organization_id == bindparam("organization"), Cluster.deleted_at.is_(None))


def sign_in_with_memberships(session: Session, secret: str) -> SignIn | None:
    """Return the sign-in of that secret with its person, memberships and organizations, in one statement."""
    rows = session.execute(_SIGNED_IN, {"token_hash": digest(secret)}).all()
    if not rows:
        return None
    entry, person = rows[0][0], rows[0][1]
    set_committed_value(entry, "person", person)
    set_committed_value(person, "memberships", [membership for _, _, membership, _ in rows if membership])
    for _, _, membership, organization in rows:
        if membership:
            set_committed_value(membership, "organization", organization)
            set_committed_value(membership, "person", person)
    return entry


# Every page begins with this statement: made once, and its rows put together here, it costs a third of eager loading.
_SIGNED_IN = (
    select(SignIn, Person, Membership, Organization)
    .join(Person, Person.id == SignIn.person_id)
    .outerjoin(Membership, Membership.person_id == Person.id)
    .outerjoin(Organization, Organization.id == Membership.organization_id)
    .where(SignIn.token_hash == bindparam("token_hash"))
    .order_by(Membership.id)
    .options(lazyload(SignIn.person), lazyload(Membership.organization))
)


def cluster_for(person: Person, written: str) -> Cluster | None:
    """Return the present cluster with that id if it is of one of the person's organizations; None for anything else."""
    if not written.isascii() or not written.isdigit() or len(written) > 18:
        return None
    organizations = [m.organization_id for m in person.memberships]
    mine = (Cluster.id == int(written)) & Cluster.organization_id.in_(organizations) & Cluster.deleted_at.is_(None)
    return session_of(person).scalar(select(Cluster).where(mine))
