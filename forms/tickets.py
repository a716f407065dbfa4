"""Filing a request at either door, and following it."""

from __future__ import annotations

from typing import Any

from wtforms import (
    BooleanField,
    HiddenField,
    MultipleFileField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import AnyOf, DataRequired, InputRequired, Length, NoneOf, Optional, ValidationError

from forms.base import Form, choices, stripped, tidied
from models.catalogue import Severity
from models.escalations import REASON_MOST
from models.prose import BODY_MOST, SUMMARY_MOST

_ALL = [(s.value, s.value) for s in Severity]
_SHORTER = f"Shorten the text: {BODY_MOST:,} characters fit. Attach long output as a file."
_SUMMARY = "Enter a summary, for example “Checkout queries time out since 13:40 UTC”."
_DESCRIPTION = "Describe the issue: since when, the exact error, what you tried, and what you ask from us."


class _TicketForm(Form):
    """What both doors ask."""

    # Carried by the form so that sending it twice files one request.
    key = HiddenField(validators=[Length(max=40)])
    summary = StringField(
        "Summary",
        filters=[stripped],
        validators=[
            DataRequired(_SUMMARY),
            Length(max=SUMMARY_MOST, message=f"Shorten the summary to {SUMMARY_MOST} characters."),
        ],
    )
    organization = SelectField("TiDB Cloud Org", validate_choice=False)
    cluster = SelectField("TiDB Cloud Cluster", validate_choice=False)
    description = TextAreaField(
        "Description",
        filters=[tidied],
        validators=[DataRequired(_DESCRIPTION), Length(max=BODY_MOST, message=_SHORTER)],
    )
    confidential = BooleanField("Confidential")
    files = MultipleFileField("Attachments")

    def offer_organizations(self, offered: list[tuple[str, str]]) -> None:
        """List the organizations to choose from: (slug, name)."""
        self.organization.choices = choices(offered)

    def offer_clusters(self, offered: list[tuple[str, str]]) -> None:
        """List the clusters to choose from: (id, words)."""
        self.cluster.choices = choices(offered)

    def validate_all(self) -> bool:
        """Validate every field and every choice, so that all errors show at once."""
        fields_fine = self.validate()
        return self.check_choices() and fields_fine

    def check_choices(self) -> bool:
        """Refuse values that no list offers; returns whether all were offered."""
        fine = True
        for field, words in self._closed():
            offered = {str(choice.value) for choice in field.choices or ()}
            given = field.data if isinstance(field.data, list) else [field.data or ""]
            if any(str(value) not in offered for value in given):
                # A missing answer is named once.
                field.errors = field.errors or [words]
                fine = False
        return fine

    def _closed(self) -> list[tuple[Any, str]]:
        return [
            (self.organization, "Choose one of your organizations."),
            (self.cluster, "Choose a cluster of the organization above, or “Not about one cluster”."),
        ]


_DOWN = "Production is down or cannot be used, and you can reach me or my team"


def _confirm(severity: object, field: BooleanField) -> None:
    """Raise ValidationError for S1 that nobody has confirmed: it calls an engineer, at night as well."""
    if severity == Severity.S1.value and not field.data:
        raise ValidationError("Confirm that production is down or cannot be used, or choose another severity.")


class TechnicalForm(_TicketForm):
    """TiDB Cloud Technical Support."""

    environment = RadioField("Environment", validate_choice=False, validators=[InputRequired("Choose an environment.")])
    severity = RadioField(
        "Severity",
        choices=choices(_ALL),
        validate_choice=False,
        validators=[
            InputRequired("Choose a severity by business impact."),
            AnyOf([s.value for s in Severity], "Choose one of S1, S2, S3, S4."),
        ],
    )
    impact = BooleanField(_DOWN)
    components = SelectMultipleField("Components", validate_choice=False)
    version = SelectField("Affects versions", validate_choice=False)

    def validate_impact(self, field: BooleanField) -> None:
        """Refuse S1 without its confirmation."""
        _confirm(self.severity.data, field)

    def offer_lists(self, environments: list[str], components: list[str], versions: list[str]) -> None:
        """List what the administrator's lists offer."""
        self.environment.choices = choices((e, e) for e in environments)
        self.components.choices = choices((c, c) for c in components)
        self.version.choices = choices([("", "Select a version"), *((v, v) for v in versions)])

    def _closed(self) -> list[tuple[Any, str]]:
        return [
            *super()._closed(),
            (self.environment, "Choose an environment from the list."),
            (self.components, "Choose components from the list."),
            (self.version, "Choose a version from the list."),
        ]


class BillingForm(_TicketForm):
    """TiDB Cloud Account/Billing: S1 is for lost production, so this door does not know it."""

    severity = RadioField(
        "Severity",
        choices=choices(c for c in _ALL if c[0] != "S1"),
        validate_choice=False,
        validators=[
            InputRequired("Choose a severity by business impact."),
            NoneOf(["S1"], "S1 is not for account and billing requests. Choose S2, S3 or S4."),
            AnyOf(["S1", "S2", "S3", "S4"], "Choose one of S2, S3, S4."),
        ],
    )


class CommentForm(Form):
    """A customer's reply."""

    key = HiddenField(validators=[Length(max=40)])
    body = TextAreaField(
        "Your reply",
        filters=[tidied],
        validators=[DataRequired("Write your message first."), Length(max=BODY_MOST, message=_SHORTER)],
    )
    files = MultipleFileField("Attach files")


class SeverityForm(Form):
    """Another severity, and why."""

    severity = RadioField(
        "Severity", validate_choice=False, choices=choices(_ALL), validators=[InputRequired("Choose a severity.")]
    )
    reason = StringField(
        "Reason",
        filters=[stripped],
        validators=[Optional(), Length(max=500, message="Shorten the reason to 500 characters.")],
    )


class RaiseForm(SeverityForm):
    """The same for a customer, who confirms what S1 means."""

    impact = BooleanField(_DOWN)

    def validate_impact(self, field: BooleanField) -> None:
        """Refuse S1 without its confirmation, where it is offered at all."""
        if Severity.S1.value in {str(choice[0]) for choice in self.severity.iter_choices()}:
            _confirm(self.severity.data, field)


class EscalationForm(Form):
    """Why a request is escalated."""

    reason = TextAreaField(
        "Why is it urgent?",
        filters=[tidied],
        validators=[
            DataRequired("Say why, for example “All writes fail, and our shop is closed since 14:20”."),
            Length(max=REASON_MOST, message=f"Shorten the reason to {REASON_MOST:,} characters."),
        ],
    )


class ParticipantForm(Form):
    """Who shall take part."""

    person = SelectField("Person", validate_choice=False, coerce=str, validators=[InputRequired("Choose a person.")])
