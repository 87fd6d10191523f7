"""What probes learn of a process: alive while its loop runs, ready while it can work."""

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
