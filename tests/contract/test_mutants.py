"""The explained survivors are about the code as it is."""

from __future__ import annotations

import pytest

from tests.mutants.explained import Explanation, Survivor, read_explanations, unexplained
from tests.support.paths import ROOT


@pytest.mark.parametrize("explanation", read_explanations(), ids=lambda each: f"{each.module}: {each.before}")
def test_an_explanation_names_a_text_of_the_code_and_a_reason(explanation: Explanation) -> None:
    file = ROOT / f"{explanation.module.replace('.', '/')}.py"
    code = "\n".join(line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    assert explanation.before in code
    assert explanation.reason.endswith(".")


def test_an_explanation_covers_only_its_own_change_of_its_own_text() -> None:
    known = Explanation("domain.facts", "a.rank >= b.rank", "Two of one rank are equal.", after="a.rank > b.rank")
    covered = Survivor(
        "domain.facts.x__highest__mutmut_9", "return a if a.rank >= b.rank", "return a if a.rank > b.rank"
    )
    other_change = Survivor("domain.facts.x__highest__mutmut_8", covered.removed, "return a if a.rank <= b.rank")
    other_module = Survivor("domain.fold.x__highest__mutmut_9", covered.removed, covered.added)
    assert unexplained([covered, other_change, other_module], [known]) == ([other_change, other_module], [])
    assert unexplained([other_change], [known]) == ([other_change], [known])
