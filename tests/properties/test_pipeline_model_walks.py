"""Seeded walks of the pipeline's model: no violation with all rules, and a counterexample without each rule.

A rule without a counterexample is unnecessary, or the model is incomplete.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.properties.pipeline.rules import LIMITS, NAMES, RULES
from tests.properties.pipeline.walks import first_counterexample

STEPS = 40
WALKS = 1000
LIMITED_WALKS = 60
"""A limited walk takes 15 ms."""
WALKS_MAX = 4000
"""Most counterexamples need fewer than 100 walks. A walk takes 2 ms."""

BROKEN_BY: dict[str, str] = {
    "pk": "G3: a second post|budget: ",
    "due": "G3: released again",
    "refuse": "budget: returned 0|unknown, although|G3",
    "fresh": "G6",
    "issue": "G6",
    "settle": "unknown, although",
    "repub": "stuck in queued",
    "accbits": "stuck in queued|accepted and never failed",
    "cancel": "stuck in|failed and due|unknown and due",
    "reopen": "stuck in queued|failed and due|unknown and due",
    "token": "unknown, although",
    "skipnew": "budget: returned 0|stuck in|failed and due|unknown and due",
    "late": "unknown, although",
    "parking": "G2",
    "outbox": "an outcome is never published|stuck in queued",
    "forget": "budget: returned|stuck in queued",
    "hidden": "budget: returned twice|stuck in queued",
    "held": "G10",
    "probe": "G10",
    "lost": "unknown, although",
    "marks": "people: a post a minute after",
    "links": "people: ",
    "waits": "G2: another order of the same events gives other people",
    "twins": "people: a second message",
    "cap": "cap: ",
    "window": "window: ",
    "edit": "window: ",
    "day": "day: ",
    "people": "portfolio: more people",
    "back": "portfolio: an attempt",
}
"""For each rule, the start of the violations that its absence causes."""


@pytest.mark.parametrize("part", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_no_walk_breaks_an_invariant(part: int) -> None:
    assert first_counterexample(RULES, range(part * WALKS, (part + 1) * WALKS), STEPS) is None


@pytest.mark.parametrize("part", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))])
def test_no_walk_of_limited_campaigns_breaks_an_invariant(part: int) -> None:
    seeds = range(part * LIMITED_WALKS, (part + 1) * LIMITED_WALKS)
    assert first_counterexample(RULES, seeds, STEPS, is_limited=True) is None


def test_every_rule_has_an_expected_violation() -> None:
    assert set(BROKEN_BY) == set(NAMES)


RARE = {"hidden", "lost", "probe", "cap", "waits"}
"""Their counterexamples need hundreds of walks, which take seconds. `make test-all` searches for them."""


@pytest.mark.parametrize(
    "rule", [pytest.param(rule, marks=[pytest.mark.slow] if rule in RARE else []) for rule in NAMES]
)
def test_each_rule_has_a_counterexample_without_it(rule: str) -> None:
    rules, is_limited = replace(RULES, **{rule: False}), rule in LIMITS
    found = first_counterexample(rules, range(WALKS_MAX), STEPS, is_limited=is_limited)
    assert found is not None
    assert re.match(BROKEN_BY[rule], found), found
