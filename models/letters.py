"""What a letter is written from: the facts of an outbox row, as its recipient may know and should read them."""

from __future__ import annotations

import re
from datetime import date, datetime
from html import escape, unescape
from typing import Any
from urllib.parse import urljoin

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from models.bills import seller
from models.catalogue import PlanName, Severity, catalogue
from models.drafts import SENT, Draft
from models.escalations import Escalation
from models.events import Event, EventKind
from models.invitations import Invitation
from models.invoices import InvoiceKind, invoice_of, paper_of
from models.money import dollars, percent
from models.organizations import Organization, role_in
from models.outbox import Letter, Message
from models.outside import Undeliverable
from models.payments import Payment, PaymentState
from models.payments import words_of as words_of_payment
from models.people import Person, digest
from models.permissions import Permission, Role, allowed
from models.ratings import was_answered
from models.sales_letters import answered_facts, lead_facts, message_facts, reminder_facts
from models.tickets import ACTIVE, Comment, Ticket, TicketState, tickets_of
from models.waiting import words_of
from models.wording import day, stamp

_OF_LEADS = {Letter.LEAD_RECEIVED, Letter.LEAD_ALERT}
_OF_MEMBERS = {Letter.INVITATION, Letter.MEMBER_ROLE, Letter.MEMBER_REMOVED}
_OF_NOTES = {Letter.TICKET_MENTIONED, Letter.TICKET_NOTED}
_OF_PLAN = {
    Letter.PAYMENT_RECEIPT,
    Letter.PAYMENT_FAILED,
    Letter.ENDS_SOON,
    Letter.PLAN_PENDING,
    Letter.PLAN_CHANGED,
}
_WHY = {
    "downgrade": "This is the change that was asked for.",
    "lapse": "The renewal was not paid by its last day.",
    "contract": "The contract has ended.",
}
_CHANGES = (
    EventKind.TICKET_MERGED,
    EventKind.TICKET_STATE,
    EventKind.TICKET_SEVERITY,
    EventKind.TICKET_SEVERITY_ASKED,
)


def facts_of(message: Message, session: Session, base_url: str, *, replies_to: str = "") -> dict[str, Any]:
    """Return the facts that `Letters.write` needs for the message; links begin with `base_url` and are absolute.

    `replies_to` is the address that answers go to, or "".

    Raises Undeliverable when nobody is to read it: a person who is deactivated, or may no longer see the ticket; a
    reply that is gone or an internal note; a link that is used up.
    """
    person = session.get(Person, message.person_id) if message.person_id is not None else None
    if person is not None and not person.active:
        raise Undeliverable("The account is deactivated.")
    facts: dict[str, Any] = {
        "message_id": message.public_id,
        "to_name": message.recipient_name,
        "to_email": message.recipient,
        "zone": person.time_zone if person else "UTC",
        "now": message.created_at,
    }
    if message.kind in {Letter.SIGN_IN_RESET, Letter.STAFF_ADDED}:
        if not message.data.get("token"):
            raise Undeliverable("The link in this message is gone.")
        return facts | {
            "url": f"{base_url}/reset-password/{message.data['token']}",
            "expires_at": message.give_up_at,
        }
    if message.kind is Letter.PASSWORD_CHANGED:
        return facts | {"url": f"{base_url}/reset-password"}
    if message.kind is Letter.LEAD_MESSAGE:
        return facts | message_facts(message, person, session, base_url, replies_to)
    tell = _ticket_facts
    for kinds, about in (
        (_OF_LEADS, lead_facts),
        (_OF_MEMBERS, _member_facts),
        (_OF_PLAN, _plan_facts),
        ({Letter.REFUND_FAILED}, _refund_facts),
        ({Letter.DRAFT_READY}, _draft_facts),
        ({Letter.LEAD_REMINDER}, reminder_facts),
        ({Letter.LEAD_ANSWERED}, answered_facts),
    ):
        tell = about if message.kind in kinds else tell
    return facts | tell(message, person, session, base_url)


def _invitation_facts(message: Message, session: Session, base_url: str) -> dict[str, Any]:
    invitation = session.get(Invitation, message.data["invitation"])
    secret = message.data.get("token")
    if invitation is None or invitation.closed_at is not None or not secret:
        raise Undeliverable("The invitation is used, revoked or replaced.")
    if invitation.token_hash != digest(secret):
        raise Undeliverable("A newer mail has replaced this invitation.")
    return {
        "to_name": invitation.email,
        "organization": invitation.organization.name,
        "by": invitation.inviter.name,
        "role": invitation.role.label,
        "url": f"{base_url}/invitations/{secret}",
        "expires_at": invitation.expires_at,
    }


def _member_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    if message.kind is Letter.INVITATION:
        return _invitation_facts(message, session, base_url)
    organization, data = session.get(Organization, message.data["organization"]), message.data
    if organization is None:
        raise Undeliverable("The organization is gone.")
    role = Role(data["role"]).label if data.get("role") else ""
    if role and (person is None or role_in(person, organization) is None):
        raise Undeliverable("The person has left the organization.")
    return {"organization": organization.name, "by": data["by"], "role": role, "url": f"{base_url}/"}


def _ends_soon(data: dict[str, Any], organization: Organization, written: date) -> dict[str, Any]:
    on, plan = date.fromisoformat(data["on"]), PlanName(data.get("plan") or organization.plan)
    terms = catalogue(on).plan(plan)
    price = dollars(terms.floor_cents or 0) + " a month"
    if terms.percent:
        price += f", or {terms.percent} % of the month’s cloud charges if that is more"
    return {
        "what": data["what"],
        "on": day(on, written),
        "card": data.get("card", ""),
        "plan": plan.label,
        "price": price,
    }


def _plan_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    """Return what a letter about a plan or its payment says, to those who may change the plan still."""
    organization, data = session.get(Organization, message.data["organization"]), message.data
    if organization is None:
        raise Undeliverable("The organization is gone.")
    # The address that the invoice was made out to: a new one counts from the next invoice.
    to_company = message.person_id is None and message.kind is Letter.PAYMENT_RECEIPT
    if not to_company and (person is None or role_in(person, organization) is None):
        raise Undeliverable("The person has left the organization.")
    base = f"{base_url}/console/{organization.slug}"
    facts: dict[str, Any] = {"organization": organization.name, "url": f"{base}/support"}
    if message.kind is Letter.PAYMENT_RECEIPT:
        if person is not None and not allowed((role_in(person, organization) or Role.NOBODY,), Permission.BILLING):
            raise Undeliverable("The person no longer sees invoices of the organization.")
        invoice, lines = invoice_of(organization, data["invoice"])
        return facts | {
            "number": invoice.number,
            "credit": invoice.kind is InvoiceKind.CREDIT_NOTE,
            "lines": [(line.words, dollars(line.cents)) for line in lines],
            "tax": f"{percent(invoice.tax_basis_points)}: {dollars(invoice.tax)}" if invoice.tax else "",
            "total": dollars(abs(invoice.total)),
            "card": invoice.card,
            "url": f"{base}/invoices/{invoice.number}",
            "paper": paper_of(invoice, lines),
            "office": to_company,
        }
    if person is None:
        raise Undeliverable("The person has left the organization.")
    pay_to = ", ".join(seller(session).splitlines())
    if message.kind is Letter.ENDS_SOON:
        return facts | _ends_soon(data, organization, message.created_at.date()) | {"pay_to": pay_to}
    if message.kind is Letter.PAYMENT_FAILED:
        last_day = data["last_day"]
        return facts | {
            "amount": dollars(data["cents"]),
            "reason": words_of_payment(data["reason"]),
            "offline": data["reason"] == "offline",
            "pay_to": pay_to,
            "plan": PlanName(data["plan"]).label if data["plan"] else "",
            "last_day": f"{stamp(datetime.fromisoformat(last_day), person.time_zone, message.created_at)} "
            f"({person.time_zone})"
            if last_day
            else "",
            "retry": f"{stamp(datetime.fromisoformat(data['retry']), person.time_zone, message.created_at)} "
            f"({person.time_zone})"
            if data.get("retry")
            else "",
            "url": f"{base}/cards",
        }
    facts |= {name: PlanName(data[name]).label for name in ("before", "after")}
    if message.kind is Letter.PLAN_PENDING:
        on = datetime.fromisoformat(data["on"])
        return facts | {"on": f"{stamp(on, person.time_zone, message.created_at)} ({person.time_zone})"}
    return facts | {"why": _WHY[data["why"]]}


def _refund_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    """Return what administrators read of a refund that the gateway declined, while it waits for them."""
    if person is None or person.staff_role is not Role.ADMINISTRATOR:
        raise Undeliverable("The person is no administrator any more.")
    refund = session.get(Payment, message.data["payment"])
    if refund is None or refund.state is not PaymentState.DECLINED:
        raise Undeliverable("The money is paid back already.")
    return {
        "organization": refund.organization.name,
        "amount": dollars(refund.cents),
        "url": f"{base_url}/admin",
    }


def _draft_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    """Return what the writer of a text that waited for a plan reads, as long as it waits."""
    draft = session.scalars(select(Draft).where(Draft.id == message.data["draft"], ~SENT)).one_or_none()
    if draft is None or draft.waits_since is None or person is None:
        raise Undeliverable("The text is sent, or thrown away.")
    house = session.get(Organization, draft.waits_for_id)
    if house is None or role_in(person, house) is None:
        raise Undeliverable("The person has left the organization.")
    return {
        "organization": house.name,
        "plan": PlanName(message.data["plan"]).label,
        "summary": words_of(draft),
        "since": stamp(draft.waits_since, person.time_zone, message.created_at),
        "url": f"{base_url}/help/drafts",
    }


def _waited(message: Message, person: Person) -> str:
    """Return since when the request had waited for a plan before it was filed; "" for one that had not."""
    since = message.data.get("waited")
    return stamp(datetime.fromisoformat(since), person.time_zone, message.created_at) if since else ""


def _ticket_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    ticket = session.get(Ticket, message.ticket_id) if message.ticket_id is not None else None
    if ticket is None or person is None:
        raise Undeliverable("The request or the person is gone.")
    staff = person.staff_role is Role.AGENT
    if not staff and tickets_of(person).find(ticket.key) is None:
        raise Undeliverable("The person may no longer see this request.")
    state, severity = TicketState(message.data["state"]), Severity(message.data["severity"])
    rated = state is TicketState.RESOLVED and not staff and was_answered(ticket)
    facts = {
        "key": ticket.key,
        "thread": ticket.thread,
        "summary": ticket.summary,
        "url": f"{base_url}/{'desk' if staff else 'requests'}/{ticket.key}",
        "organization": ticket.organization.name if ticket.organization else "",
        "door": ticket.door.label,
        "severity": severity.value,
        "actor_name": message.data.get("actor") or "Support",
        "state_label": _label(state, staff=staff),
        "promise": _promise(ticket, severity, person, message.created_at, staff=staff),
        "changes": _changes(message, person, session, staff=staff),
        "waited": _waited(message, person),
        "split_from": message.data.get("split_from", ""),
        "lost": message.data.get("lost", False),
        "holder": message.data.get("holder", ""),
        # A link to a page whose button posts: mail programs open links by themselves.
        "rating_url": f"{base_url}/requests/{ticket.key}/rating" if rated else "",
    }
    if message.kind is Letter.TICKET_REMINDER:
        if ticket.state is not TicketState.WAITING:
            raise Undeliverable("The request does not wait for its customer any more.")
        ends = datetime.fromisoformat(message.data["ends"])
        return facts | {"ends": f"{stamp(ends, person.time_zone, message.created_at)} ({person.time_zone})"}
    if message.kind is Letter.PROMISE_RAISED:
        return facts | {"plan": PlanName(message.data["plan"]).label, "words": message.data["words"]}
    if message.kind in {Letter.TICKET_ESCALATED, Letter.ON_CALL, Letter.PROMISE_MISSED}:
        return facts | _alarm_facts(message, ticket, session, staff=staff)
    notes = message.kind in _OF_NOTES
    if notes and not staff:
        raise Undeliverable("The person is no support agent any more.")
    if notes or message.kind is Letter.TICKET_REPLIED:
        comment = session.get(Comment, message.data.get("comment"))
        if comment is None or comment.ticket_id != ticket.id or comment.internal is not notes:
            raise Undeliverable("There is no reply to send.")
        facts |= {"body": comment.source, "body_html": _absolute(comment.html, base_url)}
    return facts


def _alarm_facts(message: Message, ticket: Ticket, session: Session, *, staff: bool) -> dict[str, Any]:
    """Return what an alarm says beyond the ticket; what somebody looks after already alarms nobody."""
    if not staff:
        raise Undeliverable("The person is no support agent any more.")
    if message.kind is Letter.PROMISE_MISSED:
        target = ticket.target
        late = target is not None and target.due_at is not None and target.due_at < message.created_at
        if target is None or target.met_at is not None or not late or ticket.state not in ACTIVE:
            raise Undeliverable("It is answered by now, or resolved.")
        return {}
    if message.kind is Letter.ON_CALL:
        if ticket.call_at is None:
            raise Undeliverable("Somebody has acknowledged it, or answered.")
        return {"nth": message.data["nth"]}
    escalation = session.get(Escalation, message.data["escalation"])
    if escalation is None or escalation.ended_at is not None or ticket.escalated_at is None:
        raise Undeliverable("Somebody has taken it up already.")
    return {"reason": escalation.reason}


def _label(state: TicketState, *, staff: bool) -> str:
    return state.desk_label if staff else state.label


def _promise(ticket: Ticket, severity: Severity, person: Person, now: datetime, *, staff: bool) -> str:
    """Say how the promise of a first reply stands; nothing once it is answered, or the request done.

    `severity` is the one that the letter names: when there is another by now, a newer letter says what is due.
    """
    target = ticket.target
    if target is None:
        # Product rule 8.8: requests without a promise say so.
        return "This request carries no response target."
    if target.met_at is not None or ticket.state in {TicketState.RESOLVED, TicketState.CLOSED}:
        return ""
    if target.due_at is None:
        return f"The response time is paused until {'the customer replies' if staff else 'you reply'}."
    if severity is not ticket.severity:
        return ""
    by = f"{stamp(target.due_at, person.time_zone, now)} ({person.time_zone})"
    if target.due_at < now:
        return f"The first reply was due by {by}, and is late."
    return f"The first reply is due by {by}." if staff else f"We will reply by {by}."


def _changes(message: Message, person: Person, session: Session, *, staff: bool) -> list[str]:
    """Say what changed at the moment that the letter is about."""
    cause = session.get(Event, message.event_id) if message.event_id is not None else None
    if cause is None:
        return []
    together = select(Event).where(
        Event.ticket_id == message.ticket_id,
        Event.at == cause.at,
        # What came with a reply is written after it.
        or_(Event.id <= cause.id, Event.actor_id == cause.actor_id),
        Event.kind.in_(_CHANGES),
        Event.internal.is_(False),
    )
    events = session.scalars(together.order_by(Event.id)).all()
    # The other ticket is named to those who see it.
    told = [e for e in events if e.kind is not EventKind.TICKET_MERGED or staff or _sees(person, e.data["key"])]
    return [_sentence(event, staff=staff) for event in told]


def _sees(person: Person, key: str) -> bool:
    return tickets_of(person).find(key) is not None


def _sentence(event: Event, *, staff: bool) -> str:
    if event.kind is EventKind.TICKET_MERGED:
        return f"It was merged into {event.data['key']}, where you take part as well: go on there."
    before, after = event.data["before"], event.data["after"]
    because = f": “{event.data['reason']}”" if event.data.get("reason") else "."
    if event.kind is EventKind.TICKET_STATE:
        old, new = (_label(TicketState(state), staff=staff) for state in (before, after))
        return f"The status changed from {old} to {new}."
    if event.kind is EventKind.TICKET_SEVERITY_ASKED:
        return f"{after} is asked for in place of {before}{because}"
    return f"The severity changed from {before} to {after}{because}"


def _absolute(html: str, base_url: str) -> str:
    """Return sanitised HTML whose links work outside the portal as well."""
    return re.sub(
        r'href="([^"]*)"', lambda found: f'href="{escape(urljoin(f"{base_url}/", unescape(found[1])))}"', html
    )
