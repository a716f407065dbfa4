"""What an administrator announces."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from wtforms import HiddenField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from forms.base import MOMENT, Form, MomentField, choices, instant, stripped, tidied
from models.announcements import Notice, Tone
from models.catalogue import PlanName


class AnnouncementForm(Form):
    """An announcement; both moments are in the reader's zone. `was` is the mark of what the page showed."""

    key = HiddenField(validators=[Length(max=40)])
    was = HiddenField(validators=[Length(max=40)])
    title = StringField(
        "Title",
        filters=[stripped],
        validators=[DataRequired("Enter a title."), Length(max=120, message="Shorten the title to 120 characters.")],
    )
    body = TextAreaField(
        "Text",
        filters=[tidied],
        validators=[
            DataRequired("Write the text."),
            Length(max=2000, message="Shorten the text to 2,000 characters."),
        ],
    )
    tone = SelectField("Kind", choices=choices((tone.value, tone.label) for tone in Tone))
    starts_at = MomentField("From", format=MOMENT, validators=[InputRequired("Choose when it begins.")])
    ends_at = MomentField("Until", format=MOMENT, validators=[Optional()])
    plans = SelectMultipleField("Plans", choices=choices((plan.value, plan.label) for plan in PlanName))

    def notice(self, zone: ZoneInfo) -> Notice:
        """Return what the valid form says, its moments as instants."""
        assert self.starts_at.data is not None
        return Notice(
            title=self.title.data or "",
            body=self.body.data or "",
            tone=Tone(self.tone.data),
            starts_at=instant(self.starts_at.data, zone),
            ends_at=instant(self.ends_at.data, zone) if self.ends_at.data else None,
            plans=tuple(PlanName(plan) for plan in self.plans.data or ()),
        )

    def validate(self, *given: object, **more: object) -> bool:
        """Validate as every form; a year that no calendar of ours holds is refused."""
        fine = super().validate(*given, **more)
        for field in (self.starts_at, self.ends_at):
            if field.data is not None and not 2000 <= field.data.year <= 2200:
                field.errors, fine = ["Choose a year between 2000 and 2200."], False
        return fine
