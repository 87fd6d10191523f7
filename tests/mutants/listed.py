"""The listed mutations: one changed text in one file, and the tests that must notice it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.mutants.definitions import Definition, newest_definitions

LISTED = Path(__file__).with_name("mutations.toml")
LIMIT_S = 300.0
"""A test run that takes longer has noticed the mutation: a loop does not end, or a wait is never satisfied."""
FAILED = 1
"""The exit code of pytest for failed tests, and for tests that could not start."""


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace `before` by `after`, in `file`, or in the newest definition of the SQL function `function`.

    `before` occurs there once. One of `tests` must fail then.
    """

    before: str
    after: str
    effect: str
    """The damage to the product, as a sentence."""
    tests: tuple[str, ...]
    file: str = ""
    function: str = ""

    @property
    def where(self) -> str:
        """The name of the place, for people."""
        return self.file or f"{self.function}()"


class Outcome(Enum):
    """The result of one mutation."""

    NOTICED = "noticed"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN (the tests could not run)"


def read_mutations(file: Path) -> list[Mutation]:
    """Read the list. Raises KeyError or TypeError for an entry with other fields."""
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def place_of(tree: Path, mutation: Mutation) -> Definition:
    """The part of a file that the mutation changes. Raises KeyError if no migration defines its function."""
    if mutation.function:
        return newest_definitions(tree)[mutation.function]
    file = Path(mutation.file)
    return Definition(file, 0, len((tree / file).read_text(encoding="utf-8")))


def mutate(tree: Path, mutation: Mutation) -> tuple[Path, str]:
    """The file to change and its changed text. Raises ValueError unless `before` occurs exactly once in its place."""
    place = place_of(tree, mutation)
    file = tree / place.file
    text = file.read_text(encoding="utf-8")
    part = text[place.start : place.end]
    if (found := part.count(mutation.before)) != 1:
        raise ValueError(
            f"{place.file}, {mutation.where}: {mutation.before!r} occurs {found} times. Correct the entry"
            f" {mutation.effect!r} in {LISTED.name}: a mutation changes one place of the present code."
        )
    return file, text[: place.start] + part.replace(mutation.before, mutation.after) + text[place.end :]


def failing_tests(tree: Path, mutations: Iterable[Mutation], servers: Mapping[str, str]) -> str:
    """The report on the named tests of the unchanged tree, if one of them fails. Their failures would mean nothing."""
    tests = dict.fromkeys(test for mutation in mutations for test in mutation.tests)
    done = _run(tree, tests, servers, limit_s=None)
    return done.stdout if done.returncode else ""


def try_mutation(tree: Path, mutation: Mutation, servers: Mapping[str, str]) -> Outcome:
    """Run the tests on the changed tree, and change it back. `servers`: the environment that names the servers."""
    file, changed = mutate(tree, mutation)
    original = file.read_text(encoding="utf-8")
    file.write_text(changed, encoding="utf-8")
    try:
        done = _run(tree, mutation.tests, servers, limit_s=LIMIT_S)
    except subprocess.TimeoutExpired:
        return Outcome.NOTICED
    finally:
        file.write_text(original, encoding="utf-8")
    return judge(done.returncode, done.stdout)


def judge(code: int, report: str) -> Outcome:
    """The outcome of a run of pytest. A test that could not start, as after an error in SQL, has noticed nothing."""
    if code == 0:
        return Outcome.SURVIVED
    summary = report.strip().rpartition("\n")[2]
    return Outcome.NOTICED if code == FAILED and " failed" in summary else Outcome.BROKEN


def _run(
    tree: Path, tests: Iterable[str], servers: Mapping[str, str], limit_s: float | None
) -> subprocess.CompletedProcess[str]:
    own = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tree), **servers}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env={**os.environ, **own},
        timeout=limit_s,
        capture_output=True,
        text=True,
        check=False,
    )
