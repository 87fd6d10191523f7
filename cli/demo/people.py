"""The recipients of the demo: numbers generated from the seed, all different and valid. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

AREA_CODES = (204, 236, 250, 306, 343, 403, 416, 418, 437, 506, 514, 587, 604, 613, 647, 705, 778, 902)
"""Area codes of Canada. The numbers must be valid, and only the simulator receives them. Numbers of the United States
get no marketing messages (131049)."""
NAMES = ("Ada", "Björn", "Chinwe", "Đặng", "Émile", "Fatima", "Gökçe", "Hana")
WITH_PARAMETERS_EVERY = 4
OPTED_OUT_EVERY = 100


@dataclass(frozen=True, slots=True)
class Person:
    """One recipient."""

    number: str
    parameters: tuple[str, ...]
    opted_out: bool


def people(count: int, seed: int) -> list[Person]:
    """Generate recipients. The same seed gives the same ones."""
    rng = random.Random(seed)  # noqa: S311 - numbers for a simulation
    numbers: dict[str, None] = {}
    while len(numbers) < count:
        exchange = rng.randint(220, 989)
        if exchange % 100 == 11 or exchange == 555:  # service codes, and the exchange reserved for fiction
            continue
        numbers[f"1{rng.choice(AREA_CODES)}{exchange}{rng.randint(0, 9999):04d}"] = None
    return [_person(index, number, rng) for index, number in enumerate(numbers)]


def _person(index: int, number: str, rng: random.Random) -> Person:
    parameters = (rng.choice(NAMES), str(rng.randint(5, 50))) if index % WITH_PARAMETERS_EVERY == 0 else ()
    return Person(number, parameters, opted_out=index % OPTED_OUT_EVERY == OPTED_OUT_EVERY // 2)
