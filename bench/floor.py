"""The floor: what the same work costs in bare Flask, SQLAlchemy and Jinja, without sign-in, rights, promises or look.

It does as little as such a program can: templates and statements are made once, rows are plain, nothing is compressed.
"""

from __future__ import annotations

from flask import Flask, redirect, render_template, request
from sqlalchemy import create_engine, event, text

LIST = """<!doctype html><title>Requests</title><h1>Requests</h1><p>{{ total }}</p><table>
{% for t in rows %}<tr><td><a href="/tickets/{{ t.key }}">{{ t.summary }}</a> {{ t.key }} {{ t.cluster_name }}</td>
<td>{{ t.state }}</td><td>{{ t.severity }}</td><td>{{ t.due_at }}</td><td>{{ t.name }}</td><td>{{ t.updated_at }}</td></tr>
{% endfor %}</table>"""
OPEN = """<!doctype html><title>{{ t.summary }}</title><h1>{{ t.summary }}</h1><p>{{ t.state }} {{ t.severity }} {{ t.key }}</p>
{% for c in comments %}<article><b>{{ c.name }}</b> {{ c.created_at }}<div>{{ c.html|safe }}</div></article>{% endfor %}
<form method="post"><textarea name="body"></textarea><button>Reply</button></form>"""
FORM = """<!doctype html><title>New</title><h1>New</h1><form method="post"><input name="summary"><select name="organization">
{% for o in organizations %}<option value="{{ o.id }}">{{ o.name }}</option>{% endfor %}</select><select name="cluster">
{% for c in clusters %}<option value="{{ c.id }}">{{ c.name }}</option>{% endfor %}</select><textarea name="description"></textarea>
{% for s in ("S1", "S2", "S3", "S4") %}<input type="radio" name="severity" value="{{ s }}">{{ s }}{% endfor %}<button>Send</button></form>"""
ROWS = """SELECT t.key, t.summary, t.cluster_name, t.state, t.severity, t.due_at, t.updated_at, p.name
FROM tickets t JOIN people p ON p.id = t.opener_id WHERE t.organization_id = 1 {more} ORDER BY t.updated_at DESC LIMIT 25"""


QUEUE = """SELECT t.key, t.summary, t.cluster_name, t.state, t.severity, t.due_at, t.updated_at, p.name
FROM tickets t JOIN people p ON p.id = t.opener_id WHERE t.active = true AND t.state <> 'waiting'
ORDER BY t.due_order, t.severity, t.updated_at, t.id LIMIT 25"""


def create_floor(database: str) -> Flask:
    """Return the floor's application on the same database."""
    app = Flask(__name__)
    engine = create_engine(database)
    # A template from a file is compiled once; render_template_string would compile it at every call.
    index_page, show_page, new_page = (app.jinja_env.from_string(source) for source in (LIST, OPEN, FORM))

    @event.listens_for(engine, "connect")
    def prepare(connection, _record):
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    @app.get("/tickets")
    def index():
        word = request.args.get("q", "")
        more = "AND t.summary LIKE :q" if word else ""
        with engine.connect() as connection:
            rows = connection.execute(text(ROWS.format(more=more)), {"q": f"%{word}%"}).all()
            count = text(f"SELECT count(*) FROM tickets t WHERE organization_id = 1 {more}")
            total = connection.execute(count, {"q": f"%{word}%"}).scalar()
        return render_template(index_page, rows=rows, total=total)

    @app.get("/queue")
    def queue():
        with engine.connect() as connection:
            rows = connection.execute(text(QUEUE)).all()
        return render_template(index_page, rows=rows, total=len(rows))

    @app.get("/tickets/<key>")
    def show(key):
        with engine.connect() as connection:
            ticket = connection.execute(text("SELECT * FROM tickets WHERE key = :key"), {"key": key}).one()
            comments = connection.execute(
                text(
                    "SELECT c.*, p.name FROM comments c JOIN people p ON p.id = c.author_id WHERE ticket_id = :id ORDER BY c.id"
                ),
                {"id": ticket.id},
            ).all()
        return render_template(show_page, t=ticket, comments=comments)

    @app.get("/new")
    def new():
        with engine.connect() as connection:
            organizations = connection.execute(text("SELECT id, name FROM organizations WHERE id = 1")).all()
            clusters = connection.execute(text("SELECT id, name FROM clusters WHERE organization_id = 1")).all()
        return render_template(new_page, organizations=organizations, clusters=clusters)

    @app.post("/new")
    def create():
        given = request.form
        with engine.begin() as connection:
            number = connection.execute(text("SELECT value FROM counters WHERE name = 'BILL'")).scalar() + 1
            connection.execute(text("UPDATE counters SET value = :n WHERE name = 'BILL'"), {"n": number})
            ticket = connection.execute(
                text(
                    "INSERT INTO tickets (key, door, state, severity, summary, organization_id, cluster_name, environment,"
                    " components, version_affected, confidential, opener_id, plan, catalogue_version, thread, created_at, updated_at,"
                    " severity_asked, nudges, revision, due_order, active) VALUES (:key, 'billing', 'open', :severity,   :summary, 1, '', '', '[]', '', false, 1,"
                    " 'standard', '2026-01', 'x', '2026-11-23 09:00:00', '2026-11-23 09:00:00', '', 0, 1, '9999-12-31 00:00:00', true) RETURNING id"
                ),
                {"key": f"FLOOR-{number}", "severity": given["severity"], "summary": given["summary"]},
            ).scalar()
            connection.execute(
                text(
                    "INSERT INTO comments (ticket_id, author_id, created_at, source, html, renderer, by_staff, internal)"
                    " VALUES (:t, 1, '2026-11-23 09:00:00', :body, :body, 1, false, false)"
                ),
                {"t": ticket, "body": given["description"]},
            )
        return redirect(f"/tickets/FLOOR-{number}", 303)

    return app
