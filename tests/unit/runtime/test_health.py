"""What probes learn of a process: alive while its loop runs, ready while it can work."""

import threading

from runtime.health import KEPT_S, Health


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_process_is_alive_while_its_event_loop_runs() -> None:
    clock = Clock()
    health = Health(clock)
    clock.now += 60.0
    assert health.is_alive(60.0)
    clock.now += 0.1
    assert not health.is_alive(60.0)
    health.beat()
    assert health.is_alive(60.0)


def test_a_process_is_ready_between_its_start_and_its_stop() -> None:
    health = Health()
    assert not all(health.checks().values())
    health.started()
    assert all(health.checks().values())
    health.stopping()
    assert [name for name, holds in health.checks().items() if not holds] == ["not_stopping"]


def test_a_halted_stage_is_not_ready() -> None:
    health = Health()
    health.started()
    health.halted()
    assert [name for name, holds in health.checks().items() if not holds] == ["not_halted"]


def test_a_dependency_is_queried_once_in_a_while_and_decides_readiness() -> None:
    clock = Clock()
    health = Health(clock)
    health.started()
    answers = [True, False]
    health.depend_on("kafka", lambda: answers.pop(0))
    assert health.checks()["kafka"]
    clock.now += KEPT_S / 2
    assert health.checks()["kafka"]
    clock.now += KEPT_S / 2
    assert not health.checks()["kafka"]
    assert health.is_alive(60.0), "an outage must not restart the process"


def test_readiness_for_metrics_waits_for_no_dependency() -> None:
    """A dependency that hangs must not hold up the metrics, which are needed most then."""
    health = Health(Clock())
    health.started()
    is_queried, may_answer, has_answered = threading.Event(), threading.Event(), threading.Event()

    def answers() -> bool:
        is_queried.set()
        may_answer.wait(10)
        has_answered.set()
        return True

    health.depend_on("kafka", answers)
    assert not health.is_ready(), "no answer is known yet"
    assert is_queried.wait(10)
    assert not health.is_ready()
    may_answer.set()
    assert has_answered.wait(10)
    assert health.checks()["kafka"], "it waits for the query that is under way"
    assert health.is_ready()
