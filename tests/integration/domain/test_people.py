"""People: `person_of` in SQL gives the key that domain/people.py gives, for every spelling."""

from __future__ import annotations

import random
import re

import psycopg

from domain.people import ALIASES, person_of

SEED = 20260205
NUMBERS_PER_ALIAS = 400


def near(pattern: str, dice: random.Random) -> str:
    """A number that begins as the pattern does and has about its length: it may match, and it may just miss."""
    start = re.sub(r"[^0-9].*", "", pattern.replace("(", "").removeprefix("^"))
    groups = sum(int(count) for count in re.findall(r"\{([0-9]+)\}", pattern))
    length = max(7, min(15, len(start) + groups + dice.choice([-1, 0, 0, 0, 1, 1, 2, 3])))
    digits = start + "".join(dice.choice("0123456789") for _ in range(length))
    return digits[:length]


def test_both_rules_give_the_same_key(database_url: str) -> None:
    dice = random.Random(SEED)
    numbers = [near(alias.pattern, dice) for alias in ALIASES for _ in range(NUMBERS_PER_ALIAS)]
    areas = ["11", "220", "2202", "341", "351", "3515", "299", "2901"]
    for _ in range(NUMBERS_PER_ALIAS):
        area, nine = dice.choice(areas), dice.choice(["", "9"])
        numbers.append(f"54{nine}{area}15" + "".join(dice.choice("0123456789") for _ in range(10 - len(area))))
    numbers += ["", "user:US.13491208655302741918", "+5215500001234", "14695550124"]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT n, person_of(n) FROM unnest(%s::text[]) AS n", [numbers]).fetchall()
    assert {number: key for number, key in rows if key != person_of(number)} == {}
    for alias in ALIASES:
        assert sum(alias.apply(number) is not None for number, _ in rows) > NUMBERS_PER_ALIAS / 50, alias
