"""What an organization's clusters cost in a month: the facts from which a percentage plan is priced."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Model


class CloudCharge(Model):
    """The cloud charges of one organization in one calendar month (UTC), in US cents."""

    __tablename__ = "cloud_charges"
    __table_args__ = (UniqueConstraint("organization_id", "month"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"))
    # The first day of the month.
    month: Mapped[date]
    cents: Mapped[int] = mapped_column(BigInteger)
    imported_at: Mapped[datetime]
    # Set when an invoice has counted them: from then on they stay as they are.
    invoiced_at: Mapped[datetime | None]
