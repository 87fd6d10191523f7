"""The listed mutations: one changed text in one file, and the tests that must notice it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

LISTED = Path(__file__).with_name("mutations.toml")
LIMIT_S = 300.0
"""A test run that takes longer has noticed the mutation: a loop does not end, or a wait is never satisfied."""
FAILED, NO_TEST = 1, 5
"""The exit codes of pytest for failed tests and for a selection without a test."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace `before`, which occurs once in `file`, by `after`. One of `tests` must fail then."""

    file: str
    before: str
    after: str
    effect: str
    """The damage to the product, as a sentence."""
    tests: tuple[str, ...]


class Outcome(Enum):
    """The result of one mutation."""

    NOTICED = "noticed"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN (the tests could not run)"


def read_mutations(file: Path) -> list[Mutation]:
    """Read the list. Raises KeyError or TypeError for an entry with other fields."""
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def mutate(text: str, mutation: Mutation) -> str:
    """The changed text. Raises ValueError unless `before` occurs exactly once."""
    if (found := text.count(mutation.before)) != 1:
        raise ValueError(f"{mutation.file} has {mutation.before!r} {found} times; the list is out of date")
    return text.replace(mutation.before, mutation.after)


def try_mutation(tree: Path, mutation: Mutation) -> Outcome:
    """Run the tests on the changed tree, and change it back."""
    file = tree / mutation.file
    original = file.read_text(encoding="utf-8")
    file.write_text(mutate(original, mutation), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutation.tests]
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree)},
            timeout=LIMIT_S,
            capture_output=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome.NOTICED
    finally:
        file.write_text(original, encoding="utf-8")
    return {0: Outcome.SURVIVED, FAILED: Outcome.NOTICED}.get(done.returncode, Outcome.BROKEN)
