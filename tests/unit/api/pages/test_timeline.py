"""The plot keeps every message, has no gaps, and fits on a screen."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.timeline import COLUMNS_MAX, STEPS, plot
from tables.stats import Minute
from tests.support.shown_campaigns import NOW

MINUTES = st.dictionaries(
    st.integers(0, 400_000), st.tuples(*[st.integers(0, 9999)] * 3, st.integers(-99, 99)), min_size=1
)


@given(MINUTES)
def test_no_message_is_lost_and_no_column_is_missing(changes: dict[int, tuple[int, int, int, int]]) -> None:
    minutes = [Minute(NOW + timedelta(minutes=at), *changes[at]) for at in sorted(changes)]
    found = plot(minutes)
    assert found is not None
    assert found.step in STEPS
    assert 1 <= len(found.columns) <= COLUMNS_MAX
    for before, after in pairwise(found.columns):
        assert after.at - before.at == found.step
    for name in ("sent", "delivered", "read", "failed"):
        assert sum(getattr(each, name) for each in found.columns) == sum(getattr(each, name) for each in minutes)
    assert found.columns[0].at <= minutes[0].minute
    assert minutes[-1].minute < found.columns[-1].at + found.step


def test_without_messages_there_is_no_plot() -> None:
    assert plot([]) is None


@pytest.mark.parametrize(
    ("minutes", "words"), [(0, "minute"), (100, "minute"), (300, "2 minutes"), (1440, "10 minutes"), (9000, "hour"),
                           (20_000, "3 hours"), (100_000, "day")],
)  # fmt: skip
def test_a_column_is_as_narrow_as_fits(minutes: int, words: str) -> None:
    found = plot([Minute(NOW, 1, 0, 0, 0), Minute(NOW + timedelta(minutes=minutes), 1, 0, 0, 0)])
    assert found is not None
    assert found.step_words == words


def test_a_column_begins_at_a_whole_step() -> None:
    found = plot([Minute(NOW + timedelta(minutes=7), 1, 0, 0, 0), Minute(NOW + timedelta(minutes=1000), 1, 0, 0, 0)])
    assert found is not None
    assert found.columns[0].at == NOW
