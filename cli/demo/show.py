"""Shows the demo on stderr: steps, live bars, and the report with the verdict."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.demo.result import DemoResult
from verdict.judge import Verdict

BARS = ("sent", "delivered", "read", "failed", "skipped", "unknown")
PLAIN_LINE_EVERY_S = 2.0
SHOWN_MAX = 20

Update = Callable[[Mapping[str, Any], str], None]
"""Called with the REST stats and a text about the work that is left."""


class Screen:
    """Steps, progress and report."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr, highlight=False)
        self.started = time.monotonic()

    def note(self, line: str) -> None:
        """Print a line with the seconds since the start."""
        self.console.print(f"[dim]{time.monotonic() - self.started:6.1f} s[/dim]  {line}", soft_wrap=True)

    @contextmanager
    def progress(self, total: int) -> Iterator[Update]:
        """Show bars on a terminal, and a line every two seconds elsewhere."""
        if not self.console.is_terminal:
            yield self._plain(total)
            return
        columns = (
            TextColumn("{task.description:>10}"),
            BarColumn(40),
            TextColumn("{task.completed:>6.0f} {task.fields[note]}"),
        )
        with Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True) as progress:
            tasks = {name: progress.add_task(name, total=total, note="") for name in BARS}
            yield lambda stats, note: _move(progress, tasks, stats, note)

    def _plain(self, total: int) -> Update:
        last = 0.0

        def update(stats: Mapping[str, Any], note: str) -> None:
            nonlocal last
            if time.monotonic() - last >= PLAIN_LINE_EVERY_S:
                last = time.monotonic()
                counts = ", ".join(f"{stats[name]} {name}" for name in BARS if stats[name])
                self.note(f"of {total}: {counts or 'none yet'}; {note}")

        return update

    def report(self, outcome: DemoResult) -> None:
        """Print the funnel, the failures, the attempts of the killed sender, and the verdict."""
        stats = outcome.stats
        table = Table(
            "", "recipients", "of the previous step", box=None, pad_edge=False, title="funnel", title_style=""
        )
        steps = [("total", stats["total_target"])] + [(word, stats[word]) for word in ("sent", "delivered", "read")]
        for (word, count), (_, before) in zip(steps, [steps[0], *steps], strict=False):
            share = f"{100 * count / before:.1f} %" if before and word != "total" else ""
            table.add_row(word, str(count), share)
        for word in ("failed", "skipped", "unknown"):
            table.add_row(word, str(stats[word]), "")
        self.console.print(table)
        if outcome.failures:
            failures = Table("failures by reason", "recipients", "", box=None, pad_edge=False)
            for code, count in sorted(outcome.failures.items(), key=lambda each: -each[1]):
                failures.add_row(code, str(count), outcome.failure_texts.get(code, "").partition(":")[0])
            self.console.print(failures)
        self.note(
            f"{outcome.verdict.messages_accepted} messages accepted, at {outcome.rate:.0f} posts a second; "
            f"{outcome.statuses_sent} statuses sent by the simulator"
        )
        if outcome.verdict.waits_a_day:
            self.note(f"{outcome.verdict.waits_a_day} held back by Meta (131049) and due again after a day")
        if outcome.killing is not None:
            self._left(outcome.verdict)
        self._verdict(outcome.verdict)

    def _left(self, verdict: Verdict) -> None:
        left = verdict.left_by_killed
        self.note(f"{len(left)} attempts of the killed sender had no answer:")
        if left:
            table = Table(
                "recipient", "attempt", "according to the simulator", "status of the row", box=None, pad_edge=False
            )
            for each in left[:SHOWN_MAX]:
                table.add_row(each.recipient_id, str(each.attempt), each.simulator.replace("_", " "), each.status)
            self.console.print(table)
        if len(left) > SHOWN_MAX:
            self.console.print(f"... and {len(left) - SHOWN_MAX} more (all of them with --json)")

    def _verdict(self, verdict: Verdict) -> None:
        for line in verdict.trouble:
            self.note(f"[red]{line}[/red]")
        for wrong in verdict.wrong_rows[:SHOWN_MAX]:
            self.note(
                f"[red]row {wrong.row_id or '?'}: {', '.join(wrong.fields)} "
                f"(expected {wrong.expected_status}, found {wrong.found_status})[/red]"
            )
        for name in verdict.wrong_counters[:SHOWN_MAX]:
            self.note(f"[red]counter {name} differs from the recount[/red]")
        colour = "green" if verdict.word == "exact" else "red"
        self.note(
            f"[bold {colour}]verdict: {verdict.word}[/bold {colour}]: {len(verdict.wrong_rows)} rows wrong, "
            f"{verdict.double_sends} double sends, {len(verdict.wrong_counters)} counters wrong"
        )


def _move(progress: Progress, tasks: Mapping[str, TaskID], stats: Mapping[str, Any], note: str) -> None:
    for name, task in tasks.items():
        progress.update(task, completed=stats[name], note=note if name == BARS[0] else "")
