"""A portal form as one sheet: what was given, what the door offers for it, and what is promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import MultiDict

from blueprints.access import actor
from blueprints.pages import Answer, organization_here, page, zone_here
from extensions import clock, db, outside
from forms.tickets import BillingForm, TechnicalForm
from models import wording
from models.base import Refused, token
from models.calendars import hours_for
from models.catalogue import DoorName, PlanName, Severity, Target, catalogue_at
from models.choices import ListName
from models.drafts import Draft
from models.explanations import Explanation, explain
from models.filing import Filing, check_gate, facts_for, offer, plan_of
from models.organizations import Cluster, ClusterLine, Organization, cluster_for, memberships_of
from models.promises import due
from models.tickets import Ticket
from models.waiting import waiting_of

# What a cluster fills in, and which one did.
_FILLED = ("environment", "version", "filled")


@dataclass(frozen=True)
class SeverityChoice:
    """A row of the severity picker."""

    value: str
    text: str
    promise: str
    by: str
    open: bool


def severity_choices(ticket: Ticket) -> list[SeverityChoice]:
    """Return the severities that a ticket may have under its own terms, as rows of the picker."""
    terms = catalogue_at(ticket.catalogue_version)
    rows = []
    for severity in terms.severities(ticket.door, ticket.plan) or terms.door(ticket.door).severities:
        target = terms.target(ticket.plan, ticket.door, severity)
        promise = target.words if target else "No target"
        rows.append(SeverityChoice(severity.value, terms.text(severity), promise, "", open=True))
    return rows


@dataclass(frozen=True)
class PromisePanel:
    """What is promised for the chosen severity if the request is sent now, and what the next plan would promise."""

    severity: Severity
    target: Target
    at: object
    words: str
    explanation: Explanation
    hours: str
    zone: str
    better_plan: str
    better_target: str
    better_words: str


class Sheet:
    """One door's form for one person: `given` is what was typed, `asked` what the address chooses beside it."""

    def __init__(
        self, door: DoorName, given: MultiDict[str, str], *, asked: dict[str, str] | None = None, key: str = ""
    ) -> None:
        self.door = door
        self._key = key
        self.base = f"/help/{door.value}"
        self.limits = outside().limits
        self._now = clock.now()
        self._given = MultiDict(given)
        self._asked = asked or {}
        self.organizations = [m.organization for m in memberships_of(actor())]
        self.entitled = [o for o in self.organizations if self._opens(o)]
        self.severity_cleared = ""
        # Why the text was kept instead of filed.
        self.kept = ""
        self._settle()

    def _opens(self, organization: Organization) -> bool:
        from models.catalogue import catalogue

        return catalogue(self._now.date()).opens(plan_of(organization), self.door)

    def _settle(self) -> None:
        """Find the organization and the cluster that the form is about, and what hangs on them."""
        for part, value in self._asked.items():
            self._given.setlist(part, [value])
        # A page that asks says all that is chosen on it: what it leaves out is chosen nowhere.
        for part in ("environment", "severity", "impact") if "filled" in self._asked else ():
            if part not in self._asked:
                self._given.poplist(part)
        slug, wanted = self._given.get("organization"), self._given.get("cluster", "")
        if "cluster" in self._asked and "organization" not in self._asked:
            named = cluster_for(actor(), wanted)
            slug = next((o.slug for o in self.organizations if named and o.id == named.organization_id), slug)
        self.organization = next((o for o in self.organizations if o.slug == slug), None)
        if slug is None:
            self.organization = self._default()
        self.facts = facts_for(actor(), self.organization, self.door, self._key)
        self.cluster = next((c for c in self.facts.clusters if str(c.id) == wanted), None)
        if self.cluster is None and self._asked:
            self._given.poplist("cluster")
        self.offer = offer(self.door, self.organization, self.facts.hours, now=self._now)
        if self._asked:
            self._given.setlist("organization", [self.organization.slug if self.organization else ""])
        self._fill_from_cluster()
        self._clear_severity()

    def _default(self) -> Organization | None:
        here = organization_here(actor())
        if here in self.entitled:
            return here
        return self.entitled[0] if self.entitled else None

    def _fill_from_cluster(self) -> None:
        """Fill in what is known of a cluster chosen anew, and empty what the one before it had filled in.

        The form carries the cluster that filled its fields: what was chosen by hand, or changed since, stays.
        """
        before, here = self._given.get("filled", ""), str(self.cluster.id) if self.cluster else ""
        if self._asked and before != here:
            self._empty_what_came_from(before)
            self._given.poplist("filled")
        if self.cluster is None:
            return
        anew = before != here and not {"cluster", "filled"}.isdisjoint(self._asked)
        for part, value in _known_of(self.cluster):
            if value and (anew or part not in self._given):
                self._given.setlist(part, [value])
                self._given.setlist("filled", [here])

    def _empty_what_came_from(self, cluster: str) -> None:
        known = cluster_for(actor(), cluster)
        for part, value in _known_of(known) if known else ():
            if self._given.get(part) == value:
                self._given.poplist(part)

    @property
    def filled(self) -> str:
        """The id of the cluster from which fields were filled in; "" for none."""
        return self._given.get("filled", "")

    def refilled(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a draft's fields with what hangs on the cluster as it stands now."""
        kept = {part: value for part, value in fields.items() if part not in _FILLED}
        return kept | {part: self._given.getlist(part) for part in _FILLED if part in self._given}

    def _clear_severity(self) -> None:
        """Clear a severity that the organization's plan does not offer, and say so (product rule 6.3)."""
        chosen = self._given.get("severity", "")
        if chosen and chosen not in {s.value for s in self.offer.severities} and chosen in {s.value for s in Severity}:
            if not self._asked and self.offer.open:
                return  # a forged value of an open door is refused with an error, not cleared
            if not self.offer.open and chosen in {choice.value for choice in self.wished}:
                return  # what a text waits to be filed with behind a closed door
            self.severity_cleared = f"{chosen} is not offered here, so the choice is cleared."
            self._given.poplist("severity")

    def form(self, key: str | None = None) -> TechnicalForm | BillingForm:
        """Return the form filled with what was given; its lists are those of this organization."""
        kind = TechnicalForm if self.door is DoorName.TECHNICAL else BillingForm
        given = MultiDict(self._given)
        given.setlist("key", [key or token()])
        if "organization" not in given:
            given.setlist("organization", [self.organization.slug if self.organization else ""])
        form = kind(given)
        nobody = [] if self.door is DoorName.TECHNICAL and self.organizations else [("", "Not about one organization")]
        form.offer_organizations([*nobody, *((o.slug, o.name) for o in self.organizations)])
        form.offer_clusters([("", "Not about one cluster"), *((str(c.id), _words(c)) for c in self.facts.clusters)])
        if isinstance(form, TechnicalForm):
            form.offer_lists(*self._lists())
        self.bound = form
        return form

    def _lists(self) -> tuple[list[str], list[str], list[str]]:
        """Return environments, components and versions: those on offer and the cluster's own, once retired."""
        lists = self.facts.lists
        environments, versions = [*lists[ListName.ENVIRONMENT]], lists[ListName.VERSION]
        if self.cluster is not None:
            environments += [e for e in [self.cluster.environment] if e and e not in environments]
            versions = [*(v for v in [self.cluster.version] if v and v not in versions), *versions]
        return environments, lists[ListName.COMPONENT], versions

    @property
    def severities(self) -> list[SeverityChoice]:
        """The rows of the severity picker: meaning, promise, and when a reply would be due."""
        rows = []
        for choice in self.offer.choices:
            by = wording.inside(wording.moment(choice.by, zone_here(), self._now)) if choice.by else ""
            promise = choice.target.words if choice.target else ""
            rows.append(SeverityChoice(choice.severity.value, choice.text, promise, by, open=True))
        return rows

    @property
    def wished(self) -> list[SeverityChoice]:
        """The severities behind a closed door, with what the cheapest plan that opens it would promise for them."""
        terms, needs = self.offer.catalogue, self.offer.needs
        rows = []
        for severity in terms.severities(self.door, needs):
            target = terms.target(needs, self.door, severity)
            promise = f"{needs.label}: {target.words}" if target else ""
            rows.append(SeverityChoice(severity.value, terms.text(severity), promise, "", open=True))
        return rows

    @property
    def panel(self) -> PromisePanel | None:
        """The promise for the chosen severity; None while none is chosen, or where nothing is promised."""
        chosen = self._given.get("severity", "")
        choice = next((c for c in self.offer.choices if c.severity.value == chosen), None)
        if choice is None or choice.target is None or choice.by is None:
            return None
        zone, hours = zone_here(), self.offer.hours
        better = self.offer.catalogue.next_better(self.offer.plan, choice.severity)
        better_by = due(self._now, better[1], hours) if better else None
        return PromisePanel(
            severity=choice.severity,
            target=choice.target,
            at=choice.by,
            words=wording.moment(choice.by, zone, self._now),
            explanation=explain(self._now, choice.target, hours, (), self._now, zone),
            hours=hours.words,
            zone=hours.zone.key,
            better_plan=better[0].label if better else "",
            better_target=better[1].words if better else "",
            better_words=wording.inside(wording.moment(better_by, zone, self._now)) if better_by else "",
        )

    @property
    def plan(self) -> PlanName:
        """The plan of the chosen organization."""
        return self.offer.plan

    def valid(self) -> bool:
        """Validate the bound form and the gate together, so that every error shows at once.

        That a plan does not open the door is no error of the form: the text is kept until one does.
        """
        fine = self.bound.validate_all()
        try:
            check_gate(self.door, self.organization, self.offer.catalogue)
        except Refused as refused:
            self.bound.severity.errors = []
            if isinstance(self.bound, TechnicalForm):
                self.bound.impact.errors = []  # asked once a plan lets it be filed
            if self.organization is None:
                self.bound.organization.errors = [refused.reason]
            else:
                self.kept, self.bound.organization.errors = refused.reason, []
            return False
        return fine

    def filing(self) -> Filing:
        """Return what the valid form says."""
        form = self.bound
        technical = isinstance(form, TechnicalForm)
        return Filing(
            door=self.door,
            organization=self.organization,
            cluster=self.cluster,
            severity=Severity(form.severity.data),
            summary=form.summary.data or "",
            description=form.description.data or "",
            environment=form.environment.data if technical else "",
            components=tuple(dict.fromkeys(form.components.data or ())) if technical else (),
            version=(form.version.data or "") if technical else "",
            confidential=form.confidential.data,
            hours=self.facts.hours,
        )

    def filed_words(self, key: str) -> str:
        """Return what is said once the request is filed: its number, and when we reply."""
        choice = next((c for c in self.offer.choices if c.severity.value == self._given.get("severity")), None)
        if choice is None or choice.by is None:
            return f"{key} created. You get an email when we reply."
        return f"{key} created. We will reply by {wording.inside(wording.moment(choice.by, zone_here(), self._now))}."


def _known_of(cluster: Cluster | ClusterLine) -> tuple[tuple[str, str], ...]:
    return ("environment", cluster.environment), ("version", cluster.version)


def _words(cluster: ClusterLine) -> str:
    return " – ".join(part for part in (cluster.name, cluster.tier, cluster.version) if part)


def explained_door(door: DoorName, draft: Draft | None) -> Answer:
    """Answer the closed door's page: why it is closed, what opens it, and where to go instead (200)."""
    here = organization_here(actor())
    hours = hours_for(db.session(), here.calendar_id if here else None)
    closed = offer(door, here, hours, now=clock.now())
    waiting = waiting_of(actor(), now=clock.now())
    return page("tickets/closed_door.html", door=door, here=here, offer=closed, draft=draft, waiting=waiting)
