"""The demo world's sign-ins: what the sign-in page lists in demo mode, and whom the seed creates."""

from __future__ import annotations

from dataclasses import dataclass

# Every account of the demo world has this password. A real installation has none of these accounts.
PASSWORD = "helpcenter-demo"  # noqa: S105 (printed on the sign-in page of a demo, so it guards nothing)


@dataclass(frozen=True)
class Account:
    """One sign-in of the demo world: its address, and in words whom it stands for."""

    email: str
    who: str


ACCOUNTS: tuple[Account, ...] = (
    Account("owner@aurora.example", "Owner of Aurora Games (Basic)"),
    Account("owner@lumen.example", "Owner of Lumen Retail (Standard)"),
    Account("billing@lumen.example", "Billing Admin of Lumen Retail (Standard)"),
    Account("member@lumen.example", "Member of Lumen Retail (Standard)"),
    Account("owner@northwind.example", "Owner of Northwind Bank (Enterprise)"),
    Account("member@northwind.example", "Member of Northwind Bank (Enterprise)"),
    Account("owner@harbor.example", "Owner of Harbor Logistics (Premium)"),
    Account("partner@consult.example", "Member of Aurora Games (Basic) and Northwind Bank (Enterprise)"),
    Account("agent@support.example", "Support agent"),
    Account("agent2@support.example", "Support agent"),
    Account("sales@support.example", "Sales"),
    Account("admin@support.example", "Administrator"),
)
