"""A payment gateway for demos and tests: it takes published test card numbers only, and moves no money.

It keeps its own state in a file of its own, as a real gateway does: what it was told stays told when the portal's
transaction fails. The numbers and what they do are those that Stripe publishes for tests (docs.stripe.com/testing);
any other number is refused, so that nobody types a real one. No number is stored: a card's row holds how it behaves.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.outside import CardDetails, CardFacts, GatewayAnswer, Unanswered, Verdict

# As at Stripe (docs.stripe.com/currencies, minimum and maximum charge amounts).
LEAST_CENTS = 50
# How a test card behaves: brand, whether the bank asks when it is saved, and what a charge brings.
_FINE, _ASKS = "fine", "asks"
CARDS = {
    "4242424242424242": ("Visa", _FINE, _FINE),
    "4000056655665556": ("Visa", _FINE, _FINE),
    "5555555555554444": ("Mastercard", _FINE, _FINE),
    "2223003122003222": ("Mastercard", _FINE, _FINE),
    "378282246310005": ("American Express", _FINE, _FINE),
    "6011111111111117": ("Discover", _FINE, _FINE),
    "4000000000000002": ("Visa", "card_declined", _FINE),
    "4000000000000069": ("Visa", "expired_card", _FINE),
    "4000000000000127": ("Visa", "incorrect_cvc", _FINE),
    "4000000000000119": ("Visa", "processing_error", _FINE),
    "4000000000000341": ("Visa", _FINE, "card_declined"),
    "4000000000009995": ("Visa", _FINE, "insufficient_funds"),
    "4000002500003155": ("Visa", _ASKS, _FINE),
    "4000002760003184": ("Visa", _ASKS, _ASKS),
}
_TABLES = """
CREATE TABLE IF NOT EXISTS cards (
  token TEXT PRIMARY KEY, payer TEXT NOT NULL, brand TEXT NOT NULL, last4 TEXT NOT NULL, month INTEGER NOT NULL,
  year INTEGER NOT NULL, charging TEXT NOT NULL, gone INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS calls (
  key TEXT PRIMARY KEY, reference TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, payer TEXT NOT NULL, card TEXT NOT NULL,
  cents INTEGER NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, url TEXT NOT NULL, of TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (name TEXT PRIMARY KEY, times INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class _Call:
    """One call as it is noted; `of` is the charge that a refund belongs to."""

    key: str
    kind: str
    payer: str
    card: str
    cents: int
    back: str
    of: str = ""


class SandboxPayments:
    """The gateway of models/outside.py::Payments, with its state in the SQLite file `path`."""

    name = "sandbox"
    typed_here = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        """Raise Unanswered while it is broken down; that is no call, and uses none of the failures up."""
        with self._open() as db:
            if db.execute("SELECT 1 FROM faults WHERE name = 'down' AND times > 0").fetchone():
                raise Unanswered("down")

    def enroll(self, slug: str, name: str) -> str:  # noqa: ARG002 (a real gateway shows the name to its people)
        """Return the organization's slug."""
        return slug

    def save_card(self, payer: str, details: CardDetails | None, *, key: str, back: str) -> GatewayAnswer:
        """Save a test card; the same key gives the first result."""
        assert details is not None, "test cards are typed into our own form"
        self._stumble("down")
        with self._open() as db:
            if (there := self._found(db, key)) is None:
                brand, saving, charging = CARDS.get(details.number, ("", "not_a_test_card", ""))
                token = f"card_{secrets.token_urlsafe(16)}"
                if saving in {_FINE, _ASKS}:
                    facts = (token, payer, brand, details.number[-4:], details.month, details.year, charging)
                    db.execute("INSERT INTO cards VALUES (?, ?, ?, ?, ?, ?, ?, 0)", facts)
                there = self._note(db, _Call(key, "card", payer, token, 0, back), saving)
        self._stumble("answer lost")
        return there

    def charge(self, payer: str, card: str, cents: int, *, key: str, back: str, present: bool) -> GatewayAnswer:
        """Charge a saved card; the same key gives the first result and never charges twice."""
        self._stumble("down")
        with self._open() as db:
            if (there := self._found(db, key)) is None:
                mine = "SELECT charging FROM cards WHERE token = ? AND payer = ? AND gone = 0"
                row = db.execute(mine, (card, payer)).fetchone()
                behaviour = row[0] if row else "card_declined"
                if cents < LEAST_CENTS:
                    behaviour = "amount_too_small"
                if behaviour == _ASKS and not present:
                    behaviour = "authentication_required"
                there = self._note(db, _Call(key, "charge", payer, card, cents, back), behaviour)
        self._stumble("answer lost")
        return there

    def look(self, payer: str, key: str) -> GatewayAnswer | None:
        """Return what has become of the call; None when it never arrived."""
        self._stumble("down")
        with self._open() as db:
            return self._found(db, key, payer)

    def cancel(self, payer: str, key: str) -> GatewayAnswer:
        """End a call that waits for the cardholder; one that is decided stays as it is."""
        self._stumble("down")
        with self._open() as db:
            change = "UPDATE calls SET verdict = ?, url = '' WHERE key = ? AND payer = ? AND verdict = ?"
            db.execute(change, (Verdict.CANCELED.value, key, payer, Verdict.ASKS.value))
            return self._found(db, key, payer) or GatewayAnswer(Verdict.CANCELED, "")

    def refund(self, payer: str, charge: str, cents: int, *, key: str) -> GatewayAnswer:
        """Give back a part of a charge, never more than it was."""
        self._stumble("down")
        with self._open() as db:
            if (there := self._found(db, key)) is None:
                mine = "SELECT card, cents FROM calls WHERE key = ? AND payer = ?"
                row = db.execute(mine, (charge, payer)).fetchone()
                gone = "SELECT coalesce(sum(cents), 0) FROM calls WHERE kind = 'refund' AND of = ? AND verdict = 'done'"
                before = db.execute(gone, (charge,)).fetchone()[0]
                fits = row is not None and before + cents <= row[1]
                call = _Call(key, "refund", payer, row[0] if row else "", cents, "", charge)
                there = self._note(db, call, _FINE if fits else "too_much")
        self._stumble("answer lost")
        return there

    def refunded(self, payer: str, charge: str, key: str) -> GatewayAnswer | None:  # noqa: ARG002 (its key is enough)
        """Return what has become of a refund; None when it never arrived."""
        return self.look(payer, key)

    def forget(self, card: str) -> None:
        """Delete a saved card."""
        self._stumble("down")
        with self._open() as db:
            db.execute("UPDATE cards SET gone = 1 WHERE token = ?", (card,))

    def answer_bank(self, key: str, *, confirmed: bool) -> None:
        """Be the cardholder who answers the bank's question about a call; one that is decided stays as it is."""
        verdict, reason = (Verdict.DONE, "") if confirmed else (Verdict.DECLINED, "authentication_failed")
        with self._open() as db:
            change = "UPDATE calls SET verdict = ?, reason = ?, url = '' WHERE key = ? AND verdict = ?"
            db.execute(change, (verdict.value, reason, key, Verdict.ASKS.value))

    def break_down(self, fault: str, times: int = 1) -> None:
        """Let the next calls fail: "down" (nothing happens) or "answer lost" (it happens, and nobody hears of it)."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO faults VALUES (?, ?)", (fault, times))

    def charged(self, payer: str = "") -> list[tuple[str, str, int]]:
        """Return the money that moved, as (payer, "charge" or "refund", cents), in order."""
        with self._open() as db:
            rows = db.execute(
                "SELECT payer, kind, cents FROM calls WHERE verdict = 'done' AND kind IN ('charge', 'refund') "
                "AND (payer = ? OR ? = '') ORDER BY rowid",
                (payer, payer),
            )
            return [(who, kind, cents) for who, kind, cents in rows]

    def _note(self, db: sqlite3.Connection, call: _Call, behaviour: str) -> GatewayAnswer:
        reference = f"{call.kind}_{secrets.token_urlsafe(12)}"
        verdict, reason, url = Verdict.DECLINED, behaviour, ""
        if behaviour == _FINE:
            verdict, reason = Verdict.DONE, ""
        elif behaviour == _ASKS:
            verdict, reason, url = Verdict.ASKS, "", f"{call.back}/bank"
        facts = (call.key, reference, call.kind, call.payer, call.card, call.cents, verdict.value, reason, url, call.of)
        db.execute("INSERT INTO calls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", facts)
        found = self._found(db, call.key)
        assert found is not None
        return found

    def _found(self, db: sqlite3.Connection, key: str, payer: str = "") -> GatewayAnswer | None:
        mine = "SELECT reference, verdict, reason, url, kind, card FROM calls WHERE key = ? AND (payer = ? OR ? = '')"
        row = db.execute(mine, (key, payer, payer)).fetchone()
        if row is None:
            return None
        reference, verdict, reason, url, kind, token = row
        card = None
        if kind == "card" and verdict == Verdict.DONE.value:
            facts = db.execute(
                "SELECT token, brand, last4, month, year FROM cards WHERE token = ?", (token,)
            ).fetchone()
            card = CardFacts(*facts)
        return GatewayAnswer(Verdict(verdict), reference, reason, url, card)

    def _stumble(self, fault: str) -> None:
        with self._open() as db:
            left = db.execute("UPDATE faults SET times = times - 1 WHERE name = ? AND times > 0", (fault,)).rowcount
        if left:
            raise Unanswered(fault)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Give a connection whose one transaction is written at the end."""
        db = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            if db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'faults'").fetchone()[0] == 0:
                db.execute("PRAGMA journal_mode = WAL")
                db.executescript(_TABLES)
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()
