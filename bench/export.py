"""How long the files behind a report take, and how much memory, for 1,000 and for 100,000 promises.

Run as `.venv/bin/python bench/export.py [number]`; it prints a line for each file, and the ratios. The process that writes a
file is a fresh one, so that its peak is its own.
"""

import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from generate import make
from sqlalchemy import create_engine, true
from sqlalchemy.orm import Session

from models.evidence import SHEET, sheet_rows
from models.periods import Month, ReportWish
from models.spreadsheets import csv_of
from models.tickets import Tickets
from models.workbooks import workbook_of


def write(url, kind):
    """Write the file as the portal does, chunk by chunk, and print what it cost."""
    began, size = time.perf_counter(), 0
    with Session(create_engine(url)) as session:
        wish = ReportWish(Month(2025, 1), Month(2026, 12))
        scope = Tickets(session, true(), (), internal=True)
        batches = sheet_rows(scope, wish, ZoneInfo("UTC"), now=datetime.now(UTC))
        for chunk in (csv_of if kind == "csv" else workbook_of)(SHEET, batches):
            size += len(chunk)
    # Not ru_maxrss, which begins with what the process that started this one had.
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
    print(f"{time.perf_counter() - began:.2f} {size} {peak / 1024:.1f}")


def main(number):
    with tempfile.TemporaryDirectory() as folder:
        cost = {}
        for rows in (1000, number):
            url = f"sqlite:///{folder}/{rows}.sqlite"
            # A tenth of the tickets are about billing, and promise nothing.
            make(url, rows)
            for kind in ("csv", "xlsx"):
                told = subprocess.run(
                    [sys.executable, __file__, url, kind], check=True, capture_output=True, text=True
                ).stdout.split()
                cost[rows, kind] = tuple(map(float, told))
                seconds, size, peak = cost[rows, kind]
                print(
                    f"{rows:>7,} {kind:<4} {seconds:6.2f} s {size / 1e6:7.2f} MB written, at most {peak:.1f} MB in memory"
                )
        for kind in ("csv", "xlsx"):
            few, many = cost[1000, kind], cost[number, kind]
            print(
                f"{kind}: {many[0] / few[0]:.0f} times as long, {many[2] - few[2]:+.1f} MB of memory for {number // 1000} times as many"
            )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write(sys.argv[1], sys.argv[2])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
