"""The recipients of the demo: numbers generated from the seed, all different and valid. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

AREA_CODES = (202, 206, 212, 213, 303, 305, 312, 404, 415, 469, 512, 602, 617, 702, 713, 818, 917, 945)
"""Area codes of the United States. The numbers must be valid, and only the simulator receives them."""
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
