"""What a browser may send about cards and plans. What stands on a card is checked here and kept nowhere."""

from __future__ import annotations

import re
from datetime import date

from wtforms import HiddenField, RadioField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from forms.base import DayField, Form, choices, stripped, tidied
from models.bills import BLOCK_MOST
from models.money import BASIS
from models.offline import REFERENCE_MOST, Method
from models.outside import CardDetails

_NUMBER = "Enter the number on the front of the card: 12 to 19 digits, with or without spaces."
_WRONG = "Check the card number: a digit is missing or wrong."
_EXPIRY = "Enter the month and year on the card, for example 04/29."
_OVER = "This card has expired. Use another card."
_RATE = "Enter a rate from 0 to 100, for example 19 or 7.75."
_CODE = "Enter the security code: 3 digits on the back of the card, or 4 on the front of American Express."


def _digits(value: object) -> object:
    return re.sub(r"[\s-]", "", value) if isinstance(value, str) else value


class CardForm(Form):
    """A card as it is printed: number, expiry, code, name. `today` is the day on which it must still be good."""

    # Carried by the form so that sending it twice pays once.
    key = HiddenField(validators=[Length(max=40)])
    quote = HiddenField(validators=[Length(max=300)])
    card_number = StringField("Card number", filters=[_digits], validators=[DataRequired(_NUMBER)])
    card_expiry = StringField("Expiry", filters=[stripped], validators=[DataRequired(_EXPIRY)])
    card_code = StringField("Security code", filters=[_digits], validators=[DataRequired(_CODE)])
    holder = StringField(
        "Name on the card",
        filters=[stripped],
        validators=[
            DataRequired("Enter the name on the card."),
            Length(max=100, message="Shorten the name to 100 characters."),
        ],
    )
    today: date

    def validate_card_number(self, field: StringField) -> None:
        """Raise ValidationError for what cannot be a card's number (ISO/IEC 7812: length and check digit)."""
        number = field.data or ""
        if not re.fullmatch(r"[0-9]{12,19}", number, re.ASCII):
            raise ValidationError(_NUMBER)
        doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
        if sum(part if part < 10 else part - 9 for part in doubled) % 10:
            raise ValidationError(_WRONG)

    def validate_card_expiry(self, field: StringField) -> None:
        """Raise ValidationError for what is no month and year, and for a month that is past."""
        month, year = self._expiry(field.data or "")
        if (year, month) < (self.today.year, self.today.month):
            raise ValidationError(_OVER)
        if year > self.today.year + 25:
            raise ValidationError(_EXPIRY)

    def validate_card_code(self, field: StringField) -> None:
        """Raise ValidationError for what is no security code of such a card."""
        american = (self.card_number.data or "").startswith(("34", "37"))
        if not re.fullmatch(r"[0-9]{4}" if american else r"[0-9]{3}", field.data or "", re.ASCII):
            raise ValidationError(_CODE)

    def details(self) -> CardDetails:
        """Return the card as it was typed, for the gateway alone."""
        month, year = self._expiry(self.card_expiry.data or "")
        return CardDetails(
            self.card_number.data or "", month, year, self.card_code.data or "", (self.holder.data or "").strip()
        )

    def _expiry(self, written: str) -> tuple[int, int]:
        found = re.fullmatch(r"(0?[1-9]|1[0-2])\s*[/.-]?\s*((?:20)?[0-9]{2})", written, re.ASCII)
        if found is None:
            raise ValidationError(_EXPIRY)
        year = int(found[2])
        return int(found[1]), year if year >= 2000 else 2000 + year


class BuyForm(Form):
    """The plan, with a card that is saved already."""

    key = HiddenField(validators=[Length(max=40)])
    quote = HiddenField(validators=[Length(max=300)])
    card = HiddenField(validators=[Length(max=20)])


class ConfirmForm(Form):
    """A button that confirms what the page says; it has nothing to fill in."""


class DetailsForm(Form):
    """Whom invoices name, and where they go; everything may be left empty."""

    was = HiddenField(validators=[Length(max=20)])
    company = StringField(
        "Company name",
        filters=[stripped],
        validators=[Length(max=200, message="Shorten the name to 200 characters.")],
    )
    address = TextAreaField(
        "Address",
        filters=[tidied],
        validators=[Length(max=BLOCK_MOST, message=f"Shorten it to {BLOCK_MOST} characters.")],
    )
    tax_id = StringField(
        "Tax ID", filters=[stripped], validators=[Length(max=60, message="Shorten it to 60 characters.")]
    )
    email = StringField(
        "Email for invoices",
        filters=[stripped],
        validators=[Length(max=254, message="Shorten the address to 254 characters.")],
    )

    def given(self) -> dict[str, str]:
        """Return what the valid form says."""
        return {part: str(self[part].data or "") for part in ("company", "address", "tax_id", "email")}


class RecordForm(Form):
    """A payment that came without a card."""

    # Carried by the form so that sending it twice records it once.
    key = HiddenField(validators=[Length(max=40)])
    quote = HiddenField(validators=[Length(max=300)])
    what = HiddenField(validators=[Length(max=20)])
    method = RadioField(
        "Came by",
        choices=choices((m.value, m.label) for m in Method),
        validators=[InputRequired("Choose how it came.")],
    )
    reference = StringField(
        "Reference",
        filters=[stripped],
        validators=[
            DataRequired("Enter the reference of the transfer or the number of the order."),
            Length(max=REFERENCE_MOST, message=f"Shorten the reference to {REFERENCE_MOST} characters."),
        ],
    )
    received = DayField("Received on", validators=[InputRequired("Choose the day on which it came.")])

    def chosen_method(self) -> Method:
        """Return how the valid form says that it came."""
        return Method(self.method.data)


class SellerForm(Form):
    """Who issues invoices; `seller_was` is what the page showed."""

    seller_was = HiddenField(validators=[Length(max=20)])
    seller = TextAreaField(
        "Issued by",
        filters=[tidied],
        validators=[Length(max=BLOCK_MOST, message=f"Shorten it to {BLOCK_MOST} characters.")],
    )


class TaxForm(Form):
    """The rate of tax in percent, with two decimals at most; `was` is what the page showed."""

    was = HiddenField(validators=[Length(max=20)])
    rate = StringField(
        "Tax in percent", filters=[stripped], validators=[InputRequired(_RATE), Length(max=10, message=_RATE)]
    )

    def validate_rate(self, field: StringField) -> None:
        """Raise ValidationError for what is no rate from 0 to 100."""
        if self._points(field.data or "") is None:
            raise ValidationError(_RATE)

    def basis_points(self) -> int:
        """Return the valid rate in basis points."""
        return self._points(self.rate.data or "") or 0

    def _points(self, written: str) -> int | None:
        found = re.fullmatch(r"([0-9]{1,3})(?:[.,]([0-9]{1,2}))? ?%?", written, re.ASCII)
        points = int(found[1]) * 100 + int((found[2] or "").ljust(2, "0")) if found else BASIS + 1
        return points if points <= BASIS else None
