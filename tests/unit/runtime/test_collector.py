"""Garbage collections are rare while a process runs, and usual after it."""

from __future__ import annotations

import gc

import pytest

from runtime.collector import THRESHOLDS, collecting_rarely


@pytest.mark.parametrize("thresholds", [THRESHOLDS, (200_000, 50, 100)])
def test_what_exists_is_spared_and_collections_are_rare(thresholds: tuple[int, int, int]) -> None:
    before = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)  # Python's own; a library of another test may have changed it
        with collecting_rarely(thresholds):
            assert gc.get_freeze_count() > 0
            assert gc.get_threshold() == thresholds
            assert gc.get_threshold()[0] > 700
        assert (gc.get_threshold(), gc.get_freeze_count()) == ((700, 10, 10), 0)
    finally:
        gc.set_threshold(*before)
