"""Several questions asked of the database in one statement: of each alone, the way there costs most."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, literal_column, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine

from models.base import read

Questions = tuple[tuple[str, Select[*tuple[Any, ...]]], ...]


class _Nothing(ColumnElement[Any]):
    """A null of a type: PostgreSQL takes a bare one among the rows of a union for text."""

    # What SQLAlchemy knows the statement by: without it each call would compile the statement anew.
    _traverse_internals = [("type", InternalTraversal.dp_type)]  # noqa: RUF012 (SQLAlchemy reads it from the class)
    inherit_cache = True

    def __init__(self, type_: TypeEngine[Any]) -> None:
        self.type = type_


@compiles(_Nothing)
def _bare(_nothing: _Nothing, _compiler: SQLCompiler, **_given: object) -> str:
    return "NULL"


@compiles(_Nothing, "postgresql")
def _typed(nothing: _Nothing, compiler: SQLCompiler, **_given: object) -> str:
    return f"CAST(NULL AS {compiler.dialect.type_compiler_instance.process(nothing.type)})"


def ask_together(session: Session, questions: Questions, **given: object) -> Mapping[str, list[tuple[Any, ...]]]:
    """Return the rows of each question by its name, in no order; `given` fills the parameters of all of them.

    The questions select columns alone, and are made once, as the statement that they become is kept.
    """
    statement, places = _united(questions)
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name, _ in questions}
    for row in read(session, statement, **given):
        name = questions[row[0]][0]
        found[name].append(tuple(row[places[row[0]]]))
    return found


@lru_cache(maxsize=32)
def _united(questions: Questions) -> tuple[Select[*tuple[Any, ...]], tuple[slice, ...]]:
    """Lay the columns of the questions side by side: each row fills those of its own question."""
    columns = [list(question.selected_columns) for _, question in questions]
    parts, places, at = [], [], 1
    for number, own in enumerate(columns):
        places.append(slice(at, at + len(own)))
        at += len(own)
        filled = [
            (column if whose == number else _Nothing(column.type)).label(f"c{whose}_{place}")
            for whose, theirs in enumerate(columns)
            for place, column in enumerate(theirs)
        ]
        parts.append(questions[number][1].with_only_columns(literal_column(str(number)).label("question"), *filled))
    whole = union_all(*parts).subquery()
    return select(whole), tuple(places)
