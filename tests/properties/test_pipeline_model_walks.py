"""The same world walked cheaply by seed: many steps with all rules on, and a counterexample for each rule that is off.

A rule without which nothing breaks would be a rule that nobody needs, or that the model does not see.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.properties.pipeline.rules import NAMES, RULES
from tests.properties.pipeline.walks import first_counterexample

STEPS = 40
WALKS = 1000
WALKS_MAX = 4000
"""Most rules are missed within 100 walks; a walk takes 2 ms."""

BROKEN_BY: dict[str, str] = {
    "pk": "G3: a second post|budget: ",
    "due": "G3: released again",
    "refuse": "budget: given back 0|unknown, although|G3",
    "fresh": "G6",
    "issue": "G6",
    "settle": "unknown, although",
    "repub": "stuck in queued",
    "accbits": "stuck in queued|accepted and never failed",
    "cancel": "stuck in|failed and due|unknown and due",
    "reopen": "stuck in queued|failed and due|unknown and due",
    "token": "unknown, although",
    "skipnew": "budget: given back 0|stuck in|failed and due|unknown and due",
    "late": "unknown, although",
    "parking": "G2",
    "outbox": "an outcome that is never told|stuck in queued",
    "forget": "budget: given back|stuck in queued",
    "hidden": "budget: given back twice|stuck in queued",
    "lost": "unknown, although",
}
"""What breaks where the rule is off: the start of the violation."""


@pytest.mark.parametrize("part", range(2))
def test_no_walk_breaks_an_invariant(part: int) -> None:
    assert first_counterexample(RULES, range(part * WALKS, (part + 1) * WALKS), STEPS) is None


def test_every_rule_is_tried_without() -> None:
    assert set(BROKEN_BY) == set(NAMES)


@pytest.mark.parametrize("rule", NAMES)
def test_each_rule_has_a_counterexample_without_it(rule: str) -> None:
    found = first_counterexample(replace(RULES, **{rule: False}), range(WALKS_MAX), STEPS)
    assert found is not None
    assert re.match(BROKEN_BY[rule], found), found
