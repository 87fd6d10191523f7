"""The decision about a restart after the end of a supervised process."""

import pytest

from stack.restarts import BACKOFF_MAX_S, STABLE_AFTER_S, GivenUp, RestartAfter, after_exit


@pytest.mark.parametrize(
    ("code", "decision"),
    [
        (0, RestartAfter(0.2)),
        (64, GivenUp(64)),
        (70, RestartAfter(0.2)),
        (75, RestartAfter(0.2)),
        (-9, RestartAfter(0.2)),
        (1, RestartAfter(0.2)),
    ],
)
def test_an_exit_code_decides(code: int, decision: RestartAfter | GivenUp) -> None:
    assert after_exit(code, ran_s=1.0, consecutive_ends=1) == decision


def test_the_backoff_doubles_up_to_its_limit() -> None:
    delays = [after_exit(70, 0.1, count) for count in range(1, 12)]
    assert delays[:4] == [RestartAfter(0.2), RestartAfter(0.4), RestartAfter(0.8), RestartAfter(1.6)]
    assert delays[-1] == RestartAfter(BACKOFF_MAX_S)


def test_the_backoff_stays_at_its_limit_after_many_ends() -> None:
    assert after_exit(70, 0.1, 100_000) == RestartAfter(BACKOFF_MAX_S)


def test_a_process_that_ran_long_restarts_at_the_first_backoff() -> None:
    assert after_exit(70, STABLE_AFTER_S, 9) == RestartAfter(0.2)
