"""What narrows the audit log down."""

from __future__ import annotations

from wtforms import SelectField, StringField
from wtforms.validators import Length, Optional

from forms.base import DayField, Form, choices, stripped
from models.audit import Group


def _kinds() -> list[tuple[str, str]]:
    """Return the list's rows: everything, each group, and the kinds of each group below it."""
    grouped = [pair for g in Group for pair in ((g.value, g.label), *((k.value, f"– {k.label}") for k in g.kinds))]
    return [("", "Everything"), *grouped]


class AuditForm(Form):
    """The filters of the audit log, as the address has them."""

    kind = SelectField("What", default="", coerce=str, choices=choices(_kinds()))
    person = StringField(
        "Person",
        filters=[stripped],
        validators=[Optional(), Length(max=254, message="Shorten the address to 254 characters.")],
    )
    organization = StringField(
        "Organization",
        filters=[stripped],
        validators=[Optional(), Length(max=60, message="Shorten the short name to 60 characters.")],
    )
    since = DayField("From day", name="from", validators=[Optional()])
    until = DayField("Until day", validators=[Optional()])
    key = StringField(
        "Reference",
        filters=[stripped],
        validators=[Optional(), Length(max=20, message="Shorten the reference to 20 characters.")],
    )
