"""The explained survivors: changes of `domain/` that no test can notice, each with its reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

EXPLAINED = Path(__file__).with_name("explained.toml")


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutation that no test noticed. `name` is that of mutmut, such as `domain.facts.x_merge__mutmut_3`."""

    name: str
    removed: str
    """The lines of the code that it replaces."""
    added: str

    @property
    def module(self) -> str:
        """The module of the code, such as `domain.facts`."""
        return self.name.rpartition(".")[0]

    def __str__(self) -> str:
        """The name and the changed lines."""
        return f"{self.name}\n- {self.removed}\n+ {self.added}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why the mutations of one text survive. `before` is a text of the code, and `after` a text of the mutation."""

    module: str
    before: str
    reason: str
    after: str = ""

    def covers(self, survivor: Survivor) -> bool:
        """Whether this is the reason for which it survived."""
        is_here = self.module == survivor.module and self.before in survivor.removed
        return is_here and self.after in survivor.added


def read_explanations(file: Path = EXPLAINED) -> list[Explanation]:
    """Read the list. Raises TypeError for an entry with other fields."""
    return [Explanation(**entry) for entry in tomllib.loads(file.read_text(encoding="utf-8"))["explained"]]


def unexplained(
    survivors: Iterable[Survivor], explanations: Iterable[Explanation]
) -> tuple[list[Survivor], list[Explanation]]:
    """The survivors without an explanation, and the explanations that explain none of them."""
    survivors, explanations = list(survivors), list(explanations)
    open_ones = [one for one in survivors if not any(each.covers(one) for each in explanations)]
    idle = [each for each in explanations if not any(each.covers(one) for one in survivors)]
    return open_ones, idle
