"""What an administrator writes about business hours."""

from __future__ import annotations

from wtforms import FileField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from forms.base import DayField, Form, choices, stripped, tidied
from models.base import Refused
from models.wording import WEEKDAYS, zones


class CalendarForm(Form):
    """Name, zone, and two times from and to for each day. `was` is the version that the page showed."""

    key = HiddenField(validators=[Length(max=40)])
    was = HiddenField(validators=[Length(max=20)])
    name = StringField(
        "Name",
        filters=[stripped],
        validators=[
            DataRequired("Enter a name for the calendar."),
            Length(max=100, message="Shorten the name to 100 characters."),
        ],
    )
    zone = SelectField(
        "Time zone",
        choices=choices((zone, zone.replace("_", " ")) for zone in zones()),
        validators=[InputRequired("Choose a time zone.")],
    )

    @property
    def week(self) -> list[list[list[str]]]:
        """The hours as they were typed: an empty pair is left out."""
        rows = [[[one.data or "" for one in pair] for pair in day] for _, day in self.days]
        return [[pair for pair in day if any(pair)] for day in rows]

    @property
    def days(self) -> list[tuple[str, list[list[StringField]]]]:
        """The fields of each day, Monday first: two pairs of from and to."""
        return [
            (name, [[self[f"d{day}{pair}{end}"] for end in "ab"] for pair in "12"]) for day, name in enumerate(WEEKDAYS)
        ]

    def refuse(self, refusal: Refused) -> None:
        """Show what is wrong with the hours at the day that the reason names, else at the first."""
        if refusal.field == "hours":
            day = next((number for number, name in enumerate(WEEKDAYS) if name in refusal.reason), 0)
            refusal = Refused(refusal.reason, f"d{day}1a")
        super().refuse(refusal)

    def show(self, week: list[list[list[str]]]) -> None:
        """Write the hours into the fields; a third pair of a day has no field."""
        for (_, fields), pairs in zip(self.days, week, strict=True):
            for field, pair in zip(fields, pairs, strict=False):
                field[0].data, field[1].data = pair


for _day, _name in enumerate(WEEKDAYS):
    for _pair, _which in (("1", ""), ("2", " again")):
        for _end, _word in (("a", "from"), ("b", "until")):
            _label = f"{_name}{_which} {_word}"
            setattr(
                CalendarForm,
                f"d{_day}{_pair}{_end}",
                StringField(
                    _label, filters=[stripped], validators=[Length(max=5, message=f"Write {_label} as 09:00.")]
                ),
            )


class HolidayForm(Form):
    """A day without business hours."""

    date = DayField("Day", validators=[InputRequired("Choose the day.")])
    holiday = StringField(
        "Name of the holiday",
        filters=[stripped],
        validators=[
            DataRequired("Enter the name of the holiday."),
            Length(max=100, message="Shorten the name to 100 characters."),
        ],
    )


class HolidayFileForm(Form):
    """A file of holidays; the view reads it."""

    file = FileField("iCalendar file (.ics)")


class HolidaysForm(Form):
    """Days without business hours, one a line."""

    days = TextAreaField(
        "Holidays to add, one a line",
        filters=[tidied],
        validators=[DataRequired("There is no day to add."), Length(max=60_000, message="Take some days out.")],
    )
