"""What letters of sales are written from: to customers who asked for Premium, and to sellers about their day."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.catalogue import PlanName
from models.lead_mail import LeadMail, reply_address
from models.leads import Lead
from models.organizations import Organization, role_in
from models.outbox import Letter, Message
from models.outside import Undeliverable
from models.people import Person
from models.permissions import Role
from models.wording import day


def reminder_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    """Return what a seller has to do, as it was when the morning came; what is closed since is left out."""
    if person is None or person.staff_role is not Role.SALES:
        raise Undeliverable("The person no longer works on enquiries.")
    data, today = message.data, message.created_at.date()
    keys = {key for part in ("due", "untouched", "stalled") for key in data[part]}
    leads = {lead.key: lead for lead in session.scalars(select(Lead).where(Lead.key.in_(keys))) if lead.is_open}

    def lines(part: str) -> list[dict[str, str]]:
        return [
            {
                "words": f"{lead.key} {lead.organization.name}",
                "step": f"{lead.next_step} ({day(lead.next_on, today)})" if lead.next_on else "",
                "url": f"{base_url}/sales/{lead.key}",
            }
            for lead in (leads[key] for key in data[part] if key in leads)
        ]

    slugs = [slug for slug, _ in data["contracts"]]
    houses = {one.slug: one.name for one in session.scalars(select(Organization).where(Organization.slug.in_(slugs)))}
    return {
        "parts": [
            ("Next steps that are due", lines("due")),
            ("Nobody was in touch yet, and it is late", lines("untouched")),
            ("Stalled: nobody has touched them for a week", lines("stalled")),
        ],
        "contracts": [
            f"{houses[slug]}: {day(date.fromisoformat(on), today)}" for slug, on in data["contracts"] if slug in houses
        ],
        "url": f"{base_url}/sales",
    }


def message_facts(
    message: Message, person: Person | None, session: Session, base_url: str, replies_to: str
) -> dict[str, Any]:
    """Return what a mail of sales to a customer says: its words, in the thread of the lead."""
    lead = session.scalars(select(Lead).where(Lead.key == message.data["lead"])).one_or_none()
    mail = session.get(LeadMail, message.data["mail"])
    if lead is None or mail is None or person is None or mail.lead_id != lead.id:
        raise Undeliverable("The lead or the person is gone.")
    if role_in(person, lead.organization) is None:
        raise Undeliverable("The person has left the organization.")
    writer = session.get(Person, mail.person_id) if mail.person_id else None
    return {
        "key": lead.key,
        "thread": lead.thread,
        "organization": lead.organization.name,
        "actor_name": writer.name if writer else "Sales",
        "body": mail.source,
        "body_html": mail.html,
        "reply_to": reply_address(lead, replies_to),
        "url": f"{base_url}/console/{lead.organization.slug}/support?tab=premium",
    }


def answered_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    """Return what a seller reads of an answer: that there is one, and where."""
    lead = session.scalars(select(Lead).where(Lead.key == message.data["lead"])).one_or_none()
    if lead is None or person is None or person.staff_role is not Role.SALES:
        raise Undeliverable("The person no longer works on enquiries.")
    return {"key": lead.key, "organization": lead.organization.name, "url": f"{base_url}/sales/{lead.key}"}


def lead_facts(message: Message, person: Person | None, session: Session, base_url: str) -> dict[str, Any]:
    """Return what may be said of an enquiry: nothing that anybody typed, so that no mail carries it."""
    lead = session.scalars(select(Lead).where(Lead.key == message.data["lead"])).one_or_none()
    if lead is None or person is None:
        raise Undeliverable("The enquiry or the person is gone.")
    alert = message.kind is Letter.LEAD_ALERT
    if alert and person.staff_role is not Role.SALES:
        raise Undeliverable("The person no longer works on enquiries.")
    if not alert and role_in(person, lead.organization) is None:
        raise Undeliverable("The person has left the organization.")
    by = message.data["by"]
    return {
        "key": lead.key,
        "organization": lead.organization.name,
        "plan": PlanName(lead.organization.plan).label,
        "answer_by": day(date.fromisoformat(by), message.created_at.date()) if by else "",
        "url": f"{base_url}/sales/{lead.key}" if alert else f"{base_url}/console/{lead.organization.slug}/support",
    }
