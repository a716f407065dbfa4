"""Every route as it is called: what the matrix of permissions and the nonsense of the fuzz tests walk through."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import databases
from factories import LUMEN, Town
from flask import Flask
from page import Browser

from models.permissions import Permission


@dataclass(frozen=True)
class Call:
    """One route as it is called: its address, and who may do that beside having the permission."""

    method: str
    path: str
    endpoint: str
    permission: Permission | None
    arguments: dict[str, str]

    def insiders(self) -> bool:
        """Whether the address names something of Lumen's that only its people and the desk may know of."""
        return bool(set(self.arguments) & {"key", "org"}) or self.endpoint in {"attachments.show", "console.choose"}


def calls(app: Flask, key: str, file: str, lead: str = "LEAD-1") -> Iterator[Call]:
    """Every route by every method of its own, its address filled with Lumen's things."""
    values = {
        "key": key, "org": LUMEN, "door": "billing", "mark": "0" * 12, "name": "app.css", "token": "t" * 20, "id": "1",
        "person": "1", "plan": "standard", "number": "INV-1", "slug": LUMEN, "holiday": "1", "part": "component",
        "kind": "csv",
    }  # fmt: skip
    for rule in app.url_map.iter_rules():
        given = {name: values[name] for name in rule.arguments}
        if rule.endpoint.startswith("sales.") and "key" in given:
            given["key"] = lead
        if rule.endpoint == "receivers.again":
            given["number"] = "1"
        if rule.endpoint.startswith("editions.") and "name" in given:
            given["name"] = "2026-01"
        if rule.endpoint == "attachments.show":
            given["id"] = file
        if rule.endpoint.startswith(("payments.", "cardholder.")):
            given["id"] = "p" * 20
        if rule.endpoint == "help_center.old_door":
            given["door"] = "6"
        path = re.sub(r"<(?:[^<>]*:)?(\w+)>", lambda match: given[match[1]], rule.rule)  # noqa: B023 (used at once)
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}):
            yield Call(method, path, rule.endpoint, app.view_functions[rule.endpoint].access, given)


def snapshot(town: Town, browser: Browser, folder: Path) -> Callable[[], None]:
    """Return a function that puts database and browser back as they are now."""
    back = databases.snapshot(town.engine, folder / "before.sqlite")
    cookie, page = browser.client.get_cookie("help-center"), browser.page

    def replay() -> None:
        back()
        browser.page = page
        if cookie is not None:
            browser.client.set_cookie("help-center", cookie.value, domain="localhost")

    return replay
