"""The schedule of faults. It depends only on the seed, so a failing seed can be run again. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.faults import disturbances, injections
from tests.faults.injections import Injection
from tests.faults.world import KINDS

SHORTEST_S, LONGEST_S = 3.0, 15.0
OUTAGE_S = 40.0
"""The length of an occasional outage of a dependency, longer than any timeout."""
LONG_SHARE = 0.15
PLAIN: dict[str, Injection] = {
    "kill kafka": injections.kill_kafka,
    "kill postgres": injections.kill_postgres,
    "postgres comes back late": injections.kill_postgres_and_restart_slowly,
    "freeze between claim and post": lambda world, campaign: injections.freeze_claimed(world, campaign)[0],
    "rebalance": disturbances.rebalance,
    "twin sinks": disturbances.twin,
    "storm of duplicates": disturbances.storm,
    "poison": disturbances.poison,
    "lower limit": disturbances.lower_limit,
    "wrong token": lambda world, campaign: injections.answer_wrongly(
        world, campaign, "reject", {"code": 190}, SHORTEST_S
    ),
    "another server": lambda world, campaign: injections.answer_wrongly(world, campaign, "foreign", {}, SHORTEST_S),
    "no answers": lambda world, campaign: injections.answer_wrongly(world, campaign, "hang", {}, SHORTEST_S),
}
"""Faults without random parameters."""
WEIGHTS = (4, 3, 3, 2, 2, 1, 0.5, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1, 0.5, 0.5, 0.5)
PAUSE_S = (1.0, 6.0)
"""The limits of the random pause between a recovery and the next fault."""


@dataclass(frozen=True)
class Planned:
    """One fault of the schedule."""

    name: str
    pause_s: float
    inject: Injection

    @property
    def kind(self) -> str:
        """The name without its numbers."""
        return self.name if self.name in PLAIN else " ".join(self.name.split()[:2])

    @property
    def delays_posts(self) -> bool:
        """Whether what was posted may be received late: a process is frozen, or the network of the Cloud API waits."""
        return "freeze" in self.name or "cloud" in self.name


def next_fault(rng: random.Random) -> Planned:
    """Draw the next fault. Equal seeds give the same draws in the same order."""
    pause_s = rng.uniform(*PAUSE_S)
    kind = rng.choice(KINDS)
    dependency = rng.choice(("kafka", "postgres", "cloud"))
    seconds = rng.uniform(SHORTEST_S, LONGEST_S)
    if rng.random() < LONG_SHARE and dependency != "cloud":
        seconds = OUTAGE_S
    by_s = rng.uniform(0.05, 0.8)
    match rng.choices(("kill", "stop", "freeze", "cut", "hang", "delay", "crash", *PLAIN), WEIGHTS)[0]:
        case "kill":
            return Planned(f"kill {kind}", pause_s, lambda w, c: injections.kill_all(w, c, kind))
        case "stop":
            return Planned(f"stop {kind}", pause_s, lambda w, c: injections.stop_all(w, c, kind))
        case "freeze":
            return Planned(
                f"freeze {kind} {seconds:.0f} s", pause_s, lambda w, c: injections.freeze_one(w, c, kind, seconds)
            )
        case "crash":
            stage = rng.choice(tuple(disturbances.CRASHING))
            return Planned(f"crash {stage}", pause_s, lambda w, c: disturbances.crash(w, c, stage))
        case plain if plain in PLAIN:
            return Planned(plain, pause_s, PLAIN[plain])
        case "cut":
            return Planned(
                f"cut {dependency} {seconds:.0f} s", pause_s, lambda w, c: injections.cut_off(w, c, dependency, seconds)
            )
        case "hang":
            return Planned(
                f"hang {dependency} {seconds:.0f} s", pause_s, lambda w, c: injections.hang(w, c, dependency, seconds)
            )
        case _:
            return Planned(
                f"delay {dependency} by {by_s:.1f} s for {seconds:.0f} s",
                pause_s,
                lambda w, c: injections.delay(w, c, dependency, seconds, by_s),
            )
