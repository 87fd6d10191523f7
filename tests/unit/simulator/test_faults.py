"""The limit of messages to one person."""

from __future__ import annotations

from simulator.faults import BURST, PairLimit

PAIR = ("1", "4915112345678")


def test_a_person_gets_a_burst_and_then_one_message_in_six_seconds() -> None:
    limit = PairLimit(6.0)
    assert [limit.allows(PAIR, 1000.0) for _ in range(BURST + 2)] == [True] * BURST + [False] * 2
    assert limit.allows(("1", "4915187654321"), 1000.0)
    assert limit.allows(("2", "4915112345678"), 1000.0)
    assert not limit.allows(PAIR, 1005.0)
    assert limit.allows(PAIR, 1006.5)
    assert not limit.allows(PAIR, 1007.0)


def test_an_old_pair_is_forgotten_only_when_its_allowance_is_whole_again() -> None:
    limit = PairLimit(6.0)
    assert all(limit.allows(PAIR, 1000.0) for _ in range(BURST))
    limit.allows(("1", "2"), 1001.0 + BURST * 6.0)  # the pair is of the older generation now
    assert sum(limit.allows(PAIR, 1001.0 + BURST * 6.0) for _ in range(BURST + 9)) == BURST
