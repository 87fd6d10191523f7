"""Garbage collections are rare once a process has started."""

from __future__ import annotations

import gc

from runtime.collector import COLLECT_AFTER_OBJECTS, collect_rarely


def test_what_exists_is_spared_and_collections_are_rare() -> None:
    thresholds = gc.get_threshold()
    try:
        gc.set_threshold(700, 10, 10)  # Python's own; a library of another test may have changed it
        collect_rarely()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] == COLLECT_AFTER_OBJECTS > 700
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)
