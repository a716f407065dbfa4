"""The mail conversation with a customer who asked for Premium: what sales writes, and what comes back.

Source: product rule 11. An answer is matched by the unguessable token of its address or of the thread's headers, never
by a number in its subject. Who it comes from decides only how it is shown: it gives no rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, func, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Labelled, Model, Refused, session_of, to_write
from models.events import EventKind
from models.leads import TEXT_MOST, Lead, Stage, note_lead
from models.organizations import Membership
from models.outbox import Letter, Message, queue
from models.outside import Arrived
from models.people import Person, folded, sellers
from models.prose import cleaned, rendered
from models.selling import touch
from models.tickets import Body

# More mails of one conversation within an hour wait at the mail server.
HOURLY_MOST = 30
# Who was told of an answer is told of the next ones after so long: they stand beside it.
QUIET = timedelta(minutes=10)


class TooMany(Exception):  # noqa: N818 (the sentence reads: too many came)
    """So many mails came within the hour that this one has to wait."""


class Way(Labelled):
    """Which way a mail went."""

    OUT = "out", "To the customer"
    IN = "in", "From the customer"


class LeadMail(Model):
    """One mail of the conversation. `quoted` is what stood below what was written: folded, never shown by itself."""

    __tablename__ = "lead_mails"
    # A message that is delivered twice is one.
    __table_args__ = (Index(None, "lead_id"), UniqueConstraint("lead_id", "message_id"))

    lead_id: Mapped[int] = mapped_column(ForeignKey("leads.id"))
    way: Mapped[Way]
    # Whoever of ours wrote it, or the person whose address it came from; null where nobody here has that address.
    person_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    address: Mapped[str] = mapped_column(String(320))
    message_id: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime]
    source: Mapped[str] = mapped_column(Body)
    html: Mapped[str] = mapped_column(Body)
    quoted: Mapped[str] = mapped_column(Body, default="")


def write(lead: Lead, actor: Person, text: str, *, now: datetime) -> LeadMail:
    """Send the text to the account that sent the enquiry, in the lead's thread, and keep it on the timeline.

    It goes to no address that was only typed. Raises Refused for an empty text, one that is too long, and spam.
    """
    source = cleaned(text).strip()
    if not source:
        raise Refused("Write your message first.", "message")
    if len(source) > TEXT_MOST:
        raise Refused(f"Shorten the message to {TEXT_MOST:,} characters.", "message")
    if lead.stage is Stage.SPAM:
        raise Refused("This lead is spam. Reopen it before you write.")
    mail = _keep(lead, Way.OUT, actor.id, actor.email, source, now=now)
    touch(lead, now=now)
    lead.worked_at = lead.touched_at = now
    note_lead(lead, actor, EventKind.LEAD_WROTE, now=now, mail=mail.id)
    queue(session_of(lead), Letter.LEAD_MESSAGE, to=lead.sender, now=now, lead=lead.key, mail=mail.id)
    return mail


def take_in(session: Session, arrived: Arrived, *, replies_to: str, now: datetime) -> str | None:
    """Put a mail that came in on the timeline of the lead that it answers; return the lead's key, None without one.

    `replies_to` is the address that answers go to, with the lead's token behind a plus. Automatic mail is passed over.
    Whoever has the lead is told; nothing is ever sent on. Raises TooMany where it has to wait.
    """
    lead = _lead_of(session, arrived, replies_to)
    if lead is None:
        return None
    known = arrived.message_id[:255] or None
    there = (LeadMail.lead_id == lead.id) & (LeadMail.message_id == known)
    if arrived.automatic or (known and session.scalar(select(LeadMail.id).where(there)) is not None):
        return lead.key
    lately = select(func.count(LeadMail.id)).where(LeadMail.lead_id == lead.id, LeadMail.way == Way.IN)
    if (session.scalar(lately.where(LeadMail.created_at > now - timedelta(hours=1))) or 0) >= HOURLY_MOST:
        raise TooMany
    told = session.scalar(lately.where(LeadMail.created_at > now - QUIET)) or 0
    person = _sender(lead, arrived.sender)
    source = cleaned(arrived.text).strip() or "(This mail has no text.)"
    if arrived.files:
        source += "\n\nFiles that were not taken: " + ", ".join(cleaned(name) for name in arrived.files)
    mail = _keep(lead, Way.IN, person.id if person else None, arrived.sender[:320], source, now=now)
    mail.message_id, mail.quoted = known, cleaned(arrived.quoted)
    note_lead(lead, person, EventKind.LEAD_ANSWERED, now=now, mail=mail.id, address=arrived.sender[:320])
    if person is not None:
        lead.touched_at = lead.sent_at = now
    if lead.stage is not Stage.SPAM and not told:
        for seller in [lead.owner] if lead.owner is not None and lead.owner.active else sellers(session):
            queue(session, Letter.LEAD_ANSWERED, to=seller, now=now, lead=lead.key)
    return lead.key


def reply_address(lead: Lead, replies_to: str) -> str:
    """Return the address that answers to the lead go to; "" where none is set up."""
    local, _, domain = replies_to.rpartition("@")
    return f"{local}+{lead.thread}@{domain}" if local and domain else ""


def mails_of(lead: Lead, ids: Sequence[int]) -> dict[int, LeadMail]:
    """Return those of the lead's mails by their keys; no statement without any."""
    mine = select(LeadMail).where(LeadMail.lead_id == lead.id, LeadMail.id.in_(ids))
    return {mail.id: mail for mail in session_of(lead).scalars(mine)} if ids else {}


def _keep(lead: Lead, way: Way, person: int | None, address: str, source: str, *, now: datetime) -> LeadMail:
    mail = LeadMail(
        lead_id=lead.id,
        way=way,
        person_id=person,
        address=address,
        created_at=now,
        source=source,
        html=rendered(source),
        quoted="",
    )
    session_of(lead).add(mail)
    session_of(lead).flush()
    return mail


def _lead_of(session: Session, arrived: Arrived, replies_to: str) -> Lead | None:
    """Return the lead whose token the mail carries: in the address that it went to, else in its thread's headers."""
    local, _, domain = replies_to.lower().rpartition("@")
    tokens = []
    for address in arrived.recipients:
        name, _, host = address.rpartition("@")
        before, plus, token = name.partition("+")
        if plus and local and (before.lower(), host.lower()) == (local, domain):
            tokens.append(token)
    for reference in arrived.references:
        # The root of a thread, as gateways/letters.py writes it: <ticket.KEY.TOKEN@host>.
        part = reference.strip("<>").rpartition("@")[0].split(".")
        if len(part) == 3 and part[0] == "ticket":
            tokens.append(part[2])
    # Some servers write addresses in small letters, so the token has no others.
    tokens = [token.lower() for token in tokens if 16 <= len(token) <= 40 and token.isascii()]
    if tokens:
        found = session.scalars(to_write(select(Lead).where(Lead.thread.in_(tokens)).limit(1), session, Lead)).first()
        if found is not None:
            return found
    own = [reference.strip("<>").rpartition("@")[0] for reference in arrived.references]
    sent = Message.public_id.in_([one for one in own if len(one) <= 40]) & (Message.kind == Letter.LEAD_MESSAGE)
    message = session.scalars(select(Message).where(sent).limit(1)).first() if own else None
    if message is None:
        return None
    mine = select(Lead).where(Lead.key == message.data["lead"])
    return session.scalars(to_write(mine, session, Lead)).one_or_none()


def _sender(lead: Lead, address: str) -> Person | None:
    """Return who of the lead's organization has that address; None for anybody else, who may be anyone."""
    members = select(Membership.person_id).where(Membership.organization_id == lead.organization_id)
    mine = (Person.email_folded == folded(address)) & Person.active
    theirs = or_(Person.id.in_(members), Person.id == lead.sender_id)
    return session_of(lead).scalars(select(Person).where(mine, theirs)).one_or_none()
