"""The contract of what charges cards, kept by each gateway: the sandbox, and Stripe by its real SDK on a double."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stripe_double import (
    PUBLISHABLE_KEY,
    SECRET_KEY,
    WEBHOOK_SECRET,
    StripeDouble,
    stripe_double,
)

from gateways.payments_sandbox import SandboxPayments
from gateways.payments_stripe import StripePayments, WrongKey
from models.outside import CardDetails, GatewayAnswer, Payments, Unanswered, UnknownPayer, Verdict
from models.quotes import LEAST_CENTS

pytestmark = pytest.mark.plain

FINE, DECLINES, ASKS_ONCE = "4242424242424242", "4000000000000341", "4000002500003155"
ASKS_ALWAYS = "4000002760003184"
BACK = "/console/x/payments/y"


class Sandbox:
    """The sandbox, and what its cardholder does."""

    def __init__(self, folder: Path) -> None:
        self.gateway: Payments = SandboxPayments(folder / "sandbox.sqlite")
        self.there = SandboxPayments(folder / "sandbox.sqlite")

    def save(self, payer: str, number: str, key: str) -> GatewayAnswer:
        return self.gateway.save_card(payer, CardDetails(number, 4, 2031, "123", "Ann Ode"), key=key, back=BACK)

    def answer(self, key: str, *, confirmed: bool) -> None:
        self.there.answer_bank(key, confirmed=confirmed)

    def moved(self) -> list[tuple[str, int]]:
        return [(kind, cents) for _, kind, cents in self.there.charged()]

    def lose_answer(self) -> None:
        self.there.break_down("answer lost")

    def go_down(self, calls: int) -> None:
        self.there.break_down("down", calls)

    def forget_keys(self) -> None:
        """It never does."""


class Stripe:
    """Stripe, with the browser that types the card into its element."""

    def __init__(self, double: StripeDouble) -> None:
        self.double = double
        self.gateway: Payments = StripePayments(SECRET_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, double.address)

    def save(self, payer: str, number: str, key: str) -> GatewayAnswer:
        begun = self.gateway.save_card(payer, None, key=key, back=BACK)
        if begun.verdict is not Verdict.ASKS:
            return begun
        assert begun.url == f"{BACK}/card"
        self.double.type_card(self.double.intent(key), number)
        there = self.gateway.look(payer, key)
        assert there is not None
        return there

    def answer(self, key: str, *, confirmed: bool) -> None:
        self.double.answer_bank(self.double.intent(key), confirmed=confirmed)

    def moved(self) -> list[tuple[str, int]]:
        return self.double.moved()

    def lose_answer(self) -> None:
        self.double.drop = 2

    def go_down(self, calls: int) -> None:
        # Its library tries each call once more by itself.
        self.double.down = 2 * calls

    def forget_keys(self) -> None:
        """Let a day pass: Stripe forgets idempotency keys then."""
        self.double.forget_keys()


Shop = Sandbox | Stripe


@pytest.fixture
def double() -> StripeDouble:
    there = stripe_double()
    there.forget_all()
    return there


@pytest.fixture(params=["sandbox", "stripe"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    if request.param == "sandbox":
        return Sandbox(tmp_path)
    return Stripe(request.getfixturevalue("double"))


@pytest.fixture
def payer(shop: Shop) -> str:
    return shop.gateway.enroll("lumen", "Lumen Retail")


def saved(shop: Shop, payer: str, number: str = FINE, key: str = "k1:card") -> str:
    answer = shop.save(payer, number, key)
    assert answer.card is not None, answer
    return answer.card.token


def charge(shop: Shop, payer: str, card: str, key: str = "c1:charge", cents: int = 2900, **more: bool) -> GatewayAnswer:
    return shop.gateway.charge(payer, card, cents, key=key, back=BACK, present=more.get("present", True))


def test_a_card_is_saved_and_charged_once_for_a_key(shop: Shop, payer: str) -> None:
    answer = shop.save(payer, FINE, "k1:card")
    assert (answer.verdict, answer.card.brand if answer.card else "") == (Verdict.DONE, "Visa")
    card = saved(shop, payer)
    assert answer.card is not None
    assert (card, answer.card.last4, answer.card.month) == (answer.card.token, "4242", 4)
    for _ in range(3):
        assert charge(shop, payer, card).verdict is Verdict.DONE
        shop.forget_keys()
    assert shop.moved() == [("charge", 2900)]
    assert charge(shop, payer, card, "c2:charge", 100).verdict is Verdict.DONE
    assert sorted(shop.moved()) == [("charge", 100), ("charge", 2900)]


def test_what_is_less_than_is_ever_asked_is_declined(shop: Shop, payer: str) -> None:
    card = saved(shop, payer)
    answer = charge(shop, payer, card, "c1:charge", LEAST_CENTS - 1)
    assert (answer.verdict, answer.reason) == (Verdict.DECLINED, "amount_too_small")
    assert charge(shop, payer, card, "c2:charge", LEAST_CENTS).verdict is Verdict.DONE


def test_a_bank_declines_a_charge(shop: Shop, payer: str) -> None:
    card = saved(shop, payer, DECLINES)
    for _ in range(2):
        answer = charge(shop, payer, card)
        assert (answer.verdict, answer.reason) == (Verdict.DECLINED, "card_declined")
        shop.forget_keys()
    there = shop.gateway.look(payer, "c1:charge")
    assert there is not None
    assert (there.verdict, there.reason, shop.moved()) == (Verdict.DECLINED, "card_declined", [])


def test_a_bank_asks_and_is_answered(shop: Shop, payer: str) -> None:
    asked = shop.save(payer, ASKS_ALWAYS, "k1:card")
    assert (asked.verdict, asked.card) == (Verdict.ASKS, None)
    shop.answer("k1:card", confirmed=True)
    card = saved(shop, payer, ASKS_ALWAYS)
    waits = charge(shop, payer, card)
    assert waits.verdict is Verdict.ASKS
    assert waits.url.startswith(BACK)
    assert shop.moved() == []
    shop.answer("c1:charge", confirmed=True)
    there = shop.gateway.look(payer, "c1:charge")
    assert there is not None
    assert (there.verdict, shop.moved()) == (Verdict.DONE, [("charge", 2900)])


def test_a_bank_is_told_no(shop: Shop, payer: str) -> None:
    shop.save(payer, ASKS_ALWAYS, "k1:card")
    shop.answer("k1:card", confirmed=True)
    charge(shop, payer, saved(shop, payer, ASKS_ALWAYS))
    shop.answer("c1:charge", confirmed=False)
    there = shop.gateway.look(payer, "c1:charge")
    assert there is not None
    assert (there.verdict, there.reason, shop.moved()) == (Verdict.DECLINED, "authentication_failed", [])


def test_nobody_can_be_asked_at_a_renewal(shop: Shop, payer: str) -> None:
    shop.save(payer, ASKS_ALWAYS, "k1:card")
    shop.answer("k1:card", confirmed=True)
    card = saved(shop, payer, ASKS_ALWAYS)
    answer = charge(shop, payer, card, present=False)
    assert (answer.verdict, answer.reason) == (Verdict.DECLINED, "authentication_required")
    # Nobody can confirm it afterwards either.
    there = shop.gateway.look(payer, "c1:charge")
    assert there is None or there.verdict in {Verdict.DECLINED, Verdict.CANCELED}
    assert shop.moved() == []


def test_what_waits_can_be_ended_and_what_is_decided_cannot(shop: Shop, payer: str) -> None:
    shop.save(payer, ASKS_ONCE, "k1:card")
    assert shop.gateway.cancel(payer, "k1:card").verdict is Verdict.CANCELED
    there = shop.gateway.look(payer, "k1:card")
    assert there is not None
    assert there.verdict is Verdict.CANCELED
    assert shop.gateway.cancel(payer, "none:card").verdict is Verdict.CANCELED
    charge(shop, payer, saved(shop, payer, key="k2:card"))
    assert shop.gateway.cancel(payer, "c1:charge").verdict is Verdict.DONE


def test_no_more_goes_back_than_came(shop: Shop, payer: str) -> None:
    charge(shop, payer, saved(shop, payer))
    give = shop.gateway.refund
    for _ in range(2):
        assert give(payer, "c1:charge", 2000, key="r1:refund").verdict is Verdict.DONE
        shop.forget_keys()
    assert give(payer, "c1:charge", 901, key="r2:refund").verdict is Verdict.DECLINED
    assert give(payer, "c1:charge", 900, key="r3:refund").verdict is Verdict.DONE
    assert give(payer, "none:charge", 1, key="r4:refund").verdict is Verdict.DECLINED
    assert sorted(cents for kind, cents in shop.moved() if kind == "refund") == [900, 2000]
    there = shop.gateway.refunded(payer, "c1:charge", "r1:refund")
    assert there is not None
    assert there.verdict is Verdict.DONE
    for payer_, key in ((payer, "r4"), (payer, "none"), ("cus_nobody", "r1")):
        never = shop.gateway.refunded(payer_, "c1:charge", f"{key}:refund")
        assert never is None or never.verdict is Verdict.DECLINED


def test_a_lost_answer_is_found_and_a_call_that_never_arrived_is_not(shop: Shop, payer: str) -> None:
    card = saved(shop, payer)
    shop.lose_answer()
    with pytest.raises(Unanswered):
        charge(shop, payer, card)
    shop.forget_keys()
    there = shop.gateway.look(payer, "c1:charge")
    assert there is not None
    assert there.verdict is Verdict.DONE
    assert charge(shop, payer, card).verdict is Verdict.DONE
    assert shop.moved() == [("charge", 2900)]
    shop.go_down(1)
    with pytest.raises(Unanswered):
        charge(shop, payer, card, "c2:charge")
    assert shop.gateway.look(payer, "c2:charge") is None


def test_whoever_begins_is_told_at_once_that_it_is_down(shop: Shop, payer: str) -> None:
    shop.gateway.check()
    shop.go_down(1)
    with pytest.raises(Unanswered):
        shop.gateway.check()
    assert payer


def test_a_forgotten_card_and_somebody_elses_are_not_charged(shop: Shop, payer: str) -> None:
    card, other = saved(shop, payer), shop.gateway.enroll("northwind", "Northwind Bank")
    assert other != payer
    if isinstance(shop, Sandbox):
        # localstripe lets any customer pay with any card; Stripe does not.
        assert charge(shop, other, card, "n:charge").verdict is Verdict.DECLINED
    assert shop.gateway.look(other, "k1:card") is None
    shop.gateway.forget(card)
    shop.gateway.forget(card)
    shop.gateway.forget("pm_nothing")


def test_a_payer_whom_it_does_not_know_has_made_no_call(shop: Shop, payer: str) -> None:
    card = saved(shop, payer)
    charge(shop, payer, card)
    for call in ("k1:card", "c1:charge"):
        assert shop.gateway.look("cus_nobody", call) is None
        assert shop.gateway.cancel("cus_nobody", call).verdict is Verdict.CANCELED
    assert charge(shop, "cus_nobody", card, "c2:charge").verdict is Verdict.DECLINED
    assert shop.gateway.refund("cus_nobody", "c1:charge", 100, key="r1:refund").verdict is Verdict.DECLINED
    assert shop.moved() == [("charge", 2900)]


# What only Stripe has.


@pytest.fixture
def stripe(double: StripeDouble) -> StripePayments:
    return StripePayments(SECRET_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, double.address)


def test_a_key_that_stripe_does_not_take_is_told_apart_from_an_outage(double: StripeDouble) -> None:
    wrong = StripePayments("sk_test_wrong", PUBLISHABLE_KEY, WEBHOOK_SECRET, double.address)
    with pytest.raises(WrongKey):
        wrong.check()
    nowhere = StripePayments(SECRET_KEY, PUBLISHABLE_KEY, WEBHOOK_SECRET, "http://127.0.0.1:9")
    with pytest.raises(Unanswered):
        nowhere.check()


def test_nothing_is_saved_for_a_payer_who_must_be_enrolled_anew(stripe: StripePayments) -> None:
    with pytest.raises(UnknownPayer):
        stripe.save_card("cus_nobody", None, key="k:card", back=BACK)
    assert stripe.handover("cus_nobody", "k:card") is None


@pytest.mark.parametrize("path", ["customers", "setup_intents", "payment_intents", "payment_methods", "refunds"])
def test_what_stripe_finds_wrong_with_a_call_is_no_error_of_ours(
    double: StripeDouble, stripe: StripePayments, path: str
) -> None:
    payer = stripe.enroll("lumen", "Lumen Retail")
    card = saved(Stripe(double), payer)
    stripe.charge(payer, card, 2900, key="c1:charge", back=BACK, present=True)
    double.odd = f"/v1/{path}"
    calls: list[Callable[[], object]] = [
        lambda: stripe.enroll("other", "Other"),
        lambda: stripe.save_card(payer, None, key="k2:card", back=BACK),
        lambda: stripe.look(payer, "k1:card"),
        lambda: stripe.look(payer, "c1:charge"),
        lambda: stripe.charge(payer, card, 100, key="c2:charge", back=BACK, present=True),
        lambda: stripe.cancel(payer, "k1:card"),
        lambda: stripe.cancel(payer, "c1:charge"),
        lambda: stripe.refund(payer, "c1:charge", 100, key="r1:refund"),
        lambda: stripe.forget(card),
        lambda: stripe.handover(payer, "c1:charge"),
        lambda: stripe.facts_of(card),
    ]
    unanswered = 0
    for call in calls:
        try:
            call()
        except Unanswered:
            unanswered += 1
    assert unanswered, "a call that Stripe takes nothing of cannot be answered"


def test_a_refund_is_done_when_its_bank_says_so(double: StripeDouble, stripe: StripePayments) -> None:
    payer = stripe.enroll("lumen", "Lumen Retail")
    stripe.charge(payer, saved(Stripe(double), payer), 2900, key="c1:charge", back=BACK, present=True)
    for status in ("pending", "requires_action"):
        double.refunds_are = status
        with pytest.raises(Unanswered):
            stripe.refund(payer, "c1:charge", 2900, key="r1:refund")
    for status, verdict in (("succeeded", Verdict.DONE), ("failed", Verdict.DECLINED), ("canceled", Verdict.DECLINED)):
        double.refunds_are = status
        assert stripe.refund(payer, "c1:charge", 2900, key="r1:refund").verdict is verdict
        there = stripe.refunded(payer, "c1:charge", "r1:refund")
        assert there is not None
        assert there.verdict is verdict
    assert double.moved().count(("refund", 2900)) == 1


def test_a_name_in_any_script_is_enrolled_once(double: StripeDouble, stripe: StripePayments) -> None:
    for name in ("Lumen Retail", "Zürich & Söhne", "平凯星辰", "x" * 120):
        payer = stripe.enroll("house", name)
        assert stripe.enroll("house", name) == payer
        assert double.ask("GET", f"/v1/customers/{payer}")["name"] == name


def test_a_declined_card_can_be_followed_by_another_one(double: StripeDouble, stripe: StripePayments) -> None:
    payer = stripe.enroll("lumen", "Lumen Retail")
    stripe.save_card(payer, None, key="k:card", back=BACK)
    refused = double.type_card(double.intent("k:card"), "4000000000000002")
    assert refused["error"]["code"] == "card_declined"
    there = stripe.look(payer, "k:card")
    assert there is not None
    assert (there.verdict, there.url) == (Verdict.ASKS, f"{BACK}/card")
    double.type_card(double.intent("k:card"), FINE)
    there = stripe.look(payer, "k:card")
    assert there is not None
    assert there.card is not None


def test_the_browser_gets_what_it_needs_and_no_more(double: StripeDouble, stripe: StripePayments) -> None:
    payer = stripe.enroll("lumen", "Lumen Retail")
    assert stripe.handover(payer, "k:card") is None
    stripe.save_card(payer, None, key="k:card", back=BACK)
    given = stripe.handover(payer, "k:card")
    assert given is not None
    assert (given.publishable_key, given.saving) == (PUBLISHABLE_KEY, True)
    assert given.client_secret == double.intent("k:card")["client_secret"]
    assert SECRET_KEY not in repr(given)
