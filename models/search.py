"""Finding requests by their words: one normal form of every text, and for each database the index it is good at.

What can be found of a request is a set of terms. A word of a search finds a request when one of its terms begins with
it; a search finds what all its words find. Nothing else depends on the database, so that all give the same answers:

- SQLite keeps the terms in an FTS5 table, PostgreSQL in a tsvector with a GIN index, others in a plain table of terms.
- Each term is written twice: behind the *scope* of the request (its organization, or whoever filed it for themselves),
  and behind that of the staff. A customer's search so reads the entries of their own organizations alone, however many
  requests there are; internal notes stand behind the scope of the staff only. Who may see what is found is not decided
  here: the rights of the list are asked as well.

The index is written in the transaction that writes the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    column,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

# A longer word is cut, in texts and in searches alike.
TERM_MOST = 60
# Bounds of what stands in the index for one request, below what PostgreSQL keeps in one tsvector (1 MB).
ENTRIES_MOST, BYTES_MOST = 20_000, 600_000
# More words do not make a search better, only slower.
WORDS_MOST = 8
STAFF = "s"

# A word, with the marks that hold its parts together: 8.5.1, cn-north-1, tidb_mem_quota, maya@example.com.
_WORD = re.compile(r"[^\W_]+(?:[._\-@:]+[^\W_]+)*")
_JOINT = re.compile(r"[._\-@:]+")
# Han, Hiragana and Katakana are written without spaces between words.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
# The voiced marks of Japanese make other letters, and no accents.
_VOICED = frozenset("\u3099\u309a")


def scope_of(organization_id: int | None, opener_id: int) -> str:
    """Return the scope behind which a request's terms stand: its organization, or the one who filed it alone."""
    return f"p{opener_id}" if organization_id is None else f"o{organization_id}"


def terms_of(*texts: str) -> set[str]:
    """Return the terms of the texts: every word, and of a word with joints every part with all that follows it."""
    found: set[str] = set()
    for word in _words(*texts):
        if _UNSPACED.fullmatch(word):
            found |= {word[n : n + 2] for n in range(len(word))}
            continue
        parts = _JOINT.split(word)
        starts = [0]
        for part in parts[:-1]:
            joint = _JOINT.match(word, starts[-1] + len(part))
            starts.append(joint.end() if joint else len(word))
        found |= {word[start : start + TERM_MOST] for start in starts[:20]}
        # "v8.5.1" is looked for as 8.5.1 just as often.
        found |= {part[1 : 1 + TERM_MOST] for part in (word, *parts) if re.match(r"v\d", part)}
    return found


def words_of(search: str) -> list[str]:
    """Return with what the terms of a request must begin, each at least one, so that the search finds it."""
    found: list[str] = []
    for word in _words(search):
        pairs = [word[n : n + 2] for n in range(max(1, len(word) - 1))] if _UNSPACED.fullmatch(word) else [word]
        found += [pair[:TERM_MOST] for pair in pairs]
    return list(dict.fromkeys(found))[:WORDS_MOST]


def _words(*texts: str) -> Iterable[str]:
    """Yield the words of the texts without case, accents and width; signs such as emoji are words of their own."""
    plain = unicodedata.normalize("NFKD", " ".join(texts).casefold())
    kept = (c for c in plain if not unicodedata.combining(c) or c in _VOICED)
    unified = unicodedata.normalize("NFC", "".join(kept))
    for word in _WORD.findall(unified):
        at = 0
        for run in _UNSPACED.finditer(word):
            yield from filter(None, (word[at : run.start()].strip("._-@:"), run[0]))
            at = run.end()
        yield from filter(None, [word[at:].strip("._-@:")])
    yield from (c for c in unified if ord(c) > 127 and unicodedata.category(c) == "So")


def add_text(
    session: Session, ticket_id: int, scope: str, *texts: str, internal: bool = False, known: set[str] | None = None
) -> None:
    """Let the request be found by the texts as well; by those of an internal note, only for the staff.

    `known` is what stands in the index for the request, where that was read already.
    """
    index, connection = _index_of(session), session.connection()
    old = entries_in(connection.execute(index.entries, {"ticket": ticket_id}).all()) if known is None else known
    scopes = (STAFF,) if internal else (scope, STAFF)
    new = _bounded(old, {f"{one}/{term}" for term in terms_of(*texts) for one in scopes} - old)
    if new != old:
        index.write(connection, ticket_id, old, new)


def entries_question(session: Session) -> Select[*tuple[Any, ...]]:
    """Select what stands in the index for the request whose id the parameter `ticket` gives; see `entries_in`."""
    return _index_of(session).entries


def entries_in(rows: Iterable[Sequence[Any]]) -> set[str]:
    """Return the entries that the rows of `entries_question` say."""
    return {entry for (line,) in rows for entry in line.split()}


def _bounded(old: set[str], fresh: set[str]) -> set[str]:
    """Return both together, as far as there is room: what was there first stays."""
    room, kept = BYTES_MOST - sum(len(entry.encode()) + 1 for entry in old), set(old)
    # By term, so that what a customer finds, the staff finds as well.
    for entry in sorted(fresh, key=lambda entry: entry.partition("/")[::-1]):
        room -= len(entry.encode()) + 1
        if room < 0 or len(kept) >= ENTRIES_MOST:
            break
        kept.add(entry)
    return kept


def found_by(
    session: Session, scopes: Sequence[str], search: str, ticket_id: ColumnElement[int]
) -> list[ColumnElement[bool]]:
    """Return the conditions under which a request, given by its id's column, is found in one of the scopes."""
    words = words_of(search)
    if not words:
        return [] if not search.strip() else [literal(0) == 1]
    return [ticket_id.in_(_index_of(session).find(scopes, words))]


def indexed(session: Session, ids: Sequence[int]) -> set[int]:
    """Return those of the requests that are in the index."""
    return _index_of(session).has(session.connection(), ids)


def is_empty(session: Session) -> bool:
    """Tell whether the index holds nothing."""
    return session.connection().execute(text("SELECT 1 FROM ticket_index LIMIT 1")).first() is None


def clear(session: Session) -> None:
    """Forget all terms."""
    session.connection().execute(text("DELETE FROM ticket_index"))


def forget(session: Session, ticket_id: int) -> None:
    """Take all terms of the request off; whoever calls this writes those that are left."""
    column_name = "rowid" if session.get_bind().dialect.name == "sqlite" else "ticket_id"
    session.connection().execute(text(f"DELETE FROM ticket_index WHERE {column_name} = :id"), {"id": ticket_id})  # noqa: S608


class _Fts5:
    """SQLite: an FTS5 table whose tokens are our terms as they stand."""

    _options = "detail='none', tokenize=\"ascii tokenchars '._-@:/'\""
    create = (f"CREATE VIRTUAL TABLE ticket_index USING fts5(terms, {_options})",)

    _rows = table("ticket_index", column("rowid", BigInteger), column("terms", Text))
    entries = select(_rows.c.terms).where(_rows.c.rowid == bindparam("ticket"))

    def has(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Return those of the requests that stand there."""
        index = table("ticket_index", column("rowid", BigInteger))
        return set(connection.scalars(select(index.c.rowid).where(index.c.rowid.in_(ids))))

    def write(self, connection: Connection, ticket_id: int, old: set[str], new: set[str]) -> None:
        """Replace what stands there for the request."""
        put = text(
            "UPDATE ticket_index SET terms = :terms WHERE rowid = :id"
            if old
            else "INSERT INTO ticket_index (rowid, terms) VALUES (:id, :terms)"
        )
        connection.execute(put, {"id": ticket_id, "terms": " ".join(sorted(new))})

    def find(self, scopes: Sequence[str], words: Sequence[str]) -> Select[tuple[int]]:
        """Select the ids of the requests."""
        each = ("(" + " OR ".join(f'"{scope}/{word}"*' for scope in scopes) + ")" for word in words)
        index = table("ticket_index", column("rowid", BigInteger), column("ticket_index"))
        return select(index.c.rowid).where(index.c.ticket_index.op("MATCH")(" AND ".join(each)))


class _Gin:
    """PostgreSQL: a tsvector of our terms, whatever its own parser would make of them, under a GIN index.

    Without its list of pending entries: each search would read that list from end to end (measured: 86 ms, not 6).
    """

    create = (
        "CREATE TABLE ticket_index (ticket_id BIGINT CONSTRAINT pk_ticket_index PRIMARY KEY, terms TSVECTOR NOT NULL)",
        "CREATE INDEX ix_ticket_index_terms ON ticket_index USING gin (terms) WITH (fastupdate = off)",
    )

    _rows = table("ticket_index", column("ticket_id", BigInteger), column("terms"))
    entries = select(func.array_to_string(func.tsvector_to_array(_rows.c.terms), " ", type_=Text)).where(
        _rows.c.ticket_id == bindparam("ticket")
    )

    def has(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Return those of the requests that stand there."""
        index = table("ticket_index", column("ticket_id", BigInteger))
        return set(connection.scalars(select(index.c.ticket_id).where(index.c.ticket_id.in_(ids))))

    def write(self, connection: Connection, ticket_id: int, _old: set[str], new: set[str]) -> None:
        """Replace what stands there for the request."""
        put = text(
            "INSERT INTO ticket_index (ticket_id, terms) VALUES (:id, array_to_tsvector(CAST(:terms AS TEXT[]))) "
            "ON CONFLICT (ticket_id) DO UPDATE SET terms = excluded.terms"
        )
        connection.execute(put, {"id": ticket_id, "terms": list(new)})

    def find(self, scopes: Sequence[str], words: Sequence[str]) -> Select[tuple[int]]:
        """Select the ids of the requests."""
        each = ("(" + " | ".join(f"'{scope}/{word}':*" for scope in scopes) + ")" for word in words)
        index = table("ticket_index", column("ticket_id", BigInteger), column("terms"))
        query = func.cast(literal(" & ".join(each)), postgresql.TSQUERY)
        return select(index.c.ticket_id).where(index.c.terms.op("@@")(query))


class _Terms:
    """Everything else: a table with a row for each term of each request, in the order in which it is read."""

    rows = Table(
        "ticket_index",
        MetaData(),
        Column("term", String(TERM_MOST + 22), nullable=False),
        Column("ticket_id", BigInteger, nullable=False),
        PrimaryKeyConstraint("term", "ticket_id", name="pk_ticket_index"),
        Index("ix_ticket_index_ticket_id", "ticket_id"),
    )
    _columns = f"term VARCHAR({TERM_MOST + 22}) NOT NULL, ticket_id BIGINT NOT NULL"
    create = (
        f"CREATE TABLE ticket_index ({_columns}, CONSTRAINT pk_ticket_index PRIMARY KEY (term, ticket_id), "  # noqa: ISC004
        "INDEX ix_ticket_index_ticket_id (ticket_id)) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    )

    entries = select(rows.c.term).where(rows.c.ticket_id == bindparam("ticket"))

    def has(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Return those of the requests that stand there."""
        there = select(self.rows.c.ticket_id).where(self.rows.c.ticket_id.in_(ids)).distinct()
        return set(connection.scalars(there))

    def write(self, connection: Connection, ticket_id: int, old: set[str], new: set[str]) -> None:
        """Write what is new: what is taken back goes by `forget`."""
        connection.execute(insert(self.rows), [{"term": t, "ticket_id": ticket_id} for t in sorted(new - old)])

    def find(self, scopes: Sequence[str], words: Sequence[str]) -> Select[tuple[int]]:
        """Select the ids of the requests."""
        return select(self._with(scopes, words[0]).subquery().c.ticket_id).where(
            *(column("ticket_id").in_(self._with(scopes, word)) for word in words[1:])
        )

    def _with(self, scopes: Sequence[str], word: str) -> Select[tuple[int]]:
        term = self.rows.alias().c
        # All that begins with the word lies between it and the word with the last character behind it.
        ranges = (and_(term.term >= f"{s}/{word}", term.term < f"{s}/{word}\U0010ffff") for s in scopes)
        return select(term.ticket_id).where(or_(*ranges)).distinct()


_INDEXES: dict[str, _Fts5 | _Gin] = {"sqlite": _Fts5(), "postgresql": _Gin()}
_PLAIN = _Terms()


def _index_of(session: Session) -> _Fts5 | _Gin | _Terms:
    return _INDEXES.get(session.get_bind().dialect.name, _PLAIN)


def create_index(_table: object, connection: Connection, **_more: object) -> None:
    """Make the empty index of the database's kind; migrations say the same in their own words."""
    for statement in _INDEXES.get(connection.dialect.name, _PLAIN).create:
        connection.exec_driver_sql(statement)
