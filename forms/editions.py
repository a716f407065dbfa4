"""What an administrator writes about plans, doors, severities, promises and services."""

from __future__ import annotations

import copy
import re
from typing import Any

from wtforms import BooleanField, FieldList, FormField, HiddenField, SelectField, SelectMultipleField, StringField
from wtforms import Form as Part
from wtforms.validators import DataRequired, InputRequired, Length, ValidationError

from forms.base import DayField, Form, choices, stripped
from models.catalogue import CLOCKS, DoorName, PlanName, Severity
from models.editions import NAME_MOST

_PLANS = [(plan.value, plan.label) for plan in PlanName]
_PROMISING = [plan for plan in PlanName if plan is not PlanName.BASIC]
# Basic is free, and each contract says what Premium costs.
_PRICED = [PlanName.STANDARD, PlanName.ENTERPRISE]
# More rows than there are services, for new ones.
_FREE_ROWS = 3
_MONEY = "Write dollars, for example 29 or 29.50."
_LENGTH = "Write a length of time in minutes, for example 240."


def _text(label: str, most: int = 300) -> StringField:
    shorter = f"Shorten it to {most} characters."
    return StringField(
        label, filters=[stripped], validators=[DataRequired("Write it."), Length(max=most, message=shorter)]
    )


class PlanPart(Part):
    """What is said of one plan; a contract decides the price of Premium, and Basic is free."""

    meant_for = _text("Meant for")
    price = _text("Price, in words")
    floor = StringField("Least price a month, in dollars", filters=[stripped])
    percent = StringField("Percent of cloud charges", filters=[stripped])
    first_month_free = BooleanField("An organization’s first month is free")

    def validate_floor(self, field: StringField) -> None:
        """Raise ValidationError for what is no amount of dollars."""
        if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{2})?", field.data or "0", re.ASCII):
            raise ValidationError(_MONEY)

    def validate_percent(self, field: StringField) -> None:
        """Raise ValidationError for what is no whole share."""
        if not re.fullmatch(r"100|[0-9]{1,2}", field.data or "0", re.ASCII):
            raise ValidationError("Write a whole number from 0 to 100.")


class TargetPart(Part):
    """How soon the first reply is promised."""

    minutes = StringField("Minutes", filters=[stripped], validators=[InputRequired(_LENGTH)])
    clock = SelectField("Clock", choices=choices([(clock, clock) for clock in CLOCKS]))

    def validate_minutes(self, field: StringField) -> None:
        """Raise ValidationError for what is no length."""
        if not re.fullmatch(r"[1-9][0-9]{0,4}", field.data or "", re.ASCII):
            raise ValidationError(_LENGTH)


class DoorPart(Part):
    """Who may file at a door, how severe, and whether a first reply is promised."""

    plans = SelectMultipleField("Open to", choices=choices(_PLANS), validators=[InputRequired("Choose one at least.")])
    severities = SelectMultipleField(
        "Severities",
        choices=choices([(s.value, s.value) for s in Severity]),
        validators=[InputRequired("Choose one at least.")],
    )


class ServicePart(Part):
    """One row of the table of services; an empty name takes it off."""

    name = StringField(
        "Service", filters=[stripped], validators=[Length(max=120, message="Shorten it to 120 characters.")]
    )
    plans = SelectMultipleField("Included in", choices=choices(_PLANS))


class EditionForm(Form):
    """All that a draft says. `was` is the revision that the page showed."""

    was = HiddenField(validators=[Length(max=20)])
    plans = FieldList(FormField(PlanPart), min_entries=len(PlanName), max_entries=len(PlanName))
    severities = FieldList(_text("What it means", 400), min_entries=len(Severity), max_entries=len(Severity))
    doors = FieldList(FormField(DoorPart), min_entries=len(DoorName), max_entries=len(DoorName))
    targets = FieldList(FormField(TargetPart), min_entries=len(_PROMISING) * len(Severity), max_entries=12)
    services = FieldList(FormField(ServicePart), max_entries=60)

    @property
    def target_rows(self) -> list[tuple[PlanName, list[tuple[Severity, Any]]]]:
        """The fields of the targets, by plan and severity."""
        fields = iter(self.targets)
        return [(plan, [(severity, next(fields)) for severity in Severity]) for plan in _PROMISING]

    @property
    def plan_rows(self) -> list[tuple[PlanName, Any, bool]]:
        """The fields of the plans, and whether the catalogue has their price."""
        rows = zip(PlanName, self.plans, strict=True)
        return [(plan, field, plan in _PRICED) for plan, field in rows]

    @property
    def door_rows(self) -> list[tuple[DoorName, Any]]:
        """The fields of the doors."""
        return list(zip(DoorName, self.doors, strict=True))

    @property
    def severity_rows(self) -> list[tuple[Severity, Any]]:
        """The fields of the severities."""
        return list(zip(Severity, self.severities, strict=True))

    def written(self, before: dict[str, Any]) -> dict[str, Any]:
        """Return what the valid form says, as a version says it; what no form changes stays as it was `before`."""
        data = copy.deepcopy(before)
        for plan, field, priced in self.plan_rows:
            table = data["plans"][plan.value]
            table |= {"meant_for": field.meant_for.data, "price": field.price.data}
            if priced:
                whole, _, cents = (field.floor.data or "0").partition(".")
                table |= {"floor_cents": int(whole) * 100 + int(cents or 0), "percent": int(field.percent.data or 0)}
                table["first_month_free"] = bool(field.first_month_free.data)
        data["severities"] = {severity.value: field.data for severity, field in self.severity_rows}
        for door, field in self.door_rows:
            data["doors"][door.value] |= {"plans": list(field.plans.data), "severities": list(field.severities.data)}
        data["targets"] = {
            plan.value: {s.value: {"minutes": int(f.minutes.data), "clock": f.clock.data} for s, f in row}
            for plan, row in self.target_rows
        }
        rows = [row.form for row in self.services]
        data["services"] = [
            {"name": row["name"].data, "plans": list(row["plans"].data or ())} for row in rows if row["name"].data
        ]
        return data


def shown(data: dict[str, Any], was: str) -> EditionForm:
    """Return the form as it shows a draft that says `data`."""
    plans = [
        {
            "meant_for": table["meant_for"],
            "price": table["price"],
            "floor": f"{table.get('floor_cents', 0) / 100:.2f}",
            "percent": str(table.get("percent", 0)),
            "first_month_free": table.get("first_month_free", False),
        }
        for table in (data["plans"][plan.value] for plan in PlanName)
    ]
    targets = [
        {**data["targets"][plan.value][s.value], "minutes": str(data["targets"][plan.value][s.value]["minutes"])}
        for plan in _PROMISING
        for s in Severity
    ]
    services = [dict(row) for row in data["services"]] + [{"name": "", "plans": []} for _ in range(_FREE_ROWS)]
    return EditionForm(
        formdata=None,
        was=was,
        plans=plans,
        severities=[data["severities"][s.value] for s in Severity],
        doors=[{name: data["doors"][door.value][name] for name in ("plans", "severities")} for door in DoorName],
        targets=targets,
        services=services,
    )


class DraftForm(Form):
    """The name of a new draft, and which version it begins as."""

    name = StringField(
        "Name of the new version", filters=[stripped], validators=[DataRequired("Name it, for example 2027-01.")]
    )
    of = HiddenField(validators=[Length(max=NAME_MOST)])


class PublishForm(Form):
    """The day on which a draft takes effect."""

    day = DayField("In effect from", validators=[InputRequired("Choose the day on which it takes effect.")])
