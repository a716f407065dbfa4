"""The time between two columns, in whole seconds: each database has its own word for it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class _SecondsBetween(GenericFunction[int]):
    type = BigInteger()
    inherit_cache = True
    name = "seconds_between"


@compiles(_SecondsBetween)
def _days(element: Any, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401 (SQLAlchemy's own signature)
    start, end = (compiler.process(clause, **given) for clause in element.clauses)
    # Whole seconds of both: a difference of days would lose some to rounding.
    return f"(CAST(strftime('%s', {end}) AS INTEGER) - CAST(strftime('%s', {start}) AS INTEGER))"


@compiles(_SecondsBetween, "postgresql")
def _interval(element: Any, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401
    start, end = (compiler.process(clause, **given) for clause in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM ({end} - {start})) AS BIGINT)"


@compiles(_SecondsBetween, "mysql")
@compiles(_SecondsBetween, "mariadb")
def _difference(element: Any, compiler: SQLCompiler, **given: Any) -> str:  # noqa: ANN401
    start, end = (compiler.process(clause, **given) for clause in element.clauses)
    return f"TIMESTAMPDIFF(SECOND, {start}, {end})"


def seconds_between(start: Any, end: Any) -> ColumnElement[int]:  # noqa: ANN401 (columns that hold moments)
    """Return the seconds from one column's moment to the other's."""
    return _SecondsBetween(start, end)
