"""Arrivals of jobs: counts, moments and gaps, for each campaign alone."""

from __future__ import annotations

from uuid import UUID

import pytest

from bench.bulk.arrivals import Arrivals

LARGE, SMALL = UUID(int=1), UUID(int=2)


def test_the_gap_of_a_campaign_is_not_filled_by_another() -> None:
    arrivals = Arrivals()
    arrivals.add(10.0, [LARGE, LARGE])
    arrivals.add(10.5, [SMALL])
    arrivals.add(12.0, [LARGE, SMALL])
    assert (arrivals.count(LARGE), arrivals.count(SMALL)) == (3, 2)
    assert (arrivals.first_at(LARGE), arrivals.last_at(LARGE)) == (10.0, 12.0)
    assert (arrivals.longest_gap_s(LARGE), arrivals.longest_gap_s(SMALL)) == (2.0, 1.5)


def test_a_campaign_without_jobs_has_no_gap_and_no_moment() -> None:
    arrivals = Arrivals()
    assert (arrivals.count(LARGE), arrivals.longest_gap_s(LARGE)) == (0, 0.0)
    with pytest.raises(IndexError):
        arrivals.first_at(LARGE)
