"""Administration of what every invoice carries: the one rate of tax, and who issues it."""

from __future__ import annotations

from flask import Blueprint

from blueprints.access import actor, requires
from blueprints.pages import Answer, conflict, invalid, page, see_other
from extensions import clock, db
from forms.billing import SellerForm, TaxForm
from models import bills, invoices
from models.base import Refused
from models.money import percent
from models.people import digest
from models.permissions import Permission

bp = Blueprint("taxes", __name__)


@bp.get("/admin/tax")
@requires(Permission.ADMINISTRATION)
def edit() -> Answer:
    return page("admin/tax.html", form=_rate(), seller=_seller())


def _rate() -> TaxForm:
    rate = percent(invoices.tax_rate(db.session())).removesuffix(" %")
    return TaxForm(formdata=None, rate=rate, was=rate)


def _seller() -> SellerForm:
    present = bills.seller(db.session())
    return SellerForm(formdata=None, seller=present, seller_was=digest(present)[:16])


@bp.post("/admin/tax")
@requires(Permission.ADMINISTRATION)
def update() -> Answer:
    form, present = TaxForm(), percent(invoices.tax_rate(db.session())).removesuffix(" %")
    if not form.validate():
        return invalid("admin/tax.html", form=form, seller=_seller())
    if form.was.data != present:
        form.was.data = present
        form.refuse(Refused(f"Somebody was quicker: the rate is {present} % now. Compare, then save again.", "rate"))
        return conflict("admin/tax.html", form=form, seller=_seller())
    invoices.set_tax_rate(actor(), form.basis_points(), now=clock.now())
    db.session.commit()
    return see_other("/admin/tax", good=f"Invoices from now on carry {percent(form.basis_points())} tax.")


@bp.post("/admin/seller")
@requires(Permission.ADMINISTRATION)
def name_seller() -> Answer:
    form, present = SellerForm(), bills.seller(db.session())
    try:
        if not form.validate():
            return invalid("admin/tax.html", form=_rate(), seller=form)
        if form.seller_was.data != digest(present)[:16]:
            form.seller_was.data = digest(present)[:16]
            there = ", ".join(present.splitlines()) or "nothing"
            form.refuse(Refused(f"Somebody was quicker: it says “{there}” now. Compare, then save again.", "seller"))
            return conflict("admin/tax.html", form=_rate(), seller=form)
        bills.set_seller(actor(), form.seller.data or "", now=clock.now())
    except Refused as refused:
        form.refuse(refused)
        return invalid("admin/tax.html", form=_rate(), seller=form)
    db.session.commit()
    return see_other("/admin/tax", good="Invoices from now on name this issuer.")
