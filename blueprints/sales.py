"""The sales inbox: leads by stage, and one lead with all that is done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Blueprint, request, stream_with_context

from blueprints.access import actor, held, let_go, requires, roles
from blueprints.deskwork import number_in
from blueprints.pages import Answer, conflict, download, invalid, page, page_here, see_other, zone_here
from blueprints.uploads import given_key
from extensions import clock, db, outside
from forms.base import Form, choices
from forms.sales import MessageForm, NoteForm, OwnerForm, StageForm, StepForm, WonForm
from models import lead_mail, selling
from models.base import Refused, token
from models.catalogue import PlanName
from models.leads import Lead, Stage, inbox_of
from models.people import sellers
from models.permissions import Permission
from models.pipeline import (
    SHEET,
    LeadWish,
    Tab,
    age_of,
    board,
    closed_lately,
    customer_of,
    inbox,
    last_events,
    sheet_rows,
    step_of,
    touch_of,
)
from models.prose import cleaned, rendered
from models.spreadsheets import csv_of
from models.submissions import result_of, settle

bp = Blueprint("sales", __name__)


@bp.get("/sales")
@requires(Permission.SALES)
def index() -> Answer:
    wish, today = _wish(), clock.now().astimezone(zone_here()).date()
    listing = inbox(inbox_of(actor(), roles()), wish, size=actor().page_size, now=clock.now())
    return page(
        "sales/index.html",
        wish=wish,
        listing=listing,
        tabs=list(Tab),
        steps={lead.id: step_of(lead, today) for lead in listing.rows},
        ages={lead.id: age_of(lead, now=clock.now()) for lead in listing.rows},
        plans={lead.id: PlanName(lead.organization.plan).label for lead in listing.rows},
        touches={lead.id: touch_of(lead, now=clock.now()) for lead in listing.rows},
        now=clock.now(),
    )


@bp.get("/sales/leads.csv")
@requires(Permission.SALES)
def export() -> Answer:
    """Answer what the list shows as a file, made while it is sent."""
    scope, wish, now = inbox_of(actor(), roles()), _wish(), clock.now()

    def batches() -> Iterator[list[tuple[object, ...]]]:
        for rows in sheet_rows(scope, wish, now=now):
            yield rows
            # Nobody's change waits for a reader who is slow.
            db.session.rollback()

    return download(stream_with_context(csv_of(SHEET, batches())), name=f"leads-{wish.tab.value}.csv", kind="text/csv")


@bp.get("/sales/board")
@requires(Permission.SALES)
def show_board() -> Answer:
    return page("sales/board.html", **_board())


def _board(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    scope, now = inbox_of(actor(), roles()), clock.now()
    columns, today = board(scope), now.astimezone(zone_here()).date()
    leads = [lead for column in columns for lead in column.leads]
    return {
        "columns": columns,
        "moves": [Stage.NEW, Stage.CONTACTED, Stage.QUALIFIED, Stage.LOST, Stage.SPAM],
        "steps": {lead.id: step_of(lead, today) for lead in leads},
        "ages": {lead.id: age_of(lead, now=now) for lead in leads},
        "touches": {lead.id: touch_of(lead, now=now) for lead in leads},
        "seen": last_events(scope, leads),
        "closed": closed_lately(scope, now=now),
        "now": now,
        **more,
    }


def _wish() -> LeadWish:
    """Read the list's address; what it does not know is as if it were not there."""
    given = request.args
    return LeadWish(
        tab=next((tab for tab in Tab if tab.value == given.get("stage")), Tab.OPEN),
        text=cleaned(given.get("q", ""))[:200].strip(),
        page=page_here(),
    )


def _lead(key: str) -> Lead:
    return inbox_of(actor(), roles()).one_or_404(key)


def _shown(lead: Lead, form: Form | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what the page of one lead shows; `form` is the one that came back with errors, or with a text."""
    now, people = clock.now(), sellers(db.session())
    history = selling.history_of(lead, now=now)
    seen = str(history[-1].id) if history else "0"
    before = number_in(request.args.get("before", ""))
    if before:
        history = selling.history_of(lead, now=now, before=before)
    forms = {
        "stage": StageForm(formdata=None, stage=lead.stage.value),
        "owner": OwnerForm(formdata=None, owner=str(lead.owner_id or "")),
        "step": StepForm(formdata=None, step=lead.next_step, on=lead.next_on),
        "note": NoteForm(held()) if held() else NoteForm(formdata=None),
        "message": MessageForm(formdata=None),
    }
    forms |= {name: form for name, blank in forms.items() if form is not None and type(form) is type(blank)}
    forms["owner"].owner.choices = choices([("", "Nobody"), *((str(p.id), p.name) for p in people)])
    for name in ("note", "message"):
        forms[name].key.data = forms[name].key.data or token()
    return {
        "lead": lead,
        "forms_": forms,
        "refused": form,
        "seen": seen,
        "history": history,
        "earlier": history[0].id if len(history) == selling.ENTRIES else 0,
        "before": before,
        "mails": lead_mail.mails_of(lead, [entry.mail for entry in history if entry.mail]),
        "answers": bool(outside().settings.mail_replies),
        "age": age_of(lead, now=now),
        "now": now,
        "touch": touch_of(lead, now=now),
        "runs": lead.stage is Stage.WON and selling.runs(lead),
        "step": step_of(lead, now.astimezone(zone_here()).date()),
        "need": rendered(lead.need),
        "plan": PlanName(lead.organization.plan).label,
        "customer": customer_of(lead.organization, now=now),
        "changes": (),
        "wanted": "",
        **more,
    }


@bp.get("/sales/<key:key>")
@requires(Permission.SALES)
def show(key: str) -> Answer:
    return page("sales/show.html", **_shown(_lead(key)))


@bp.post("/sales/<key:key>/take")
@requires(Permission.SALES)
def take(key: str) -> Answer:
    lead, form = _lead(key), OwnerForm(formdata=None)
    try:
        selling.take(lead, actor(), now=clock.now())
    except Refused as refused:
        form.refuse(Refused(refused.reason))
        return conflict("sales/show.html", **_shown(lead, form))
    db.session.commit()
    return see_other(f"/sales/{lead.key}", good=f"{lead.key} is yours.")


@bp.post("/sales/<key:key>/owner")
@requires(Permission.SALES)
def assign(key: str) -> Answer:
    lead, form = _lead(key), OwnerForm()
    owner = next((p for p in sellers(db.session()) if str(p.id) == form.owner.data), None)

    def verb() -> None:
        if form.owner.data and owner is None:
            raise Refused("Choose one of the people of sales.", "owner")
        selling.assign(lead, actor(), owner, now=clock.now())

    has = lead.owner.name if lead.owner else "nobody"
    return _change(lead, form, verb, "The owner is changed.", f"You were about to change the owner. It is {has} now.")


@bp.post("/sales/<key:key>/stage")
@requires(Permission.SALES)
def set_stage(key: str) -> Answer:
    lead, form = _lead(key), StageForm()
    stage = next((s for s in Stage if s.value == form.stage.data), None)

    def verb() -> None:
        if stage is None:
            raise Refused("Choose a stage from the list.", "stage")
        selling.set_stage(lead, actor(), stage, now=clock.now())

    wanted = f"You were about to set the stage to {stage.label if stage else 'another'}. It is {lead.stage.label} now."
    return _change(lead, form, verb, "The stage is changed.", wanted)


@bp.post("/sales/<key:key>/reopen")
@requires(Permission.SALES)
def reopen(key: str) -> Answer:
    lead, form = _lead(key), StageForm(formdata=None)

    def verb() -> None:
        selling.reopen(lead, actor(), now=clock.now())

    wanted = f"You were about to reopen the lead. It is {lead.stage.label} now."
    return _change(lead, form, verb, "The lead is open again.", wanted)


@bp.post("/sales/<key:key>/next-step")
@requires(Permission.SALES)
def plan_next(key: str) -> Answer:
    lead, form = _lead(key), StepForm()
    if not form.validate():
        return invalid("sales/show.html", **_shown(lead, form, seen=str(_seen())))

    def verb() -> None:
        selling.plan_next(lead, actor(), form.step.data or "", form.on.data, now=clock.now())

    return _change(lead, form, verb, "The next step is saved.", f"You were about to plan: “{form.step.data or ''}”.")


@bp.post("/sales/<key:key>/notes")
@requires(Permission.SALES)
def add_note(key: str) -> Answer:
    lead, form = _lead(key), NoteForm()
    if result_of(actor(), given_key()) is not None:
        return see_other(f"/sales/{lead.key}")
    try:
        if not form.validate():
            return invalid("sales/show.html", **_shown(lead, form))
        selling.note(lead, actor(), form.body.data or "", spoke=form.spoke.data, now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("sales/show.html", **_shown(lead, form))
    settle(actor(), given_key(), lead.key, now=clock.now())
    let_go()
    db.session.commit()
    return see_other(f"/sales/{lead.key}", good="Note added. Customers do not see it.")


@bp.post("/sales/<key:key>/messages")
@requires(Permission.SALES)
def write(key: str) -> Answer:
    lead, form = _lead(key), MessageForm()
    if result_of(actor(), given_key()) is not None:
        return see_other(f"/sales/{lead.key}")
    try:
        if not form.validate():
            return invalid("sales/show.html", **_shown(lead, form))
        lead_mail.write(lead, actor(), form.message.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("sales/show.html", **_shown(lead, form))
    settle(actor(), given_key(), lead.key, now=clock.now())
    db.session.commit()
    return see_other(f"/sales/{lead.key}", good=f"The mail to {lead.sender.name} is on its way.")


@bp.get("/sales/<key:key>/renew")
@requires(Permission.SALES)
def ask_renewal(key: str) -> Answer:
    lead = _lead(key)
    return page("sales/renew.html", **_renewal(lead, None))


@bp.post("/sales/<key:key>/renew")
@requires(Permission.SALES)
def renew(key: str) -> Answer:
    lead, form = _lead(key), WonForm()
    if result_of(actor(), given_key()) is not None:
        return see_other(f"/sales/{lead.key}")
    if not form.validate():
        return invalid("sales/renew.html", **_renewal(lead, form))
    changes = selling.changes_since(lead, actor(), _seen(), now=clock.now())
    if changes:
        return conflict("sales/renew.html", **_renewal(lead, form, changes=changes))
    try:
        selling.renew(lead, actor(), form.contract(), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("sales/renew.html", **_renewal(lead, form))
    settle(actor(), given_key(), lead.key, now=clock.now())
    db.session.commit()
    until = lead.organization.contract_end
    return see_other(f"/sales/{lead.key}", good=f"The contract of {lead.organization.name} runs until {until} now.")


def _renewal(lead: Lead, form: WonForm | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    house = lead.organization
    if form is None:
        form = WonForm(
            formdata=None,
            start=house.contract_start,
            note=house.contract_note,
            manager=house.account_manager,
            reference=house.contract_reference,
            price=f"{house.contract_cents / 100:.2f}" if house.contract_cents else "",
        )
    return _won(lead, form, runs=selling.runs(lead), **more)


@bp.get("/sales/<key:key>/won")
@requires(Permission.SALES)
def ask_won(key: str) -> Answer:
    lead = _lead(key)
    return page("sales/won.html", **_won(lead, WonForm(start=clock.now().astimezone(zone_here()).date())))


@bp.post("/sales/<key:key>/won")
@requires(Permission.SALES)
def win(key: str) -> Answer:
    lead, form = _lead(key), WonForm()
    if result_of(actor(), given_key()) is not None:
        return see_other(f"/sales/{lead.key}")
    if not form.validate():
        return invalid("sales/won.html", **_won(lead, form))
    changes = selling.changes_since(lead, actor(), _seen(), now=clock.now())
    if changes:
        return conflict("sales/won.html", **_won(lead, form, changes=changes))
    try:
        selling.win(lead, actor(), form.contract(), now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("sales/won.html", **_won(lead, form))
    settle(actor(), given_key(), lead.key, now=clock.now())
    db.session.commit()
    return see_other(f"/sales/{lead.key}", good=f"{lead.key} is won: {lead.organization.name} has Premium from now on.")


def _won(lead: Lead, form: WonForm, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    history = selling.history_of(lead, now=clock.now())
    if more.get("changes") or not form.seen.data:
        # What was read is read: only with the changes shown does the form count as newer than they are.
        form.seen.data = str(history[-1].id) if history else "0"
    form.key.data = form.key.data or token()
    plan = PlanName(lead.organization.plan).label
    return {"lead": lead, "form": form, "plan": plan, "changes": (), **more}


def _seen() -> int:
    written = request.form.get("seen", "")
    return int(written) if written.isascii() and written.isdigit() and len(written) < 16 else 0


def _change(lead: Lead, form: Form, verb: Callable[[], None], words: str, wanted: str) -> Answer:
    """Change the lead unless somebody did since the page was read; then both are shown (409)."""
    changes = selling.changes_since(lead, actor(), _seen(), now=clock.now())
    if changes:
        return conflict("sales/show.html", **_shown(lead, form, changes=changes, wanted=wanted))
    try:
        verb()
    except Refused as refused:
        form.refuse(refused)
        return invalid("sales/show.html", **_shown(lead, form, seen=str(_seen())))
    db.session.commit()
    back = "/sales/board" if request.form.get("back") == "board" else f"/sales/{lead.key}"
    return see_other(back, good=words)
