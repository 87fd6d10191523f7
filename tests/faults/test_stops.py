"""Every process stops in time although its dependencies hang, and a stalled process ends automatically."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stack.supervisor import STOP_DEADLINE_S
from tests.faults.campaign import InjectedFault
from tests.faults.injections import BOTH, wait_for_work_in_flight
from tests.faults.start_and_end import finish_exactly, start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import NAMES, STALL_LIMIT_S, World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.faults, pytest.mark.slow]
STALLED = "stalled: there is lag and no progress; the process ends"


@pytest.mark.parametrize("dependencies", [("kafka",), ("postgres",), ("cloud",), ("kafka", "postgres", "cloud")])
def test_every_process_ends_in_time_while_dependencies_hang(
    world: World, crowd: Crowd, dependencies: tuple[str, ...]
) -> None:
    """All processes stop at once. The supervisor kills a process that takes too long, and its exit code is then -9."""
    campaign = start_under_load(world, crowd, f"stop while {dependencies} hang")
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    for dependency in dependencies:
        world.dependencies[dependency].hang()
    before = len(world.events)
    try:
        with ThreadPoolExecutor(len(NAMES)) as threads:
            took_s = dict(zip(NAMES, threads.map(lambda name: _restart_s(world, name), NAMES), strict=True))
    finally:
        for dependency in dependencies:
            world.dependencies[dependency].restore()
    print(json.dumps({"hanging": dependencies, "stopped_in_s": took_s}))
    ended = {event.name: event.code for event in world.events[before:] if event.what == "ended"}
    assert set(ended) == set(NAMES)
    assert {name: code for name, code in ended.items() if code not in (0, 75)} == {}
    assert max(took_s.values()) <= STOP_DEADLINE_S
    finish_exactly(campaign, InjectedFault(time.time(), in_flight, unknown_max=2 * BOTH))


def _restart_s(world: World, name: str) -> float:
    """Restart one process. Returns the seconds that its end took."""
    before = len(world.events)
    started = time.monotonic()
    world.supervisor.restart(name)
    eventually(
        lambda: any(event.name == name and event.what == "ended" for event in world.events[before:]),
        f"{name} ends",
        STOP_DEADLINE_S + 10.0,
    )
    return round(time.monotonic() - started, 1)


def test_a_stalled_sink_ends_and_is_restarted_while_its_dependencies_answer(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "a sink stalls")
    in_flight = wait_for_work_in_flight(world, campaign, "sink")
    with world.extra("sink-3", "stuck") as extra:
        eventually(lambda: extra.restarts_of("sink-3") > 0, "the stalled sink ends", 3 * STALL_LIMIT_S + 30.0)
        assert STALLED in world.log("sink-3")
        ended = [event.code for event in world.events if event.name == "sink-3" and event.what == "ended"]
        assert ended[-1] == 75
    finish_exactly(campaign, InjectedFault(time.time(), in_flight))
