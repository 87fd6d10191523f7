"""The memory of the release: places, the search from the beginning, and what is locked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from tables.release_memory import AFRESH_S, FIRST_ID, HELD_S, START, UNCLAIMED_KNOWN_S, Lane, ReleaseMemory
from tests.support.histories import START as NOW

CAMPAIGN, OTHER = UUID(int=1), UUID(int=2)
PLACE = (NOW, UUID(int=9))


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def search(memory: ReleaseMemory, clock: Clock, takes_s: float) -> None:
    with memory.searching():
        clock.now += takes_s


def test_a_search_continues_after_the_last_released_row() -> None:
    memory = ReleaseMemory(Clock())
    assert memory.place_of(CAMPAIGN)["fresh_id"] == FIRST_ID
    memory.advance({(CAMPAIGN, Lane.FRESH): PLACE, (OTHER, Lane.TRIED): PLACE})
    assert memory.place_of(CAMPAIGN) == {
        "fresh_at": PLACE[0], "fresh_id": PLACE[1], "tried_at": START[0], "tried_id": START[1]
    }  # fmt: skip
    assert memory.places() == {
        "campaigns": [CAMPAIGN, OTHER], "fresh_at": [PLACE[0], START[0]], "fresh_id": [PLACE[1], START[1]],
        "tried_at": [START[0], PLACE[0]], "tried_id": [START[1], PLACE[1]],
    }  # fmt: skip


def test_a_search_begins_afresh_now_and_then_but_never_for_much_of_the_time() -> None:
    clock = Clock()
    memory = ReleaseMemory(clock)
    search(memory, clock, takes_s=1.0)  # behind a long snapshot
    memory.advance({(CAMPAIGN, Lane.FRESH): PLACE})
    clock.now += 49
    search(memory, clock, takes_s=0.0)
    assert memory.place_of(CAMPAIGN)["fresh_id"] == PLACE[1]
    clock.now += 1
    search(memory, clock, takes_s=0.001)
    assert memory.place_of(CAMPAIGN)["fresh_id"] == FIRST_ID
    memory.advance({(CAMPAIGN, Lane.FRESH): PLACE})
    clock.now += AFRESH_S
    search(memory, clock, takes_s=0.001)
    assert memory.place_of(CAMPAIGN)["fresh_id"] == FIRST_ID


def test_what_is_locked_is_left_alone_for_a_while() -> None:
    clock = Clock()
    memory = ReleaseMemory(clock)
    memory.hold(CAMPAIGN)
    assert memory.is_held(CAMPAIGN, "1")
    assert not memory.is_held(OTHER, "1")
    memory.hold("1")
    assert memory.is_held(OTHER, "1")
    clock.now += HELD_S
    assert not memory.is_held(CAMPAIGN, "1")


def test_retries_have_a_share_while_others_wait_and_all_of_it_otherwise() -> None:
    memory = ReleaseMemory(Clock())
    given = [memory.lanes(CAMPAIGN, 1, fresh=100, tried=100) for _ in range(10)]
    assert sum(each[Lane.TRIED] for each in given) == 2
    assert memory.lanes(CAMPAIGN, 10, fresh=0, tried=100) == {Lane.FRESH: 0, Lane.TRIED: 10}


def test_a_place_is_older_than_every_due_time() -> None:
    assert (NOW - timedelta(days=20_000), FIRST_ID) > START


def test_a_count_of_the_unclaimed_holds_for_a_while_and_grows_with_each_release() -> None:
    clock = Clock()
    memory = ReleaseMemory(clock)
    memory.add_released("1", 5)
    assert memory.unclaimed_most("1") is None, "nothing was counted"
    memory.count_unclaimed("1", 40)
    memory.add_released("1", 5)
    memory.add_released("2", 7)
    assert (memory.unclaimed_most("1"), memory.unclaimed_most("2")) == (45, None)
    clock.now += UNCLAIMED_KNOWN_S
    assert memory.unclaimed_most("1") is None, "some may be claimed"
    memory.count_unclaimed("1", 3)
    assert memory.unclaimed_most("1") == 3
