"""How long the worker takes to count 100,000 running promises again after their calendar's hours have changed.

Run as `.venv/bin/python bench/recount.py [number] [address of an empty database]`; it prints one line.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from generate import make
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from models.calendars import Calendar
from models.people import Person
from models.recounting import progress_of, recount
from models.schedules import change

WEEK = [[["08:00", "12:00"], ["13:00", "16:30"]]] * 5 + [[], []]


def main(number, url):
    make(url, number)
    engine = create_engine(url)
    now = datetime.now(UTC).replace(microsecond=0)
    with Session(engine) as session:
        # All of them run, opened during the last two days.
        ids = {"start": (now - timedelta(days=2)).replace(tzinfo=None)}
        session.execute(text("UPDATE response_targets SET met_at = NULL, hours_version = 1, started_at = :start"), ids)
        session.execute(text("UPDATE tickets SET state = 'open', active = :yes"), {"yes": True})
        session.commit()
        calendar, person = session.get_one(Calendar, 1), session.query(Person).first()
        began = time.perf_counter()
        change(calendar, person, "Changed", "Europe/Berlin", WEEK, now=now)
        session.commit()
        request = time.perf_counter() - began
        total = progress_of(calendar).total
    longest, done, began, spent = 0.0, 0, time.perf_counter(), time.process_time()
    while True:
        step = time.perf_counter()
        with Session(engine) as session:
            batch = recount(session, 1)
            session.commit()
        if not batch:
            break
        longest, done = max(longest, time.perf_counter() - step), done + batch
    seconds, spent = time.perf_counter() - began, time.process_time() - spent
    print(f"{done:,} of {total:,}: the request took {request:.2f} s; counted in {seconds:.1f} s, {spent:.1f} s of CPU;")
    print(f"the longest transaction took {longest * 1000:.0f} ms")


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        main(number, sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{folder}/recount.sqlite")
