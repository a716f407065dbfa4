"""The floor: what the same work costs in bare Flask, SQLAlchemy and Jinja, without sign-in, rights, promises or look.

It is what a careful beginner writes: mapped classes with the columns that are shown, what belongs to a row loaded with it,
templates compiled once. It shows the same rows and figures, counts no farther than ours, and compresses nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Flask, redirect, render_template, request
from sqlalchemy import JSON, DateTime, ForeignKey, bindparam, create_engine, event, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

ROW = """<tr><td><a href="/tickets/{{ t.key }}">{{ t.summary }}</a> {{ t.key }} {{ t.cluster_name }} {{ t.organization.name }}
{{ t.plan }}</td><td>{{ t.state }}</td><td>{{ t.severity }}</td><td>{{ t.due_at }}</td><td>{{ t.opener.name }}</td><td>
{%- if t.assignee %}{{ t.assignee.name }}{% else %}Nobody{% endif %}</td><td>{{ t.updated_at }}</td></tr>"""
LIST = f"""<!doctype html><title>Requests</title><h1>Requests</h1><p>{{{{ total }}}}</p><table>
{{% for t in rows %}}{ROW}{{% endfor %}}</table>"""
QUEUE = f"""<!doctype html><title>Due next</title><h1>Due next</h1><ul>
{{% for name, number in figures %}}<li><a href="/queue?show={{{{ name }}}}">{{{{ name }}}} {{{{ number }}}}</a></li>{{% endfor %}}</ul>
<form><select name="assignee">{{% for one in agents %}}<option value="{{{{ one.id }}}}">{{{{ one.name }}}}</option>{{% endfor %}}</select>
<button>Filter</button></form><table>{{% for t in rows %}}{ROW}{{% endfor %}}</table>"""
OPEN = """<!doctype html><title>{{ t.summary }}</title><h1>{{ t.summary }}</h1><p>{{ t.state }} {{ t.severity }} {{ t.key }}</p>
{% for c in t.comments %}<article><b>{{ c.author.name }}</b> {{ c.created_at }}<div>{{ c.html|safe }}</div></article>{% endfor %}
<form method="post"><textarea name="body"></textarea><button>Reply</button></form>"""
FORM = """<!doctype html><title>New</title><h1>New</h1><form method="post"><input name="summary"><select name="organization">
{% for o in organizations %}<option value="{{ o.id }}">{{ o.name }}</option>{% endfor %}</select><select name="cluster">
{% for c in clusters %}<option value="{{ c.id }}">{{ c.name }}</option>{% endfor %}</select><textarea name="description"></textarea>
{% for s in ("S1", "S2", "S3", "S4") %}<input type="radio" name="severity" value="{{ s }}">{{ s }}{% endfor %}<button>Send</button></form>"""
COUNTED_TO = 1001
AT = datetime(2026, 11, 23, 9)  # noqa: DTZ001 (as the column holds it: UTC, without a zone)
NEVER = datetime(9999, 12, 31)  # noqa: DTZ001


class Base(DeclarativeBase):
    """The base of the classes."""

    id: Mapped[int] = mapped_column(primary_key=True)


class Person(Base):
    """Somebody who files or answers."""

    __tablename__ = "people"
    name: Mapped[str]
    staff_role: Mapped[str | None]


class Organization(Base):
    """Whose tickets they are."""

    __tablename__ = "organizations"
    name: Mapped[str]


class Cluster(Base):
    """What a ticket may be about."""

    __tablename__ = "clusters"
    name: Mapped[str]
    organization_id: Mapped[int]


class Counter(Base):
    """Gives out numbers."""

    __tablename__ = "counters"
    name: Mapped[str]
    value: Mapped[int]


class Comment(Base):
    """A message. The columns with a default are there for the database's sake."""

    __tablename__ = "comments"
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id"))
    author_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime]
    source: Mapped[str]
    html: Mapped[str]
    renderer: Mapped[int] = mapped_column(default=1, deferred=True)
    by_staff: Mapped[bool] = mapped_column(default=False, deferred=True)
    internal: Mapped[bool] = mapped_column(default=False, deferred=True)
    author: Mapped[Person] = relationship()


class Ticket(Base):
    """A ticket. The columns with a default are there for the database's sake."""

    __tablename__ = "tickets"
    key: Mapped[str]
    summary: Mapped[str]
    state: Mapped[str] = mapped_column(default="open")
    severity: Mapped[str]
    plan: Mapped[str] = mapped_column(default="standard")
    cluster_name: Mapped[str] = mapped_column(default="")
    due_at: Mapped[datetime | None]
    due_order: Mapped[datetime] = mapped_column(default=NEVER)
    updated_at: Mapped[datetime] = mapped_column(default=AT)
    active: Mapped[bool] = mapped_column(default=True)
    organization_id: Mapped[int | None] = mapped_column(ForeignKey("organizations.id"))
    opener_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("people.id"))
    door: Mapped[str] = mapped_column(default="billing")
    environment: Mapped[str] = mapped_column(default="", deferred=True)
    components: Mapped[list] = mapped_column(JSON, default=list, deferred=True)
    version_affected: Mapped[str] = mapped_column(default="", deferred=True)
    confidential: Mapped[bool] = mapped_column(default=False, deferred=True)
    catalogue_version: Mapped[str] = mapped_column(default="2026-01", deferred=True)
    thread: Mapped[str] = mapped_column(default="x", deferred=True)
    created_at: Mapped[datetime] = mapped_column(default=AT, deferred=True)
    severity_asked: Mapped[str] = mapped_column(default="", deferred=True)
    nudges: Mapped[int] = mapped_column(default=0, deferred=True)
    revision: Mapped[int] = mapped_column(default=1, deferred=True)
    opener: Mapped[Person] = relationship(foreign_keys=[opener_id])
    assignee: Mapped[Person | None] = relationship(foreign_keys=[assignee_id])
    organization: Mapped[Organization | None] = relationship()
    comments: Mapped[list[Comment]] = relationship(order_by=Comment.id)


WITH_ALL = (joinedload(Ticket.opener), joinedload(Ticket.assignee), joinedload(Ticket.organization))


_active, _now = Ticket.active.is_(True), bindparam("now", type_=DateTime)
FIGURES = {
    "open": Ticket.state == "open",
    "in progress": Ticket.state == "in-progress",
    "unassigned": _active & Ticket.assignee_id.is_(None),
    "mine": _active & (Ticket.assignee_id == 1),
    "waiting": Ticket.state == "waiting",
    "all": _active,
    "technical": _active & (Ticket.door == "technical"),
    "billing": _active & (Ticket.door == "billing"),
    "late": _active & (Ticket.due_order < _now),
    "soon": _active & Ticket.due_order.between(_now, bindparam("soon", type_=DateTime)),
}
_SOME = [select(Ticket.id).where(one).limit(COUNTED_TO).subquery() for one in FIGURES.values()]
# Made once: a statement of so many parts costs more to put together than to run.
COUNTS = select(*(select(func.count()).select_from(each).scalar_subquery() for each in _SOME))


def create_floor(database: str) -> Flask:
    """Return the floor's application on the same database."""
    app = Flask(__name__)
    engine = create_engine(database)
    # A template from a file is compiled once; render_template_string would compile it at every call.
    index_page, queue_page, show_page, new_page = map(app.jinja_env.from_string, (LIST, QUEUE, OPEN, FORM))

    @event.listens_for(engine, "connect")
    def prepare(connection, _record):
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

    @app.get("/tickets")
    def index():
        word = request.args.get("q", "")
        mine = select(Ticket).where(Ticket.organization_id == 1)
        if word:
            mine = mine.where(Ticket.summary.contains(word))
        with Session(engine) as session:
            rows = session.scalars(mine.options(*WITH_ALL).order_by(Ticket.updated_at.desc()).limit(25)).all()
            total = session.scalar(select(func.count()).select_from(mine.subquery()))
            return render_template(index_page, rows=rows, total=total)

    @app.get("/queue")
    def queue():
        waits = select(Ticket).where(Ticket.active.is_(True), Ticket.state != "waiting")
        order = (Ticket.due_order, Ticket.severity, Ticket.updated_at, Ticket.id)
        with Session(engine) as session:
            rows = session.scalars(waits.options(*WITH_ALL).order_by(*order).limit(25)).all()
            agents = session.scalars(select(Person).where(Person.staff_role == "agent").order_by(Person.name)).all()
            now = datetime.now(UTC).replace(tzinfo=None)
            counts = session.execute(COUNTS, {"now": now, "soon": now + timedelta(hours=1)}).one()
            figures = zip(FIGURES, counts, strict=True)
            return render_template(queue_page, rows=rows, agents=agents, figures=figures)

    @app.get("/tickets/<key>")
    def show(key):
        asked = select(Ticket).where(Ticket.key == key)
        with Session(engine) as session:
            ticket = (
                session.scalars(asked.options(joinedload(Ticket.comments).joinedload(Comment.author))).unique().one()
            )
            return render_template(show_page, t=ticket)

    @app.get("/new")
    def new():
        with Session(engine) as session:
            organizations = session.scalars(select(Organization).where(Organization.id == 1)).all()
            clusters = session.scalars(select(Cluster).where(Cluster.organization_id == 1)).all()
            return render_template(new_page, organizations=organizations, clusters=clusters)

    @app.post("/new")
    def create():
        given = request.form
        with Session(engine) as session:
            counter = session.scalars(select(Counter).where(Counter.name == "BILL")).one()
            counter.value += 1
            key = f"FLOOR-{counter.value}"
            ticket = Ticket(
                key=key, summary=given["summary"], severity=given["severity"], organization_id=1, opener_id=1
            )
            body = given["description"]
            ticket.comments.append(Comment(author_id=1, created_at=AT, source=body, html=body))
            session.add(ticket)
            session.commit()
        return redirect(f"/tickets/{key}", 303)

    return app
