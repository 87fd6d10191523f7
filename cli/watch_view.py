"""What `campaigns watch` shows on a terminal: the progress, the funnel, what fails, and a plot of the timeline.

Everything is text without colours that carry a meaning. The plot has a column for each step of time, and one row for
each series, all with one scale, so that rows can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from api.pages.timeline import Plot, plot
from cli.console import printable
from domain.stats import percentage
from operations.campaign_progress import end_text, progress_text
from schemas.stats import CampaignProgress
from tables.stats import Minute

LEVELS = " ▁▂▃▄▅▆▇█"
"""From nothing to the greatest value. A value that is not zero is never drawn as nothing."""
BAR_WIDTH = 40
LABEL_WIDTH = 10
COLUMNS_MIN = 10
GAP = "   "
REASONS_SHOWN = 3
SERIES = ("sent", "delivered", "read", "failed")


def watch_view(
    progress: CampaignProgress, per_s: float | None, minutes: Sequence[Minute], width: int
) -> RenderableType:
    """The frame of one moment, for a terminal of this width."""
    speed = "" if per_s is None else f", {per_s:,.1f}/s"
    parts: list[RenderableType] = [
        Text(
            f"{printable(progress.campaign_name)}  ({progress.status})", style="bold", overflow="ellipsis", no_wrap=True
        ),
        Text(f"{bar(progress.handled, progress.total_target)}  {progress_text(progress)}{speed}{end_text(progress)}"),
        *(Text(line) for line in funnel_lines(progress, width)),
    ]
    if progress.failures:
        parts.append(Text(_failures(progress), overflow="ellipsis", no_wrap=True))
    drawn = plot(minutes)
    if drawn is not None:
        parts += [Text(line, no_wrap=True, overflow="crop") for line in plot_lines(drawn, width)]
    parts.append(Text(f"true at {progress.as_of:%H:%M:%S}Z, version {progress.version:,}; Ctrl-C ends", style="dim"))
    return Group(*parts)


def bar(done: int, total: int) -> str:
    """How much of the total is done, as a bar of fixed width."""
    full = BAR_WIDTH * done // total if total else 0
    return "█" * full + "░" * (BAR_WIDTH - full)


def plot_lines(drawn: Plot, width: int) -> list[str]:
    """One line for each series with the newest columns that fit, and a line with the times of both ends."""
    shown = drawn.columns[-max(COLUMNS_MIN, width - LABEL_WIDTH - 1) :]
    highest = max(max(0, getattr(each, name)) for each in shown for name in SERIES)
    lines = [
        f"{name:<{LABEL_WIDTH}} " + "".join(level(getattr(each, name), highest) for each in shown) for name in SERIES
    ]
    ends = f"{shown[0].at:%H:%M}Z to {shown[-1].at:%H:%M}Z, per {drawn.step_words}, highest {highest:,}"
    return [*lines, f"{'':<{LABEL_WIDTH}} {ends}"]


def level(value: int, highest: int) -> str:
    """The character for a value, between 0 and the highest. A negative one (failures sent again) is nothing."""
    if value <= 0 or highest <= 0:
        return LEVELS[0]
    return LEVELS[max(1, min(len(LEVELS) - 1, -(-value * (len(LEVELS) - 1) // highest)))]


def funnel_lines(progress: CampaignProgress, width: int) -> list[str]:
    """The steps of the funnel with their counts, on as few lines as this width permits. No step is divided."""
    shares = {"delivered": progress.delivered, "read": progress.read, "replied": progress.replied}
    cells = [f"sent {progress.sent:,}"]
    cells += [f"{name} {count:,} ({percentage(count, progress.sent)} %)" for name, count in shares.items()]
    cells += [f"unknown {progress.unknown:,}", f"skipped {progress.skipped:,}"]
    lines = [cells[0]]
    for each in cells[1:]:
        longer = f"{lines[-1]}{GAP}{each}"
        if len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(each)
    return lines


def _failures(progress: CampaignProgress) -> str:
    ranked = sorted(progress.failures.items(), key=lambda pair: (-pair[1], pair[0]))
    named = ", ".join(f"{n:,} × {printable(code)}" for code, n in ranked[:REASONS_SHOWN])
    more = f" and {len(ranked) - REASONS_SHOWN} other codes" if len(ranked) > REASONS_SHOWN else ""
    return f"failed: {named}{more}"
