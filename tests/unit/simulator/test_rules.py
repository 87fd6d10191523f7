"""Of several rules, exactly one applies to a post."""

from __future__ import annotations

from simulator.config import Rule
from simulator.rules import RuleBook


def test_the_most_exact_rule_applies() -> None:
    book = RuleBook(
        [
            Rule(outcome="held"),
            Rule(suffix="34", outcome="hang"),
            Rule(suffix="1234", outcome="cut_before", posts=2),
            Rule(numbers=frozenset({"+16505551234"}), outcome="cut_after", template="promo"),
        ]
    )
    found = [
        book.rule_of("16505551234", "promo", "1", 1),
        book.rule_of("16505551234", "other", "1", 2),
        book.rule_of("16505551234", "other", "1", 3),
        book.rule_of("16505551299", None, "1", 1),
    ]
    assert [rule.outcome for rule in found if rule] == ["cut_after", "cut_before", "hang", "held"]


def test_of_two_equal_rules_the_latest_applies_and_clearing_removes_all() -> None:
    book = RuleBook([Rule(suffix="1", outcome="hang"), Rule(suffix="1", outcome="held")])
    rule = book.rule_of("4911", None, "1", 1)
    assert rule is not None
    assert rule.outcome == "held"
    book.remove()
    assert book.rule_of("4911", None, "1", 1) is None


def test_a_rule_can_be_for_a_sending_number_and_is_removed_by_its_name() -> None:
    book = RuleBook([Rule(outcome="hang", phone_number_ids=frozenset({"1"}), name="outage"), Rule(suffix="9")])
    assert book.rule_of("4911", None, "2", 1) is None
    rule = book.rule_of("4911", None, "1", 1)
    assert rule is not None
    assert rule.outcome == "hang"
    book.remove("outage")
    assert book.rule_of("4911", None, "1", 1) is None
    assert book.rule_of("4919", None, "1", 1) is not None
