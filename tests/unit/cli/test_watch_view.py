"""The frame of `campaigns watch` fits the terminal, and its plot has one scale."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from api.pages.timeline import plot
from cli.watch_view import LEVELS, bar, level, plot_lines, watch_view
from schemas.model import CampaignId
from schemas.stats import CampaignProgress
from tables.stats import Minute

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PROGRESS = CampaignProgress(
    campaign_id=CampaignId(UUID(int=7)), campaign_name="Sale [bold]\x1b[31m", status="active", total_target=10_000,
    handled=4_120, sent=4_000, delivered=3_600, read=2_000, failed=60, as_of=NOW, version=7,
    failures={"131026": 39, "131049": 12, "131000": 8, "1": 1},
)  # fmt: skip
MINUTES = [Minute(NOW + timedelta(minutes=n), 80 * n, 40 * n, 10, -1 if n == 2 else 0) for n in range(1, 5)]


def rendered(width: int, minutes: list[Minute]) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
    console.print(watch_view(PROGRESS, 12.5, minutes, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_a_frame_has_the_progress_the_funnel_the_failures_and_the_plot() -> None:
    lines = rendered(120, MINUTES)
    assert lines[0].startswith("Sale [bold]")
    assert "\x1b" not in "".join(lines), "a name cannot move the cursor"
    text = "\n".join(lines)
    assert "4,120 of 10,000 handled (41.2 %), 60 failed (1.5 %), 12.5/s" in text
    assert "delivered 3,600 (90.0 %)" in text
    assert "failed: 39 × 131026, 12 × 131049, 8 × 131000 and 1 other codes" in text
    assert "sent       ▂▄▆█" in text
    assert "12:01Z to 12:04Z, per minute, highest 320" in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_frame_fits_its_terminal(width: int) -> None:
    many = [Minute(NOW + timedelta(minutes=n), n, 0, 0, 0) for n in range(500)]
    lines = rendered(width, many)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if "read 2,000 (50.0 %)" in line], "a step of the funnel is on one line"


def test_a_campaign_without_a_minute_has_no_plot() -> None:
    assert not any("per minute" in line for line in rendered(80, []))


@given(st.integers(-5, 1000), st.integers(0, 1000))
def test_only_what_is_zero_is_drawn_as_nothing(value: int, highest: int) -> None:
    drawn = level(value, highest)
    assert (drawn == LEVELS[0]) == (value <= 0 or highest <= 0)
    assert level(highest, highest) == (LEVELS[-1] if highest > 0 else LEVELS[0])


def test_the_bar_has_a_fixed_width() -> None:
    assert {len(bar(done, total)) for done, total in ((0, 0), (0, 9), (4, 9), (9, 9))} == {40}
    drawn = plot(MINUTES)
    assert drawn is not None
    assert len(plot_lines(drawn, 10)) == 5
