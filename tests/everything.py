"""Everything that was written: what searches for numbers and secrets look through."""

from __future__ import annotations

import re

from sqlalchemy import Engine, inspect


def traces(text: str, number: str) -> list[str]:
    """Return where the number stands in the text, however its digits are grouped."""
    pattern = r"[ \-–.]?".join(number)
    return [text[max(0, m.start() - 40) : m.end() + 20] for m in re.finditer(pattern, text)]


def cells(engine: Engine) -> list[str]:
    """Return every value of every table of the database as text, but for the keys of rows: those reach any number."""
    found = []
    with engine.connect() as db:
        looked = inspect(db)
        for table in looked.get_table_names():
            keys = {"id", *(name for key in looked.get_foreign_keys(table) for name in key["constrained_columns"])}
            rows = db.exec_driver_sql(f"SELECT * FROM {table}").mappings()
            found += [str(value) for row in rows for name, value in row.items() if name not in keys]
    return found
