"""How the code is laid out: what is kept by no tool, and would be forgotten."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from flask import Flask

from blueprints import ALL

ROOT = Path(__file__).parent.parent
ROOMS = ("blueprints", "forms", "models", "gateways", "migrations", "tests", "bench")
MODULES = sorted([*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))])
LINES_MOST, VIEW_MOST = 400, 25


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def inside(*rooms: str) -> list[Path]:
    return [path for path in MODULES if name_of(path).startswith(tuple(f"{room}/" for room in rooms))]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Yield (what is called, as written, and the line)."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def views(path: Path) -> Iterator[ast.FunctionDef]:
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef):
            marks = {ast.unparse(d).partition("(")[0] for d in node.decorator_list}
            if marks & {"bp.get", "bp.post", "bp.route"}:
                yield node


@pytest.mark.parametrize("path", [p for p in MODULES if "versions" not in p.parts], ids=name_of)
def test_no_module_is_too_long(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LINES_MOST, f"{lines} lines: split it by what it is about (at most {LINES_MOST})"


@pytest.mark.parametrize("path", inside("blueprints"), ids=name_of)
def test_views_are_small(path: Path) -> None:
    long = {v.name: (v.end_lineno or 0) - v.lineno + 1 for v in views(path)}
    assert not {name for name, lines in long.items() if lines > VIEW_MOST}, (
        f"a view has {VIEW_MOST} lines at most: {long}"
    )


MARKS = {"public", "requires", "signed_elsewhere"}


@pytest.mark.parametrize("path", inside("blueprints"), ids=name_of)
def test_each_view_names_its_method_and_carries_one_mark(path: Path) -> None:
    for view in views(path):
        written = [ast.unparse(d).partition("(")[0] for d in view.decorator_list]
        assert "bp.route" not in written, f"{view.name}: bp.get or bp.post says what it does"
        assert len([w for w in written if w in MARKS]) == 1, f"{view.name} needs one mark"
        assert written[-1] in MARKS, f"{view.name}: the mark stands next to the function"


@pytest.mark.parametrize("path", inside("blueprints"), ids=name_of)
def test_things_are_found_through_their_owner(path: Path) -> None:
    banned = {"db.session.get", "db.session.get_one", "get_or_404", "db.get_or_404", "first_or_404"}
    # The guard itself asks for the person of a cookie, before there is an owner to ask.
    allowed = {"blueprints/access.py"}
    found = [f"{name} in line {line}" for name, line in calls(path) if name in banned or name.endswith("_or_404")]
    found = [f for f in found if not f.split(" ")[0].endswith(").one_or_404") and "one_or_404" not in f]
    assert not found or name_of(path) in allowed, f"find it through who owns it: {found}"


@pytest.mark.parametrize("path", inside("blueprints"), ids=name_of)
def test_blueprints_hold_no_sql(path: Path) -> None:
    banned = {
        "select",
        "insert",
        "update",
        "delete",
        "text",
        "db.session.execute",
        "db.session.scalars",
        "db.session.scalar",
    }
    # Is the database there, who is asking, and what was held for them: the web's own business.
    allowed = {"blueprints/access.py", "blueprints/ops.py"}
    found = [f"{name} in line {line}" for name, line in calls(path) if name in banned]
    assert not found or name_of(path) in allowed, f"ask the models: {found}"


@pytest.mark.parametrize("path", inside("models"), ids=name_of)
def test_verbs_never_commit(path: Path) -> None:
    # The outbox, webhooks, the talk with gateways and stores, and the demo world are their own callers.
    if name_of(path) in {
        "models/outbox.py",
        "models/hooks.py",
        "models/collecting.py",
        "models/orphans.py",
        "models/indexing.py",
        "models/seeds.py",
    }:
        return
    assert not [line for name, line in calls(path) if name.endswith((".commit", ".rollback"))], "the caller commits"


@pytest.mark.parametrize("path", inside("models", "forms", "blueprints", "gateways"), ids=name_of)
def test_nobody_reads_the_clock_but_the_clock(path: Path) -> None:
    banned = {"datetime.now", "datetime.utcnow", "date.today", "time.time", "datetime.today"}
    assert not [line for name, line in calls(path) if name in banned], "`now` is a parameter"


@pytest.mark.parametrize("path", inside("models", "forms"), ids=name_of)
def test_the_business_knows_no_web(path: Path) -> None:
    banned = {"flask", "flask_login", "blueprints", "app", "extensions", "cli", "supervisor", "worker", "config"}
    banned |= (
        {"forms", "flask_wtf", "wtforms", "werkzeug", "gateways"} if name_of(path).startswith("models/") else set()
    )
    imported = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert not imported & banned


@pytest.mark.parametrize("path", inside("blueprints"), ids=name_of)
def test_only_the_guard_knows_of_htmx(path: Path) -> None:
    assert name_of(path) == "blueprints/access.py" or "HX-" not in path.read_text()


def test_there_is_no_room_for_what_belongs_nowhere() -> None:
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()} | {p.stem for p in MODULES}
    assert not rooms & {"services", "utils", "util", "helpers", "common", "misc"}


def test_every_blueprint_is_on_the_list(app: Flask) -> None:
    written = {path.stem for path in inside("blueprints") if any(views(path))}
    assert {bp.name for bp in ALL} == written
    assert set(app.blueprints) == written
