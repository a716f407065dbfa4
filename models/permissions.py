"""Who may do what: one table that feeds the guard, the pages and the generated test matrix."""

from __future__ import annotations

from collections.abc import Iterable

from models.base import Labelled


class Permission(Labelled):
    """Something that a person may be allowed to do; every route names one, or is public."""

    SIGNED_IN = "signed-in", "use their own account"
    HELP = "help", "see the Help Center and file requests"
    REQUESTS = "requests", "follow and answer the requests that they can see"
    SUPPORT = "support", "see their organization's plan"
    CLUSTERS = "clusters", "see their organization's clusters"
    BILLING = "billing", "change their organization's plan, see its cards and invoices"
    MEMBERS = "members", "invite and remove people of their organization, and choose who sees its requests"
    DESK = "desk", "see every request, with its internal notes"
    ANSWER = "answer", "answer, assign and classify requests"
    REPORTS = "reports", "see how many requests there were, and how first replies were kept"
    DUTY = "duty", "keep the on-call list, and see what each agent did"
    SALES = "sales", "work the enquiries about the Premium plan"
    FIGURES = "figures", "see plans, revenue, renewals and the pipeline in figures"
    DELIVERY = "delivery", "see mail that could not be delivered, and send it again"
    ADMINISTRATION = (
        "administration",
        "run the installation: people, organizations, announcements, lists, calendars and the audit log",
    )


class Role(Labelled):
    """What somebody is: to an organization, or to the company that gives support."""

    OWNER = "owner", "Organization Owner"
    BILLING_ADMIN = "billing-admin", "Organization Billing Admin"
    MEMBER = "member", "Organization Member"
    AGENT = "agent", "Support agent"
    # Beside the role of an agent: whom an administrator has marked so.
    DUTY_MANAGER = "duty-manager", "Duty manager"
    SALES = "sales", "Sales"
    ADMINISTRATOR = "administrator", "Administrator"
    NOBODY = "nobody", "No role yet"


P = Permission

_EVERYONE = frozenset({P.SIGNED_IN, P.HELP, P.REQUESTS})
_CUSTOMER = _EVERYONE | {P.SUPPORT, P.CLUSTERS}

GRANTS: dict[Role, frozenset[Permission]] = {
    Role.NOBODY: _EVERYONE,
    Role.MEMBER: _CUSTOMER,
    Role.BILLING_ADMIN: _CUSTOMER | {P.BILLING},
    Role.OWNER: _CUSTOMER | {P.BILLING, P.MEMBERS},
    Role.AGENT: _EVERYONE | {P.DESK, P.ANSWER, P.DELIVERY, P.REPORTS},
    Role.DUTY_MANAGER: frozenset({P.DUTY}),
    Role.SALES: _EVERYONE | {P.SALES, P.FIGURES},
    Role.ADMINISTRATOR: _EVERYONE | {P.DELIVERY, P.ADMINISTRATION, P.REPORTS, P.FIGURES},
}

ORGANIZATION_ROLES = (Role.OWNER, Role.BILLING_ADMIN, Role.MEMBER)
STAFF_ROLES = (Role.AGENT, Role.SALES, Role.ADMINISTRATOR)


def allowed(roles: Iterable[Role], permission: Permission) -> bool:
    """Tell whether any of the roles grants the permission."""
    return any(permission in GRANTS[role] for role in roles)
