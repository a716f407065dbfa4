"""No sequence of purchases, downgrades, declines, double submits, faults and clock steps charges twice, gives a plan
unpaid, or loses one that is paid."""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

import databases
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ledger import ASKS, DECLINES, FINE, HOUSE, Ledger
from sqlalchemy import event
from stripe_double import TriedStripe

from models import collecting
from models.base import Refused
from models.cards import Card
from models.catalogue import PlanName
from models.charges import CloudCharge
from models.dunning import hear_of_card
from models.events import Event, EventKind
from models.invoices import InvoiceKind
from models.outside import CardFacts, Unanswered
from models.payments import OPEN, Payment, PaymentKind, PaymentState
from models.quotes import Quote
from models.subscriptions import Standing, Subscription, Term

PAID = st.sampled_from([PlanName.STANDARD, PlanName.ENTERPRISE])
BEGINNINGS = (
    EventKind.PLAN_UPGRADED,
    EventKind.PLAN_RENEWED,
    EventKind.PLAN_DOWNGRADED,
    EventKind.CONTRACT_STARTED,
)
# How the documentation draws a payment's states.
_DOCUMENT = (Path(__file__).parents[2] / "docs" / "billing.md").read_text()
DRAWN = set(re.findall(r"^ +(\S+) --> (\w+):", _DOCUMENT.partition("## A subscription")[0], re.MULTILINE))
NUMBERS = st.sampled_from([FINE, FINE, DECLINES, ASKS])


class Company(RuleBasedStateMachine):
    """One organization, whose people, bank, worker and clock do anything in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = self.opened(Path(self.folder.name))
        self.keys: list[str] = []
        self.changes: set[tuple[str, str]] = set()
        event.listen(Payment.state, "set", self.note)

    def note(self, _: Payment, state: PaymentState, before: object, __: object) -> None:
        """Note how a payment's state changes, also where that is never committed by itself."""
        if before is not state:
            self.changes.add((before.value if isinstance(before, PaymentState) else "[*]", state.value))

    def opened(self, folder: Path) -> Ledger:
        return Ledger(folder)

    def teardown(self) -> None:
        event.remove(Payment.state, "set", self.note)
        self.ledger.engine.dispose()
        self.folder.cleanup()

    @initialize(plan=st.sampled_from([None, PlanName.STANDARD, PlanName.STANDARD, PlanName.ENTERPRISE]))
    def begin_with_a_plan(self, plan: PlanName | None) -> None:
        """Most of what can go wrong goes wrong with a plan that is paid."""
        if plan is not None:
            self.buy_with_a_new_card(plan, FINE)

    @rule(plan=PAID, number=NUMBERS)
    def buy_with_a_new_card(self, plan: PlanName, number: str) -> None:
        with suppress(Refused):
            key = self.ledger.begin(plan)
            self.keys.append(key)
            self.ledger.type(key, number)

    @rule(plan=PAID)
    def buy_with_the_saved_card(self, plan: PlanName) -> None:
        with suppress(Refused):
            key = self.ledger.begin(plan, saved=True)
            self.keys.append(key)
            self.ledger.advance(key)

    @rule(
        plan=PAID, saved=st.booleans(), tax=st.sampled_from([None, 775, 1900]), cents=st.none() | st.integers(0, 10**6)
    )
    def buy_at_the_price_that_was_shown(self, plan: PlanName, saved: bool, tax: int | None, cents: int | None) -> None:
        """Between the page and the button the tax may be set, and charges may come."""
        with suppress(Refused):
            price = self.ledger.price(plan)
            if tax is not None:
                self.ledger.tax(tax)
            if cents is not None:
                self.charges_are_imported(cents, 1)
            key = self.ledger.begin(plan, saved=saved, price=price)
            self.keys.append(key)
            assert self.ledger.payment(key).cents == price.cents
            if saved:
                self.ledger.advance(key)
            else:
                self.ledger.type(key)

    @precondition(lambda self: self.active() is not None)
    @rule(replaced=st.booleans())
    def a_renewal_finds_its_card_gone(self, replaced: bool) -> None:
        """It is declined, unless a card was saved in time; the card may be replaced then."""
        running, card = self.active(), self.default()
        assert running is not None
        if card is not None:
            self.ledger.gateway.forget(card.token)
        self.ledger.at = max(self.ledger.at, running.period_end)
        self.ledger.work()
        if replaced:
            self.the_card_is_replaced(FINE)

    def active(self) -> Subscription | None:
        return next(iter(self.ledger.rows(Subscription, Subscription.standing == Standing.ACTIVE)), None)

    @rule(number=NUMBERS)
    def the_card_is_replaced(self, number: str) -> None:
        before = self.default()
        with suppress(Refused):
            self.keys.append(self.ledger.replace_card(number))
        self.charged_soon(before)

    @precondition(lambda self: self.default() is not None)
    @rule(gone=st.booleans())
    def the_gateway_tells_of_the_card(self, gone: bool) -> None:
        """Its bank has renewed it, or it is gone there."""
        card = self.default()
        assert card is not None
        facts = None if gone else CardFacts(card.token, card.brand, card.last4, card.month, card.year + 1)
        self.ledger.do(lambda session, _, __: hear_of_card(session, card.token, facts, now=self.ledger.at))
        self.charged_soon(card)

    def default(self) -> Card | None:
        return next((one for one in self.ledger.rows(Card) if one.default_for), None)

    def charged_soon(self, before: Card | None) -> None:
        """A card that has become good is charged what is past due at the worker's next round."""
        after, now = self.default(), self.ledger.at
        changed = after is not None and (before is None or (before.id, before.year) != (after.id, after.year))
        running = next(iter(self.ledger.rows(Subscription)), None)
        if not changed or running is None or running.standing is not Standing.PAST_DUE or running.pays_offline:
            return
        assert running.last_day_at is not None
        assert running.retry_at == now or now >= running.last_day_at

    @precondition(lambda self: self.declined())
    @rule(data=st.data())
    def a_refund_is_paid_back_by_hand(self, data: st.DataObject) -> None:
        self.ledger.pay_back(data.draw(st.sampled_from(self.declined())))

    def declined(self) -> list[int]:
        waiting = (Payment.kind == PaymentKind.REFUND) & (Payment.state == PaymentState.DECLINED)
        return [one.id for one in self.ledger.rows(Payment, waiting)]

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), number=NUMBERS)
    def send_again(self, data: st.DataObject, number: str) -> None:
        self.ledger.type(data.draw(st.sampled_from(self.keys)), number)

    def every_key(self) -> list[str]:
        """Of purchases, renewals, arrears, cards and refunds."""
        return [one.public_id for one in self.ledger.rows(Payment)]

    @precondition(lambda self: self.every_key())
    @rule(data=st.data(), confirmed=st.booleans())
    def answer_the_bank(self, data: st.DataObject, confirmed: bool) -> None:
        self.ledger.answer(data.draw(st.sampled_from(self.every_key())), confirmed=confirmed)

    @precondition(lambda self: self.every_key())
    @rule(data=st.data())
    def give_the_payment_up(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.every_key()))
        collecting.abandon(self.ledger.sessions, self.ledger.gateway, key, self.ledger)

    @rule(plan=st.sampled_from([PlanName.BASIC, PlanName.STANDARD]))
    def downgrade(self, plan: PlanName) -> None:
        with suppress(Refused):
            self.ledger.downgrade(plan)

    @rule()
    def keep(self) -> None:
        with suppress(Refused):
            self.ledger.keep()

    @rule()
    def pay_what_is_owed(self) -> None:
        with suppress(Refused):
            self.ledger.pay()

    @rule(what=st.sampled_from([None, "renewal", "standard", "enterprise"]))
    def a_transfer_is_recorded(self, what: str | None) -> None:
        with suppress(Refused):
            self.ledger.record(what)

    @rule(days=st.sampled_from([0, 10, 40, 9999]), after_a_transfer=st.booleans(), by_hand=st.booleans())
    def contract(self, days: int, after_a_transfer: bool, by_hand: bool) -> None:
        """What a contract gives back of a transfer is paid back by hand."""
        if after_a_transfer:
            self.a_transfer_is_recorded("enterprise")
        with suppress(Refused):
            self.ledger.contract(self.ledger.at.date() + timedelta(days=days))
        for refund in self.declined() if by_hand else ():
            self.ledger.pay_back(refund)

    @rule(fault=st.sampled_from(["down", "answer lost"]), times=st.integers(1, 2))
    def the_gateway_stumbles(self, fault: str, times: int) -> None:
        self.ledger.gateway.break_down(fault, times)

    @rule(cents=st.integers(0, 2_000_000), back=st.integers(0, 2))
    def charges_are_imported(self, cents: int, back: int) -> None:
        number = self.ledger.at.year * 12 + self.ledger.at.month - 1 - back
        month = date(number // 12, number % 12 + 1, 1)
        if not any(row.month == month for row in self.ledger.rows(CloudCharge)):
            self.ledger.charge(month, cents)

    @rule(basis_points=st.sampled_from([0, 775, 1900]))
    def the_tax_changes(self, basis_points: int) -> None:
        self.ledger.tax(basis_points)

    @rule()
    def work(self) -> None:
        self.ledger.work()

    @rule(minutes=st.sampled_from([1, 20, 61, 60 * 24, 60 * 24 * 8, 60 * 24 * 31, 60 * 24 * 70]))
    def time_passes(self, minutes: int) -> None:
        self.ledger.step(minutes=minutes)

    @rule(hours=st.sampled_from([1, 30]))
    def the_clock_is_set_back(self, hours: int) -> None:
        self.ledger.step(hours=-hours)

    @invariant()
    def each_payment_is_charged_once_at_most(self) -> None:
        charges = [one for one in self.ledger.gateway.charged(HOUSE) if one[1] == "charge"]
        with_money = [one for one in self.ledger.rows(Payment) if one.cents > 0 and one.kind is not PaymentKind.REFUND]
        assert len(charges) <= len(with_money)
        assert sum(1 for one in self.ledger.rows(Payment) if one.open_for) <= 1
        assert len(self.ledger.rows(Subscription)) <= 1

    @invariant()
    def what_was_charged_is_invoiced_or_still_being_asked_about(self) -> None:
        open_cents = [one.cents for one in self.ledger.rows(Payment) if one.state in OPEN]
        difference = self.ledger.moved() - self.ledger.invoiced()
        # An answer that is lost leaves money moved and not yet written down, of payments that are open still.
        assert difference == 0 or any(one.state in OPEN for one in self.ledger.rows(Payment)), difference
        assert abs(difference) <= sum(open_cents)
        for paper in self.ledger.invoices():
            assert (paper.total >= 0) == (paper.kind is InvoiceKind.INVOICE)
            assert paper.total == paper.subtotal + paper.tax

    @invariant()
    def no_more_goes_back_than_came(self) -> None:
        payments = self.ledger.rows(Payment)
        for paid in payments:
            back = [one for one in payments if one.refund_of == paid.id]
            assert sum(one.cents for one in back) <= paid.cents
            assert not back or paid.state is PaymentState.PAID

    @invariant()
    def a_contract_sets_its_plan_until_it_ends(self) -> None:
        end = self.ledger.do(lambda _, house, __: house.contract_end)
        assert (self.ledger.plan == "premium") == (end is not None)

    @invariant()
    def states_change_as_the_documentation_says(self) -> None:
        assert self.changes <= DRAWN, self.changes - DRAWN

    @invariant()
    def a_plan_is_paid_or_in_its_days_of_grace(self) -> None:
        plan, now = self.ledger.plan, self.ledger.at
        if plan in {"basic", "premium"}:
            return
        running = self.ledger.subscription()
        assert running.plan.value == plan
        if running.standing is Standing.PAST_DUE:
            assert running.last_day_at is not None
            assert running.last_day_at >= running.period_end + running.grace
            return
        assert running.standing is Standing.ACTIVE
        payments = {one.id: one for one in self.ledger.rows(Payment)}
        terms = [one for one in self.ledger.rows(Term) if one.period_end == running.period_end]
        # The clock may be set back before the purchase, and an answer may come when its period is over.
        assert any(payments[term.payment_id].state is PaymentState.PAID for term in terms) or now >= running.period_end

    @invariant()
    def what_is_paid_is_given(self) -> None:
        for one in self.ledger.rows(Payment):
            if one.state is PaymentState.PAID and one.kind in {PaymentKind.UPGRADE, PaymentKind.RENEWAL} and one.plan:
                given = self.ledger.rows(Term, Term.payment_id == one.id)
                if one.offline and _start_of(one) > self.ledger.at:
                    continue  # it was paid ahead
                back = self.ledger.rows(Payment, Payment.refund_of == one.id)
                late = bool(back) or (one.settled_at is not None and one.settled_at >= _end_of(one))
                assert given or late, f"{one.kind} {one.plan} was paid, and nothing given"

    @invariant()
    def a_plan_that_is_paid_is_kept_until_its_period_is_over(self) -> None:
        terms = self.ledger.rows(Term)
        newest = max(terms, key=lambda term: term.id, default=None)
        # What a contract took the place of was given back.
        kinds = [one.kind for one in self.ledger.rows(Event, Event.kind.in_(BEGINNINGS))]
        if newest is not None and self.ledger.plan == "basic" and kinds[-1] is not EventKind.CONTRACT_STARTED:
            assert newest.ends_at >= newest.period_end, f"{newest.plan} was paid until {newest.period_end}"

    @invariant()
    def periods_follow_each_other_and_usage_is_counted_once(self) -> None:
        terms = self.ledger.rows(Term)
        lines = [term for term in terms if term.ends_at > term.starts_at]
        for term in terms:
            assert term.period_start <= term.starts_at <= term.period_end or term.ends_at <= term.starts_at
        settled = [number for one in self.ledger.rows(Payment) if one.state is PaymentState.PAID and one.quote
                   for number in one.quote["settles"]]  # fmt: skip
        assert len(settled) == len(set(settled)), "a usage was invoiced twice"
        assert len({term.id for term in lines}) == len(lines)

    @invariant()
    def one_card_is_the_default(self) -> None:
        cards = [one for one in self.ledger.rows(Card) if one.removed_at is None]
        assert sum(1 for one in cards if one.default_for) == (1 if cards else 0)


class CompanyAtStripe(Company):
    """The same with Stripe, whose events come twice, late, in any order, and about what is long over."""

    def opened(self, folder: Path) -> Ledger:
        stripe = TriedStripe()
        stripe.double.forget_all()
        self.events = 0
        return Ledger(folder, gateway=stripe)

    @precondition(lambda self: self.every_key())
    @rule(data=st.data(), call=st.sampled_from(["card", "charge", "refund", "none"]), old=st.booleans())
    def an_event_comes(self, data: st.DataObject, call: str, old: bool) -> None:
        self.events += not old
        key = f"{data.draw(st.sampled_from(self.every_key()))}:{call}"
        # It is sent again when nobody could be asked.
        with suppress(Unanswered):
            collecting.heard(self.ledger.sessions, self.ledger.gateway, f"evt_{self.events}", key, self.ledger)

    @rule()
    def a_day_passes_at_stripe(self) -> None:
        self.ledger.gateway.double.forget_keys()


def _end_of(payment: Payment) -> datetime:
    return Quote.from_facts(payment.quote).period_end


def _start_of(payment: Payment) -> datetime:
    return Quote.from_facts(payment.quote).period_start


TestCompany = Company.TestCase
TestCompany.settings = settings(
    max_examples=databases.examples(22),
    stateful_step_count=30,
    deadline=None,
    # What is found here is short enough to be read as it is: shrinking it takes minutes.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    derandomize=True,
)
TestCompanyAtStripe = CompanyAtStripe.TestCase
TestCompanyAtStripe.settings = settings(TestCompany.settings, max_examples=databases.examples(8))
