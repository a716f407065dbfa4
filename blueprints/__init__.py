"""HTTP: read the request, ask the models, answer a page. ALL is the only list of blueprints."""

from blueprints import (
    assets,
    attachments,
    auth,
    console,
    demo,
    desk,
    filing,
    help_center,
    ops,
    plans,
    profile,
    tickets,
)

ALL = (
    assets.bp,
    ops.bp,
    auth.bp,
    profile.bp,
    console.bp,
    help_center.bp,
    plans.bp,
    filing.bp,
    tickets.bp,
    attachments.bp,
    desk.bp,
    demo.bp,
)
