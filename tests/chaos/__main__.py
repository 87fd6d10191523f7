"""Runs the schedule until the time is over, then waits for rest and says the verdict as the last line.

python -m tests.chaos --minutes 30 --seed 1
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from cli.pipeline import Stopped, stop_on_signals
from tests.chaos.healing import Healing
from tests.chaos.schedule import next_fault
from tests.faults.campaign import Result, Underway
from tests.faults.steady import Crowd
from tests.faults.strikes import passed
from tests.faults.world import World, world

PER_S = 60.0
"""Half of what the whole pipeline, simulator included, does on two cores with room to catch up."""
EXIT_INTERRUPTED = 130


@dataclass
class Tally:
    """What happened so far."""

    faults: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    unknown_max: int = 0
    failures: list[str] = field(default_factory=list)


def main() -> int:
    """Run; 0 only for an exact verdict."""
    wishes = argparse.ArgumentParser(prog="chaos", description=__doc__)
    wishes.add_argument("--minutes", type=float, default=30.0)
    wishes.add_argument("--seed", type=int, default=1)
    told = wishes.parse_args()
    stop_on_signals()
    try:
        with world() as found:
            verdict = _run(found, told.minutes * 60.0, told.seed)
    except Stopped:
        return EXIT_INTERRUPTED
    print(json.dumps(verdict), flush=True)
    return 0 if verdict["verdict"] == "exact" else 1


def _run(found: World, seconds: float, seed: int) -> dict[str, object]:
    say(f"seed {seed}, {seconds / 60:.1f} minutes, {PER_S:.0f} messages a second; logs in {found.folder}")
    crowd = Crowd(seed, int(PER_S * seconds * 1.2) + 5000)
    dice = random.Random(seed)
    tally = Tally()
    underway = Underway(found, crowd, PER_S, f"chaos {seed}")
    underway.wait_until_flowing(100)
    end = time.monotonic() + seconds
    with Healing(found, underway.id) as healing:
        while time.monotonic() < end:
            _one(found, underway, dice, tally, end)
        try:
            result = underway.finish(time.time(), from_topic=True)
        except AssertionError as failed:
            return {"verdict": "differs", "seed": seed, "failures": [*tally.failures, str(failed)]}
    return _conclude(found, result, tally, healing, seed)


def _one(found: World, underway: Underway, dice: random.Random, tally: Tally, end: float) -> None:
    planned = next_fault(dice)
    passed(min(planned.calm_s, max(0.0, end - time.monotonic())))
    started = time.monotonic()
    tally.faults[planned.kind] += 1
    try:
        struck = planned.strike(found, underway)
        lasted_s = time.monotonic() - started
        recovery_s = underway.recovery_s(struck.ended_at)
        found.require_alive()
    except AssertionError as failed:
        tally.failures.append(f"{planned.name}: {failed}")
        say(f"{planned.name:40} FAILED: {failed}")
        return
    tally.unknown_max += struck.unknown_max
    tally.recoveries_s.append(recovery_s)
    say(f"{planned.name:40} in flight {struck.in_flight:4}  lasted {lasted_s:5.1f} s  recovered in {recovery_s:5.1f} s")


def _conclude(found: World, result: Result, tally: Tally, healing: Healing, seed: int) -> dict[str, object]:
    verdict = result.judged.verdict
    failures = [*tally.failures, *verdict.trouble]
    if result.unknown_ever > tally.unknown_max:
        failures.append(f"{result.unknown_ever} were unknown, {tally.unknown_max} explained")
    lost = sum("row_missing" in row.fields or row.found_status == "queued" for row in verdict.wrong_rows)
    exact = verdict.word == "exact" and not failures
    for row in verdict.wrong_rows[:20]:
        say(f"wrong row {row.row_id}: {', '.join(row.fields)}; is {row.found_status}, should be {row.expected_status}")
        for value in row.values:
            say(f"    {value}")
    return {
        "verdict": "exact" if exact else "differs",
        "seed": seed,
        "faults": sum(tally.faults.values()),
        "by_kind": dict(sorted(tally.faults.items())),
        "recovery_median_s": round(statistics.median(tally.recoveries_s), 1) if tally.recoveries_s else None,
        "recovery_max_s": round(max(tally.recoveries_s), 1) if tally.recoveries_s else None,
        "recipients": len(verdict.statuses) and sum(verdict.statuses.values()),
        "messages_sent": verdict.messages_accepted,
        "webhooks_acknowledged": result.webhooks,
        "statuses_said": int(found.simulator.state()["statuses_said"]),
        "lost": lost,
        "rows_wrong": len(verdict.wrong_rows),
        "counters_wrong": len(verdict.wrong_counters),
        "double_sends": verdict.double_sends,
        "unknown": result.unknown_ever,
        "unknown_healed": result.judged.healed,
        "unknown_left": result.unknown_left,
        "healed_median_s": healing.median_s(),
        "healed_max_s": healing.max_s(),
        "restarts": {name: n for name in found.supervisor.names() if (n := found.supervisor.restarts_of(name))},
        "failures": failures,
    }


def say(line: str) -> None:
    """One line, with its time."""
    print(time.strftime("%H:%M:%S"), line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
