"""A server that runs and does not answer is killed after a bounded time, and never because of a pause of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.liveness import COUNTED_MAX_S, FROZEN_AFTER_S, PROBE_EVERY_S, PROBE_TIMEOUT_S, STARTING_MAX_S, ServerSilence

ROUND_S = PROBE_EVERY_S + PROBE_TIMEOUT_S


def rounds_until_frozen(silence: ServerSilence, pid: int = 1) -> int:
    rounds = 0
    while not silence.is_frozen:
        silence = silence.after(pid, ROUND_S, is_answered=False)
        rounds += 1
    return rounds


def test_a_server_that_has_answered_is_frozen_after_twenty_seconds() -> None:
    answered = ServerSilence().after(1, ROUND_S, is_answered=True)
    assert rounds_until_frozen(answered) * ROUND_S == pytest.approx(FROZEN_AFTER_S, abs=ROUND_S)


def test_a_server_that_starts_gets_longer_and_longer_with_each_kill() -> None:
    silence = ServerSilence().after(1, ROUND_S, is_answered=True)
    found = []
    for pid in range(2, 20):
        silence = silence.killed()
        found.append(rounds_until_frozen(silence, pid))
    assert found == sorted(found)
    assert found[0] > 3 * rounds_until_frozen(ServerSilence(1, has_answered=True))
    assert found[-1] == -(-STARTING_MAX_S // ROUND_S), "the time is bounded"


def test_an_answer_ends_the_longer_time() -> None:
    recovered = ServerSilence(kills=5).after(7, ROUND_S, is_answered=True)
    assert recovered.limit_s == FROZEN_AFTER_S
    assert recovered.kills == 0


@given(st.floats(0, 1e6))
def test_a_pause_of_this_process_counts_as_one_request(passed_s: float) -> None:
    silence = ServerSilence(1, has_answered=True).after(1, passed_s, is_answered=False)
    assert silence.silent_s <= COUNTED_MAX_S < FROZEN_AFTER_S
    assert not silence.is_frozen


@given(st.lists(st.tuples(st.none() | st.integers(1, 3), st.floats(0, 60), st.booleans()), max_size=30))
def test_only_a_process_that_runs_and_was_silent_long_enough_is_frozen(
    rounds: list[tuple[int | None, float, bool]],
) -> None:
    silence, silent_s, last = ServerSilence(), 0.0, None
    for pid, passed_s, is_answered in rounds:
        silence = silence.after(pid, passed_s, is_answered=is_answered and pid is not None)
        silent_s = 0.0 if is_answered and pid is not None else passed_s + (silent_s if pid == last else 0.0)
        last = pid
        assert not silence.is_frozen or (pid is not None and silent_s >= FROZEN_AFTER_S)
