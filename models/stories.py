"""Turns what stories.toml tells of the demo world's requests into calls of the real verbs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from models.attachments import FileLimits, Upload, attach, store
from models.catalogue import DoorName, Severity
from models.conversations import answer, close, note, reply, resolve, set_state
from models.drafts import Draft, keep_draft
from models.escalations import escalate, take_up
from models.filing import Filing, file_ticket, follow_up
from models.handling import add_participant, change_severity, reclassify, take
from models.organizations import Cluster, Organization
from models.outside import FileStore
from models.people import Person
from models.silence import hold_until
from models.tags import add_tag
from models.tickets import Ticket, TicketState
from models.wording import zone

STORIES = Path(__file__).parent / "stories.toml"
_LIMITS = FileLimits(file_bytes=1 << 20, per_message=10, ticket_bytes=10 << 20)


def tell(session: Session, files: FileStore, *, now: datetime) -> None:
    """Do all that stories.toml tells, in the order of time; `now` (aware) is the moment of the telling."""
    world = _World(session, files)
    acts = [_Act(at, number, do) for number, (at, do) in enumerate(world.acts(now))]
    for act in sorted(acts):
        act.do()


def summary_of(name: str) -> str:
    """Return the summary of the request that a story tells of; raises LookupError when there is no such story."""
    story = next((story for story in stories() if story["name"] == name), None)
    if story is None:
        raise LookupError(f"There is no story {name}.")
    return str(story.get("summary") or f"Follow-up: {summary_of(story['follows'])}")


@lru_cache(maxsize=1)
def stories() -> list[dict[str, Any]]:
    """Return the stories as they are written."""
    return list(tomllib.loads(STORIES.read_text(encoding="utf-8"))["story"])


def length(written: str) -> timedelta:
    """Return a length written as "3d 4h 20m"."""
    units = {"d": "days", "h": "hours", "m": "minutes"}
    parts = re.findall(r"(\d+)([dhm])", written)
    return timedelta(**{units[unit]: int(number) for number, unit in parts})


@dataclass(order=True)
class _Act:
    """Something that was done at a moment; acts of one moment keep the order in which they are told."""

    at: datetime
    number: int
    do: Callable[[], object] = field(compare=False)


class _World:
    """Turns what stories.toml tells into calls of the verbs."""

    def __init__(self, session: Session, files: FileStore) -> None:
        self.session = session
        self.files = files
        self.tickets: dict[str, Ticket] = {}
        self.people = {one.email: one for one in session.scalars(select(Person))}
        self.organizations = {one.slug: one for one in session.scalars(select(Organization))}

    def acts(self, now: datetime) -> Iterator[tuple[datetime, Callable[[], object]]]:
        """Yield each thing that happened, with its moment."""
        for story in stories():
            filed = now - length(story["ago"])
            yield filed, partial(self.file, story, filed)
            for step in story.get("step", ()):
                at = filed + length(step["after"])
                yield at, partial(self.step, story["name"], step, at)

    def file(self, story: dict[str, Any], at: datetime) -> None:
        """File the story's request, or the follow-up of an earlier one."""
        opener, name = self.people[story["by"]], story["name"]
        draft = self._draft(opener, story, at)
        if "follows" in story:
            key = follow_up(opener, self.tickets[story["follows"]], story["body"], key=name, now=at, draft=draft)
        else:
            key = file_ticket(opener, self._filing(story), key=name, now=at, draft=draft)
        self.tickets[name] = self.session.scalars(select(Ticket).where(Ticket.key == key)).one()

    def step(self, name: str, step: dict[str, Any], at: datetime) -> None:
        """Do one step of the story."""
        ticket, text = self.tickets[name], str(step.get("text", ""))
        if step["do"] == "close":
            close(ticket, now=at)
            return
        who = self.people[step["who"]]
        draft = self._draft(who, step, at)
        then = TicketState(step["then"]) if "then" in step else None
        verbs: dict[str, Callable[[], object]] = {
            "answer": lambda: answer(ticket, who, text, now=at, then=then, draft=draft),
            "reply": lambda: reply(ticket, who, text, now=at, draft=draft),
            "note": lambda: note(ticket, who, text, now=at, draft=draft),
            "take": lambda: take(ticket, who, now=at),
            "state": lambda: set_state(ticket, who, TicketState(step["state"]), now=at),
            "resolve": lambda: resolve(ticket, who, now=at),
            "participant": lambda: add_participant(ticket, who, self.people[step["person"]], now=at),
            "severity": lambda: change_severity(ticket, who, Severity(step["severity"]), text, now=at),
            "tag": lambda: add_tag(ticket, who, step["tag"], now=at),
            "escalate": lambda: escalate(ticket, who, text, now=at),
            "take-up": lambda: take_up(ticket, who, now=at),
            "hold": lambda: hold_until(ticket, who, at.date() + timedelta(step["days"]), zone(who.time_zone), now=at),
            "reclassify": lambda: reclassify(ticket, who, Severity(step["severity"]), text, now=at),
        }
        verbs[step["do"]]()
        self.session.flush()

    def _filing(self, story: dict[str, Any]) -> Filing:
        organization = self.organizations.get(story.get("organization", ""))
        cluster = None
        if "cluster" in story and organization is not None:
            named = (Cluster.name == story["cluster"]) & (Cluster.organization_id == organization.id)
            cluster = self.session.scalars(select(Cluster).where(named)).one()
        technical = DoorName(story["door"]) is DoorName.TECHNICAL
        return Filing(
            door=DoorName(story["door"]),
            organization=organization,
            cluster=cluster,
            severity=Severity(story["severity"]),
            summary=story["summary"],
            description=story["body"],
            environment=cluster.environment if cluster and technical else "",
            components=tuple(story.get("components", ())),
            version=cluster.version if cluster and technical else "",
            confidential=story.get("confidential", False),
        )

    def _draft(self, writer: Person, told: dict[str, Any], at: datetime) -> Draft | None:
        """Return a draft with the files that are told of, or none without files."""
        if not told.get("files"):
            return None
        draft = keep_draft(writer, f"story:{at.timestamp():.0f}", {}, now=at)
        for name, text in told["files"]:
            content = str(text).lstrip("\n").encode()
            attach(draft, store(Upload(name, len(content), [content]), self.files), _LIMITS, now=at)
        return draft
