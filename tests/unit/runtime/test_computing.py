"""A block that computes in threads changes settings of the process, and the last one of several restores them."""

from __future__ import annotations

import gc
import sys

import pytest

from runtime.computing import COLLECTED_AFTER, SWITCH_S, computing


def test_the_settings_are_restored_when_the_last_of_two_blocks_ends() -> None:
    usual = (sys.getswitchinterval(), gc.get_threshold())
    first, second = computing(), computing()
    with first:
        second.__enter__()
        assert (sys.getswitchinterval(), gc.get_threshold()) == (SWITCH_S, COLLECTED_AFTER)
    assert (sys.getswitchinterval(), gc.get_threshold()) == (SWITCH_S, COLLECTED_AFTER)
    second.__exit__(None, None, None)
    assert (sys.getswitchinterval(), gc.get_threshold()) == usual


def test_a_block_that_fails_restores_them_too() -> None:
    usual = (sys.getswitchinterval(), gc.get_threshold())
    with pytest.raises(ConnectionError), computing():
        raise ConnectionError
    assert (sys.getswitchinterval(), gc.get_threshold()) == usual
