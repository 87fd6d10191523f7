"""The advisory lock keys: all different, and the numbers that running versions use."""

from __future__ import annotations

from tables import locks


def test_no_two_purposes_share_a_key() -> None:
    assert len(set(locks.ALL)) == len(locks.ALL)


def test_every_key_is_listed() -> None:
    keys = {value for name, value in vars(locks).items() if name.isupper() and isinstance(value, int)}
    assert keys == set(locks.ALL)


def test_a_key_keeps_its_number_so_that_old_and_new_processes_exclude_each_other() -> None:
    assert [key - 0x63616D70_00000000 for key in locks.ALL] == [1, 2, 3, 4, 5, 6, 10]
