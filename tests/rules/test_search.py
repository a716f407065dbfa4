"""What is found by which words: the same on every database, and never more than the list's own rights show."""

from __future__ import annotations

import pytest
from factories import LUMEN, NORTHWIND, Town
from sqlalchemy import select
from sqlalchemy.orm import Session

from models import indexing, search
from models.catalogue import DoorName
from models.people import person_by_email
from models.permissions import Role
from models.search import BYTES_MOST, ENTRIES_MOST, TERM_MOST, terms_of, words_of
from models.tickets import Ticket, desk_of, tickets_of


def found(town: Town, words: str, email: str = "owner@lumen.example", *, desk: bool = False) -> set[str]:
    with Session(town.engine) as session:
        person = person_by_email(session, email)
        assert person is not None
        scope = desk_of(person, [Role.AGENT]) if desk else tickets_of(person)
        return set(session.scalars(select(Ticket.key).where(scope.condition, *scope.matching(words))))


def written(town: Town, key: str) -> set[str]:
    """Return what stands in the index for the request."""
    number = town.ticket(key).id
    with Session(town.engine) as session:
        return search.entries_in(session.execute(search.entries_question(session), {"ticket": number}))


@pytest.mark.parametrize(
    ("text", "finds", "misses"),
    [
        ("Writes FAIL since the upgrade", ["fail", "WRITES", "upgrade fail", " fail \t writ "], ["ails", "failed"]),
        ("Straße in Zürich, façade", ["strasse", "STRASSE", "zurich", "Zürich", "facade"], ["zuerich"]),
        ("After v8.5.1 came 7.1.6-rc2", ["8.5.1", "v8.5.1", "8.5", "5.1", "7.1.6", "7.1.6-rc2"], ["8.5.2", "6.1.7"]),
        ("Nodes of cn-north-1 are gone", ["cn-north-1", "cn", "north-1", "cn north 1"], ["cn-north-2", "orth"]),
        ("set tidb_mem_quota_query = 1", ["tidb_mem_quota_query", "mem_quota", "quota", "tidb_mem"], ["idb"]),
        ("maya@example.com on db.example.com:4000", ["maya@example.com", "example.com", "maya", "4000"], ["aya"]),
        ("数据库连接失败", ["数据", "连接", "失败", "数据库", "库连接", "数"], ["失连", "据失"]),
        ("データベースに接続できません", ["データ", "ベース", "接続", "できません"], ["ロード", "続接"]),
        ("한국어 검색이 느립니다", ["한국어", "검색", "느립"], ["색이"]),
        ("Медленные запросы", ["запрос", "МЕДЛЕННЫЕ"], ["апрос"]),
        ("Party 🎉 by 👩‍💻", ["🎉", "👩‍💻", "💻", "party 🎉"], ["🎈"]),
        ("FULLWIDTH ＡＢＣ１２３", ["abc123", "ＡＢＣ"], ["bc1"]),
        ("مشكلة في الاتصال", ["مشكلة", "الاتصال"], ["تصال"]),
        ("100% of O'Brien's \"quoted\" (words) *here*", ["100", "brien", "quoted", "words", "here"], ["200"]),
    ],
)  # fmt: skip
def test_words_are_found_by_their_beginnings(town: Town, text: str, finds: list[str], misses: list[str]) -> None:
    key = town.file(summary="One", body=text)
    other = town.file(summary="Other", body="Nothing of the kind")
    for words in finds:
        assert found(town, words) == {key}, words
        assert found(town, words, "agent@support.example", desk=True) == {key}, words
    for words in misses:
        assert found(town, words) == set(), words
    assert found(town, "") == {key, other}


@pytest.mark.parametrize(
    "words", ["%", "_", '"', "'", "\\", "( )", "AND", "a OR b", "NOT x", "x NEAR y", "-", ":*", "&|!"]
)
def test_marks_of_the_databases_own_languages_are_text(town: Town, words: str) -> None:
    town.file(summary="One", body="Nothing of the kind")
    assert found(town, words) == set()


def test_all_that_belongs_to_a_request_is_found_and_grows_with_it(town: Town) -> None:
    key = town.file(summary="Checkout is slow", files=(("explain-plan.txt", b"x"),))
    for words in (key, key.casefold(), "checkout", "production", "tidb", "explain-plan.txt", "plan.txt"):
        assert found(town, words) == {key}, words
    assert found(town, "flamegraph") == set()
    town.reply(key, "owner@lumen.example", "Here is the flamegraph")
    town.answer(key, body="Thanks, the hotspot is clear")
    assert found(town, "flamegraph hotspot checkout") == {key}


def test_notes_are_found_by_staff_alone(town: Town) -> None:
    key = town.file()
    town.note(key, body="The customer is grumpy")
    assert found(town, "grumpy", "agent@support.example", desk=True) == {key}
    assert found(town, "grumpy") == set()
    town.answer(key, body="Do not be grumpy")
    assert found(town, "grumpy") == {key}
    assert found(town, "grumpy", "agent@support.example", desk=True) == {key}


def test_nobody_finds_what_they_do_not_see(town: Town) -> None:
    ours, theirs = town.file(), town.file("owner@northwind.example", NORTHWIND)
    alone = town.file("owner@northwind.example", None, door=DoorName.BILLING)
    secret = town.file(confidential=True)
    assert found(town, "checkout") == {ours, secret}
    assert found(town, "checkout", "member@lumen.example") == {ours}
    assert found(town, "checkout", "owner@northwind.example") == {theirs, alone}
    assert found(town, "checkout", "member@northwind.example") == set(), "there, managers alone see what others filed"
    assert found(town, "checkout", "sales@support.example") == set()
    town.leave("owner@lumen.example", LUMEN)
    assert found(town, "checkout") == set()


def test_a_long_text_is_cut_at_what_every_database_holds(town: Town) -> None:
    flood = " ".join(f"w{number}x{'y' * (number % 9)}" for number in range(6000))
    key = town.file(summary="Flood", body="first " + flood[:60_000])
    for _ in range(3):
        town.reply(key, "owner@lumen.example", " ".join(f"z{number}" for number in range(9000)))
    town.reply(key, "owner@lumen.example", "数据库" * 20_000)
    assert found(town, "first flood") == {key}
    entries = written(town, key)
    assert 10_000 < len(entries) <= ENTRIES_MOST
    assert len(" ".join(entries).encode()) <= BYTES_MOST


def test_a_long_word_is_cut_in_texts_and_searches_alike(town: Town) -> None:
    word = "x" * 500
    key = town.file(summary=word[:200])
    assert found(town, word) == found(town, word[:TERM_MOST]) == {key}


def test_the_index_is_written_anew_from_what_was_said(town: Town) -> None:
    key = town.file(files=(("explain.txt", b"x"),))
    town.reply(key, "owner@lumen.example", "Here is the flamegraph")
    town.note(key, body="grumpy")
    before = written(town, key)
    with Session(town.engine) as session:
        assert not indexing.is_missing(session)
        search.clear(session)
        session.commit()
        assert indexing.is_missing(session)
    assert found(town, "flamegraph") == set()
    told: list[str] = []
    with Session(town.engine) as session:
        assert indexing.index_all(session, told.append) == 1
        assert indexing.index_all(session, told.append) == 1
    assert written(town, key) == before
    assert found(town, "flamegraph explain.txt checkout") == {key}
    assert found(town, "grumpy", "agent@support.example", desk=True) == {key}


def test_a_search_has_bounds() -> None:
    assert words_of(" ".join(f"w{n}" for n in range(50))) == [f"w{n}" for n in range(8)]
    assert words_of("\u202e\u200f\u200b \x00 ...") == []
    assert terms_of("a" * 100_000) == {"a" * TERM_MOST}
    assert len(terms_of("a." * 10_000 + "b")) <= 20
