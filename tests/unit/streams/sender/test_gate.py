"""The gate limits the rate of a number, and pauses after throttled answers."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.error_codes import ThrottleScope
from domain.outcomes import Accepted
from domain.pacing import SILENCE_MAX_S, SILENT_POSTS_MIN
from streams.sender.gate import SILENCE_POLL_S, Gate


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_throttle_holds_the_number_and_then_lowers_its_rate() -> None:
    clock = Clock()
    gate = Gate(100.0, clock=clock)
    assert gate.reserve("1") == (0.0, True)
    assert gate.throttled("1", ThrottleScope.NUMBER, None) == 1.0
    assert gate.reserve("1") == (1.0, False)
    assert gate.reserve("2") == (0.0, True)
    clock.now = 1.0
    waits = [gate.reserve("1") for _ in range(40)]
    assert all(is_permit for _, is_permit in waits)
    assert waits[-1][0] - waits[-2][0] == pytest.approx(1 / 70)


def test_a_throttle_of_the_account_holds_every_number() -> None:
    gate = Gate(100.0, clock=Clock())
    gate.throttled("1", ThrottleScope.ACCOUNT, 5.0)
    assert gate.reserve("2") == (5.0, False)
    assert gate.backlog_s("3") == 5.0


def test_accepted_messages_restore_the_rate() -> None:
    clock = Clock()
    gate = Gate(100.0, clock=clock)
    gate.throttled("1", ThrottleScope.NUMBER, None)
    clock.now = 2.0
    for _ in range(300):
        gate.answered("1")
    clock.now = 100.0
    waits = [gate.reserve("1")[0] for _ in range(20)]
    assert waits[-1] - waits[-2] == pytest.approx(1 / 100)


@given(st.floats(1, 1000), st.integers(1, 200))
def test_the_backlog_is_the_wait_for_the_next_permit(rate: float, permits: int) -> None:
    clock = Clock()
    gate = Gate(rate, clock=clock)
    for _ in range(permits):
        gate.reserve("1")
    backlog = gate.backlog_s("1")
    assert gate.reserve("1")[0] == pytest.approx(max(0.0, backlog + 1 / rate), abs=1 / rate)


def test_room_is_the_number_of_permits_available_soon() -> None:
    gate = Gate(100, clock=lambda: 0.0)
    rooms = [gate.room("1", 0.4)]
    for _ in range(5 + 20):  # the burst, then a fifth of a second
        gate.reserve("1")
    rooms.append(gate.room("1", 0.4))
    for _ in range(20):
        gate.reserve("1")
    rooms.append(gate.room("1", 0.4))
    assert rooms == [40, 20, 0]


def test_an_idle_number_has_room_for_one_at_any_rate() -> None:
    gate = Gate(1, clock=lambda: 0.0)
    rooms = [gate.room("1", 0.4)]
    for _ in range(2):
        gate.reserve("1")
        rooms.append(gate.room("1", 0.4))
    assert rooms == [1, 1, 0]


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.floats(1, 1000))
def test_senders_that_share_the_partitions_share_the_rate(weights: list[float], rate: float) -> None:
    """Over ten seconds all senders together use the rate of the number, and their bursts."""
    clock = Clock()
    gates = [Gate(rate, clock=clock) for _ in weights]
    for gate, weight in zip(gates, weights, strict=True):
        gate.share(weight / sum(weights))
    permits, clock.now = 0, 10.0
    for gate in gates:
        while gate.reserve("1")[0] <= 0:
            permits += 1
    assert permits <= sum(max(1.0, rate * weight / sum(weights) * 0.05) for weight in weights) + len(weights)
    rates = [gate._bucket("1").rate for gate in gates]
    assert sum(rates) == pytest.approx(rate)


def test_a_new_share_keeps_the_drop_of_a_throttle() -> None:
    gate = Gate(100.0, clock=Clock())
    gate.throttled("1", ThrottleScope.NUMBER, None)
    gate.share(0.5)
    assert gate._bucket("1").rate == pytest.approx(35)
    gate.share(1.0)
    assert gate._bucket("1").rate == pytest.approx(70)
    gate.share(2.0)
    assert gate._bucket("1").rate == pytest.approx(70), "never more than the whole rate"


def test_a_brake_is_logged_once_for_each_strike(capsys: pytest.CaptureFixture[str]) -> None:
    gate = Gate(100.0, clock=Clock())
    for _ in range(5):
        gate.throttled("1", ThrottleScope.NUMBER, None)
    assert capsys.readouterr().out.count("Meta throttles") == 1


def test_a_server_that_answers_nobody_holds_every_number() -> None:
    """Otherwise each post until the first timeout would have an unknown outcome."""
    now = 0.0
    gate = Gate(100.0, clock=lambda: now)
    with contextlib.ExitStack() as unanswered:
        for _ in range(SILENT_POSTS_MIN):
            unanswered.enter_context(gate.posting())
        assert gate.reserve("1") == (0.0, True)
        now = SILENCE_MAX_S + 0.1
        assert gate.reserve("1") == gate.reserve("2") == (SILENCE_POLL_S, False)
        with gate.posting() as ended:
            ended(Accepted("wamid.A"))
        assert gate.reserve("1") == (0.0, True)


def test_a_number_has_its_own_rate_and_all_use_the_same_share() -> None:
    clock = Clock()
    gate = Gate(80.0, {"fast": 1000.0}, clock=clock)
    assert (gate.room("fast", 1.0), gate.room("usual", 1.0)) == (1000, 80)
    gate.share(0.5)
    gate.share(0.5)
    assert (gate.room("fast", 1.0), gate.room("usual", 1.0), gate.room("new", 1.0)) == (500, 40, 40)
    gate.throttled("fast", ThrottleScope.NUMBER, None)
    clock.now = 100.0
    for _ in range(400):
        gate.answered("fast")
    gate.share(1.0)
    assert (gate.room("fast", 1.0), gate.room("usual", 1.0)) == (1000, 80)
