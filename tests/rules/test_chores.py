"""The worker's chores, and what its letters say: bounded, once each, and never more than their reader may know."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import databases
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from gateways.files_local import LocalFiles
from gateways.letters import Letters
from gateways.payments_sandbox import SandboxPayments
from models.attachments import FileLimits, Upload, attach, store
from models.catalogue import Severity
from models.chores import BATCH, close_due, note_missed, sweep
from models.conversations import answer, note, reply, resolve
from models.drafts import Draft, drafts_of, keep_draft
from models.entrance import ask_reset, make_link
from models.events import Event, EventKind
from models.handling import reclassify
from models.letters import facts_of
from models.organizations import Membership
from models.orphans import drop_unused
from models.outbox import Letter, Message
from models.outside import Undeliverable
from models.people import Failure, OneTimeLink, Passwords, SignIn
from models.seeds import person, plant, ticket_of_story
from models.tickets import Ticket, TicketState
from models.wording import stamp

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
BASE = "https://help.example"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the demo world, of which each test gets a copy."""
    folder = tmp_path_factory.mktemp("planted")
    engine = databases.spare(folder / "chores.sqlite")
    with Session(engine) as session:
        gateway = SandboxPayments(folder / "pay.sqlite")
        plant(session, Passwords(8, 1), LocalFiles(folder / "files"), gateway, now=NOW)
        session.commit()
    engine.dispose()
    databases.keep("chores")
    return folder


@pytest.fixture
def files(tmp_path: Path) -> LocalFiles:
    return LocalFiles(tmp_path / "world" / "files")


@pytest.fixture
def engine(tmp_path: Path, planted: Path) -> Iterator[Engine]:
    shutil.copytree(planted, tmp_path / "world")
    engine = databases.reopen(tmp_path / "world" / "chores.sqlite", "chores")
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


def missed_events(session: Session, name: str) -> int:
    here = (Event.ticket_id == ticket_of_story(session, name).id) & (Event.kind == EventKind.PROMISE_MISSED)
    return session.scalar(select(func.count()).where(here)) or 0


def test_a_resolved_request_closes_after_14_days_and_no_sooner(session: Session) -> None:
    ticket = ticket_of_story(session, "deadlocks")
    resolve(ticket, ticket.opener, now=NOW)
    close_due(session, NOW + 14 * DAY - timedelta(seconds=1))
    assert ticket.state is TicketState.RESOLVED
    assert close_due(session, NOW + 14 * DAY) >= 1
    assert (ticket.state, ticket.closes_at) == (TicketState.CLOSED, None)
    assert close_due(session, NOW + 14 * DAY) == 0


def test_a_miss_is_recorded_once_and_leaves_the_request_where_it_is(session: Session) -> None:
    ticket = ticket_of_story(session, "deadlocks")
    due, before = ticket.due_at, ticket.updated_at
    note_missed(session, due)
    assert missed_events(session, "deadlocks") == 0
    note_missed(session, due + MINUTE)
    note_missed(session, due + 2 * MINUTE)
    assert missed_events(session, "deadlocks") == 1
    session.refresh(ticket)
    assert ticket.updated_at == before


def test_a_paused_promise_is_never_missed(session: Session) -> None:
    assert ticket_of_story(session, "slow-reports").state is TicketState.WAITING
    note_missed(session, NOW + 300 * DAY)
    assert missed_events(session, "slow-reports") == 0


def test_a_reopened_request_can_miss_again(session: Session) -> None:
    ticket = ticket_of_story(session, "failover-drill")
    assert missed_events(session, "failover-drill") == 1
    resolve(ticket, ticket.opener, now=NOW)
    reply(ticket, ticket.opener, "It happened again.", now=NOW + MINUTE)
    session.flush()
    note_missed(session, ticket.due_at + MINUTE)
    assert missed_events(session, "failover-drill") == 2


def test_four_workers_record_a_miss_once(engine: Engine) -> None:
    start = threading.Barrier(4)

    def run() -> None:
        start.wait()
        with Session(engine) as session:
            note_missed(session, NOW + 3 * timedelta(hours=1))
            session.commit()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Session(engine) as session:
        assert missed_events(session, "deadlocks") == 1
        assert missed_events(session, "fleet-writes") == 1


def test_the_draft_of_what_was_sent_is_swept(session: Session) -> None:
    ticket = ticket_of_story(session, "fleet-writes")
    writer = ticket.opener
    for key in ("sent" * 5, "kept" * 5):
        keep_draft(writer, f"ticket:{ticket.key}", {"body": ["It is slow."]}, now=NOW, key=key)
    reply(ticket, writer, "It is slow.", now=NOW, key="sent" * 5)
    assert [draft.key for draft in drafts_of(writer)] == ["kept" * 5]
    sweep(session, NOW)
    assert list(session.scalars(select(Draft.key).where(Draft.person_id == writer.id))) == ["kept" * 5]


def test_drafts_go_after_30_days_with_their_files(session: Session, files: LocalFiles) -> None:
    writer = person(session, "owner@lumen.example")
    limits = FileLimits(1000, 5, 1000)
    shared = b"minute,lag_seconds\n"
    for place, at, content in (("old", NOW - 31 * DAY, b"only mine"), ("new", NOW - 29 * DAY, shared)):
        draft = keep_draft(writer, place, {}, now=at)
        attach(draft, store(Upload("a.txt", len(content), [content]), files), limits, now=at)
    old = session.scalars(select(Draft).where(Draft.place == "old")).one()
    attach(old, store(Upload("b.txt", len(shared), [shared]), files), limits, now=NOW - 31 * DAY)
    _, names = sweep(session, NOW)
    session.commit()
    assert [draft.place for draft in session.scalars(select(Draft).where(Draft.person_id == writer.id))] == ["new"]
    assert len(names) == 2
    session.commit()
    # The other file's bytes are those of the draft that stays.
    assert drop_unused(lambda: Session(session.get_bind()), names, files, now=NOW) == 1
    kept = [name for name in names if _is_there(files, name)]
    assert [b"".join(files.get(name)) for name in kept] == [shared]


def _is_there(files: LocalFiles, name: str) -> bool:
    try:
        return bool(list(files.get(name)))
    except FileNotFoundError:
        return False


def test_what_has_had_its_time_goes_and_the_rest_stays(session: Session) -> None:
    someone = person(session, "owner@lumen.example")
    session.add_all(Failure(scope="account", key="k", at=NOW - age) for age in (25 * timedelta(hours=1), MINUTE))
    for age in (8 * DAY, 6 * DAY):
        session.add(OneTimeLink(token_hash=f"{age}", expires_at=NOW - age))
    for age in (91 * DAY, 89 * DAY):
        seen = NOW - age
        session.add(
            SignIn(person_id=someone.id, token_hash=f"{age}", device="", address="", created_at=seen, last_seen_at=seen)
        )
    session.flush()
    sweep(session, NOW)
    for table in (Failure, OneTimeLink, SignIn):
        assert session.scalar(select(func.count(table.id))) == 1
    assert session.scalars(select(SignIn.last_seen_at)).one() == NOW - 89 * DAY


def test_a_sweep_is_bounded(session: Session) -> None:
    session.add_all(Failure(scope="account", key="k", at=NOW - 2 * DAY) for _ in range(BATCH + 5))
    session.flush()
    sweep(session, NOW)
    assert session.scalar(select(func.count(Failure.id))) == 5


def letter_of(session: Session, kind: Letter, to: str) -> Message:
    query = select(Message).where(Message.kind == kind, Message.recipient == to).order_by(Message.id.desc())
    return session.scalars(query.limit(1)).one()


def test_every_queued_letter_can_be_written(session: Session) -> None:
    letters = Letters(Path(__file__).parents[2] / "templates", BASE, "support@help.example", "Help", {"moment": stamp})
    ask_reset(session, "owner@lumen.example", now=NOW)
    session.flush()
    messages = session.scalars(select(Message)).all()
    assert len(messages) > 50
    for message in messages:
        if message.kind is Letter.TICKET_ESCALATED:
            # An alarm that somebody has heard is no news any more.
            with pytest.raises(Undeliverable, match="taken it up"):
                facts_of(message, session, BASE)
            continue
        text = letters.write(message.kind.value, facts_of(message, session, BASE)).get_body(("plain",)).get_content()
        assert f"{BASE}/" in text
        assert "Today" not in text


def test_a_customer_and_an_agent_read_their_own_words(session: Session) -> None:
    ticket = ticket_of_story(session, "deadlocks")
    agent, other = person(session, "agent@support.example"), person(session, "agent2@support.example")
    answer(ticket, agent, "See [the page](/help) for more.", now=NOW, then=TicketState.WAITING)
    session.flush()
    facts = facts_of(letter_of(session, Letter.TICKET_REPLIED, ticket.opener.email), session, BASE)
    assert facts["url"] == f"{BASE}/requests/{ticket.key}"
    assert facts["state_label"] == "Waiting for you"
    assert facts["changes"] == ["The status changed from Open to Waiting for you."]
    assert f'href="{BASE}/help"' in facts["body_html"]
    assert facts["promise"] == ""
    assert facts["zone"] == "Europe/Stockholm"
    answer(ticket, other, "Any news?", now=NOW + MINUTE)
    session.flush()
    to_agent = facts_of(letter_of(session, Letter.TICKET_REPLIED, agent.email), session, BASE)
    assert (to_agent["url"], to_agent["state_label"]) == (f"{BASE}/desk/{ticket.key}", "Waiting for customer")


def test_the_promise_is_said_in_the_reader_s_zone(session: Session) -> None:
    message = letter_of(session, Letter.TICKET_FILED, "owner@harbor.example")
    facts = facts_of(message, session, BASE)
    assert facts["promise"] == "We will reply by Wed 25 Nov, 18:48 (Asia/Tokyo)."


def test_a_letter_of_a_severity_that_is_no_more_states_no_due_time_of_another(session: Session) -> None:
    to = "owner@harbor.example"
    message = letter_of(session, Letter.TICKET_FILED, to)
    ticket, agent = session.get_one(Ticket, message.ticket_id), person(session, "agent@support.example")
    first, then = (one for one in (Severity.S1, Severity.S2, Severity.S3) if one is not ticket.severity)
    reclassify(ticket, agent, first, "All writes fail.", now=NOW)
    session.flush()
    older = letter_of(session, Letter.TICKET_STATE, to)
    assert facts_of(older, session, BASE)["promise"]
    reclassify(ticket, agent, then, "Only some do.", now=NOW + MINUTE)
    session.flush()
    newer = letter_of(session, Letter.TICKET_STATE, to)
    assert older.id != newer.id
    assert facts_of(older, session, BASE)["promise"] == ""
    assert f"to {first.value}" in facts_of(older, session, BASE)["changes"][0]
    assert facts_of(newer, session, BASE)["promise"]
    reclassify(ticket, agent, first, "All of them after all.", now=NOW + 2 * MINUTE)
    assert facts_of(older, session, BASE)["promise"], "the same severity has the same due time"


def test_a_request_without_a_promise_says_so(session: Session) -> None:
    facts = facts_of(letter_of(session, Letter.TICKET_FILED, "owner@aurora.example"), session, BASE)
    assert facts["promise"] == "This request carries no response target."


def test_nobody_gets_what_is_not_theirs(session: Session) -> None:
    ticket = ticket_of_story(session, "deadlocks")
    agent = person(session, "agent@support.example")
    answer(ticket, agent, "We look into it.", now=NOW)
    session.flush()
    message = letter_of(session, Letter.TICKET_REPLIED, ticket.opener.email)
    secret = note(ticket, agent, "Internal thoughts.", now=NOW)
    message.data = message.data | {"comment": secret.id}
    with pytest.raises(Undeliverable, match="no reply"):
        facts_of(message, session, BASE)
    ticket.opener.active = False
    with pytest.raises(Undeliverable, match="deactivated"):
        facts_of(message, session, BASE)
    ticket.opener.active = True
    for membership in session.scalars(select(Membership).where(Membership.person_id == ticket.opener_id)):
        session.delete(membership)
    session.flush()
    session.expire(ticket.opener)
    with pytest.raises(Undeliverable, match="no longer see"):
        facts_of(message, session, BASE)


def test_a_spent_link_is_not_sent(session: Session) -> None:
    ask_reset(session, "owner@lumen.example", now=NOW)
    session.flush()
    message = letter_of(session, Letter.SIGN_IN_RESET, "owner@lumen.example")
    assert facts_of(message, session, BASE)["url"].startswith(f"{BASE}/reset-password/")
    message.data = {}
    with pytest.raises(Undeliverable):
        facts_of(message, session, BASE)
    assert make_link(session, None, now=NOW, life=DAY)
