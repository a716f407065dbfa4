"""Directory documents for the tests, and what the database holds after them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from factories import Town
from sqlalchemy import select
from sqlalchemy.orm import Session

from models.base import Model
from models.directory import BadDocument, Report, import_directory
from models.organizations import Membership, Organization
from models.people import Person
from models.permissions import Role

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
GUIDE = Path(__file__).parents[1] / "docs" / "directory.md"
EXAMPLE = re.findall(r"```json\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)[0]
OWNER = {"email": "marta@meridian.example", "name": "Marta Sá Duarte", "role": "owner"}
NEW = {"slug": "meridian-air", "name": "Meridian Air", "zone": "Europe/Lisbon", "members": [OWNER]}


def written(*organizations: Any, **more: Any) -> str:
    return json.dumps({"format": 1, "organizations": organizations} | more, indent=1)


def bring(town: Town, document: str | bytes, *, dry_run: bool = False, at: datetime = NOW) -> Report:
    content = document if isinstance(document, bytes) else document.encode()
    with town.open() as session:
        return import_directory(session, content, now=at, tell=lambda _words: None, dry_run=dry_run)


def faults(town: Town, document: str | bytes) -> list[str]:
    """Return what is said of a document that is refused, and see to it that nothing of it is kept."""
    before = rows(town)
    content = document if isinstance(document, bytes) else document.encode()
    with Session(town.engine) as session, pytest.raises(BadDocument) as bad:
        import_directory(session, content, now=NOW, tell=lambda _words: None)
    assert rows(town) == before
    return [str(fault) for fault in bad.value.faults]


def rows(town: Town) -> dict[str, list[Any]]:
    """Return every row of every table."""
    with town.engine.connect() as connection:
        return {table.name: list(connection.execute(select(table))) for table in Model.metadata.sorted_tables}


def house(town: Town, slug: str) -> Organization:
    return town.scalars(select(Organization).where(Organization.slug == slug))[0]


def roles(town: Town, slug: str) -> dict[str, Role]:
    with town.open() as session:
        query = select(Person.email, Membership.role).join(Membership, Membership.person_id == Person.id)
        mine = query.where(Membership.organization_id == house(town, slug).id)
        return {row.email: row.role for row in session.execute(mine)}


def many(count: int) -> list[dict[str, Any]]:
    return [
        {
            "slug": f"org-{number}",
            "name": f"Organization {number}",
            "zone": "UTC",
            "members": [
                {"email": f"p{one}@org{number}.example", "name": f"P {one}", "role": "member" if one else "owner"}
                for one in range(3)
            ],
            "clusters": [{"name": "c", "tier": "Starter", "region": "eu"}],
            "charges": [{"month": "2026-10", "amount": "1.00"}],
        }
        for number in range(count)
    ]
