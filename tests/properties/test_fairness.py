"""Laws of the division over time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.fairness import Turns, due_shares

AMOUNTS = st.integers(0, 3) | st.integers(0, 100)
"""Small and large ones are as frequent, so that a step often has room for all of a small demand."""
DEMANDS = st.dictionaries(st.integers(0, 4) | st.integers(0, 19), AMOUNTS, max_size=20)
MANY = 1_000_000


@given(st.lists(st.tuples(AMOUNTS | st.integers(0, 1000), DEMANDS), max_size=30))
def test_shares_use_the_room_and_exceed_no_demand(steps: list[tuple[int, dict[int, int]]]) -> None:
    turns = Turns[int]()
    for room, demands in steps:
        shares = turns.divide(room, demands)
        assert sum(shares.values()) == min(room, sum(demands.values()))
        assert all(0 <= shares[key] <= demand for key, demand in demands.items())


@given(st.integers(1, 40), st.lists(st.integers(0, 30), min_size=1, max_size=200))
def test_over_time_all_that_always_wait_get_the_same(claimants: int, rooms: list[int]) -> None:
    turns = Turns[int]()
    received = [0] * claimants
    for room in rooms:
        for key, share in turns.divide(room, dict.fromkeys(range(claimants), MANY)).items():
            received[key] += share
        assert max(received) - min(received) <= 1


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.lists(st.floats(0.05, 1), min_size=2, max_size=10))
def test_over_time_shares_follow_the_weights(rooms: list[int], weights: list[float]) -> None:
    turns = Turns[int]()
    received = [0] * len(weights)
    for room in rooms:
        shares = turns.divide(room, dict.fromkeys(range(len(weights)), MANY), dict(enumerate(weights)))
        for key, share in shares.items():
            received[key] += share
    for weight, got in zip(weights, received, strict=True):
        assert abs(got - sum(rooms) * weight / sum(weights)) <= 2


@given(st.lists(st.tuples(st.integers(0, 20), DEMANDS), max_size=60))
def test_a_claimant_that_always_waits_gets_its_share_whatever_the_others_want(
    steps: list[tuple[int, dict[int, int]]],
) -> None:
    turns = Turns[int]()
    received, due = 0, 0.0
    for room, others in steps:
        demands = {**others, 99: MANY}
        received += turns.divide(room, demands)[99]
        due += due_shares(room, demands, dict.fromkeys(demands, 1.0))[99]
        assert received >= due - 20, "it is never behind by more than the others can be ahead"
    assert len(turns.credits) <= 21


@given(st.integers(1, 50), st.integers(0, 100))
def test_idle_claimants_save_up_no_turns(room: int, idle_steps: int) -> None:
    turns = Turns[str]()
    for _ in range(idle_steps):
        turns.divide(room, {"busy": MANY, "idle": 0})
    shares = turns.divide(room, {"busy": MANY, "idle": MANY})
    assert abs(shares["busy"] - shares["idle"]) <= 1
