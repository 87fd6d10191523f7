"""Which fault comes when: drawn from the seed alone, so that a seed that fails is the same schedule again. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults import disturbances, strikes
from tests.faults.campaign import Struck, Underway
from tests.faults.world import KINDS, World

Strike = Callable[[World, Underway], Struck]
SHORTEST_S, LONGEST_S = 3.0, 15.0
OUTAGE_S = 40.0
"""Once in a while a dependency is away for longer than any timeout."""
LONG_SHARE = 0.15
PLAIN: dict[str, Strike] = {
    "kill kafka": strikes.kill_kafka,
    "kill postgres": strikes.kill_postgres,
    "postgres comes back late": strikes.kill_postgres_and_be_late,
    "freeze between claim and post": lambda world, underway: strikes.freeze_claimed(world, underway)[0],
    "rebalance": disturbances.rebalance,
    "twin sinks": disturbances.twin,
    "storm of duplicates": disturbances.storm,
    "poison": disturbances.poison,
}
"""Faults that need nothing drawn."""
WEIGHTS = (4, 3, 3, 2, 2, 1, 0.5, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
CALM_S = (1.0, 6.0)
"""Between a recovery and the next fault."""


@dataclass(frozen=True)
class Planned:
    """One fault of the schedule."""

    name: str
    calm_s: float
    strike: Strike

    @property
    def kind(self) -> str:
        """The name without its figures."""
        return self.name if self.name in PLAIN else " ".join(self.name.split()[:2])


def next_fault(dice: random.Random) -> Planned:
    """Draw one fault. Always as many draws as the kind needs, in the same order."""
    calm_s = dice.uniform(*CALM_S)
    kind = dice.choice(KINDS)
    dependency = dice.choice(("kafka", "postgres", "cloud"))
    seconds = dice.uniform(SHORTEST_S, LONGEST_S)
    if dice.random() < LONG_SHARE and dependency != "cloud":
        seconds = OUTAGE_S
    by_s = dice.uniform(0.05, 0.8)
    match dice.choices(("kill", "stop", "freeze", "cut", "hang", "delay", "crash", *PLAIN), WEIGHTS)[0]:
        case "kill":
            return Planned(f"kill {kind}", calm_s, lambda w, u: strikes.kill_all(w, u, kind))
        case "stop":
            return Planned(f"stop {kind}", calm_s, lambda w, u: strikes.stop_all(w, u, kind))
        case "freeze":
            return Planned(
                f"freeze {kind} {seconds:.0f} s", calm_s, lambda w, u: strikes.freeze_one(w, u, kind, seconds)
            )
        case "crash":
            stage = dice.choice(tuple(disturbances.CRASHING))
            return Planned(f"crash {stage}", calm_s, lambda w, u: disturbances.crash(w, u, stage))
        case plain if plain in PLAIN:
            return Planned(plain, calm_s, PLAIN[plain])
        case "cut":
            return Planned(
                f"cut {dependency} {seconds:.0f} s", calm_s, lambda w, u: strikes.take_away(w, u, dependency, seconds)
            )
        case "hang":
            return Planned(
                f"hang {dependency} {seconds:.0f} s", calm_s, lambda w, u: strikes.hang(w, u, dependency, seconds)
            )
        case _:
            return Planned(
                f"delay {dependency} by {by_s:.1f} s for {seconds:.0f} s",
                calm_s,
                lambda w, u: strikes.delay(w, u, dependency, seconds, by_s),
            )
