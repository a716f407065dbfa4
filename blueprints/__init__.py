"""HTTP: read the request, ask the models, answer a page. ALL is the only list of blueprints."""

from blueprints import (
    assets,
    attachments,
    auth,
    console,
    contact,
    demo,
    desk,
    filing,
    help_center,
    ops,
    plans,
    profile,
    sales,
    tickets,
)

ALL = (
    assets.bp,
    ops.bp,
    auth.bp,
    profile.bp,
    console.bp,
    contact.bp,
    help_center.bp,
    plans.bp,
    filing.bp,
    tickets.bp,
    attachments.bp,
    desk.bp,
    sales.bp,
    demo.bp,
)
