"""What a customer says of the help."""

from __future__ import annotations

from wtforms import RadioField, TextAreaField
from wtforms.validators import InputRequired, Length

from forms.base import Form, choices, tidied
from models.ratings import STARS, WORDS_MOST


class RatingForm(Form):
    """One of five, and a word on it."""

    stars = RadioField(
        "How was the help?",
        choices=choices([(str(stars), f"{stars} – {words}") for stars, words in STARS.items()]),
        validators=[InputRequired("Choose one of the five.")],
        validate_choice=True,
    )
    words = TextAreaField(
        "What made it so?",
        filters=[tidied],
        validators=[Length(max=WORDS_MOST, message=f"Shorten the text to {WORDS_MOST:,} characters.")],
    )
