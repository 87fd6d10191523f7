"""Read and judge a generated file of recipients, add none, and print the rate and the largest memory.

    python -m scripts.measure_import --lines 1000000

The file is made block by block while it is read. The rate at which Postgres adds is in the progress of
`campaigns import`.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import time
from collections.abc import AsyncIterator

from api.additions import Judged
from api.imports import ImportTotals, import_blocks
from api.recipient_answers import RecipientsAdded
from domain.recipient_files.columns import Choices
from domain.recipient_files.reader import RecipientFile
from tables.turns import Turn

BLOCK_LINES = 5_000


async def blocks(lines: int) -> AsyncIterator[bytes]:
    """A file with German numbers, a name and a price."""
    yield b"phone;first_name;price\n"
    for start in range(0, lines, BLOCK_LINES):
        numbers = range(start, min(start + BLOCK_LINES, lines))
        yield "".join(f"+49151{number:08d};Ana {number};19,90\n" for number in numbers).encode()


async def add_none(judged: Judged, _: Turn) -> RecipientsAdded:
    """Count the judged recipients."""
    return RecipientsAdded(added=len(judged.people), countries={}, duplicates=judged.repeated, invalid=[])


def main() -> int:
    """Measure once; returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    lines = parser.parse_args().lines
    totals = ImportTotals()
    file = RecipientFile(Choices(parameters={"1": "first_name", "2": "price"}))
    began, cpu = time.perf_counter(), time.process_time()
    asyncio.run(import_blocks(blocks(lines), file, None, add_none, totals.count))
    taken, cpu = time.perf_counter() - began, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{totals.added:,} lines in {taken:.1f} s ({cpu:.1f} s of CPU): {lines / taken:,.0f}/s, {memory:,.0f} MiB")
    return 0 if totals.added == lines else 1


if __name__ == "__main__":
    raise SystemExit(main())
