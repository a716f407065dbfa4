"""Administration of the one rate of tax that invoices get."""

from __future__ import annotations

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, see_other
from extensions import clock, db
from forms.billing import TaxForm
from models import invoices
from models.base import Refused
from models.money import percent
from models.permissions import Permission

bp = Blueprint("taxes", __name__)


@bp.get("/admin/tax")
@requires(Permission.ADMINISTRATION)
def edit() -> Answer:
    rate = percent(invoices.tax_rate(db.session())).removesuffix(" %")
    return page("admin/tax.html", form=TaxForm(formdata=None, rate=rate, was=rate))


@bp.post("/admin/tax")
@requires(Permission.ADMINISTRATION)
def update() -> Answer:
    form, present = TaxForm(), percent(invoices.tax_rate(db.session())).removesuffix(" %")
    if not form.validate():
        return invalid("admin/tax.html", form=form)
    if form.was.data != present:
        form.was.data = present
        form.refuse(Refused(f"Somebody was quicker: the rate is {present} % now. Compare, then save again.", "rate"))
        return conflict("admin/tax.html", form=form)
    invoices.set_tax_rate(actor(), form.basis_points(), now=clock.now())
    db.session.commit()
    return see_other("/admin/tax", good=f"Invoices from now on carry {percent(form.basis_points())} tax.")
