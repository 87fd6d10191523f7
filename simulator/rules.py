"""Finds the rule of a message without reading all rules: by number first, then by the longest ending."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulator.config import Rule


class RuleBook:
    """The current rules, indexed. Of equally exact rules the latest one applies."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules: list[Rule] = []
        self.by_number: dict[str, list[Rule]] = {}
        self.by_suffix: dict[str, list[Rule]] = {}
        self.for_all: list[Rule] = []
        self.suffix_lengths: list[int] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Add a rule."""
        self.rules.append(rule)
        for number in rule.numbers:
            self.by_number.setdefault(number.lstrip("+"), []).insert(0, rule)
        if rule.suffix is not None:
            self.by_suffix.setdefault(rule.suffix, []).insert(0, rule)
            self.suffix_lengths = sorted({len(suffix) for suffix in self.by_suffix}, reverse=True)
        elif not rule.numbers:
            self.for_all.insert(0, rule)

    def clear(self) -> None:
        """Remove all rules."""
        self.rules.clear()
        self.by_number.clear()
        self.by_suffix.clear()
        self.for_all.clear()
        self.suffix_lengths = []

    def rule_of(self, number: str, template: str | None, nth: int) -> Rule | None:
        """The rule for this post of a message to a number (digits only)."""
        found = first_match(self.by_number.get(number, ()), template, nth)
        for length in self.suffix_lengths:
            if found is not None:
                return found
            found = first_match(self.by_suffix.get(number[-length:], ()), template, nth)
        return found or first_match(self.for_all, template, nth)


def first_match(rules: Sequence[Rule], template: str | None, nth: int) -> Rule | None:
    """The first rule for this template and post."""
    for rule in rules:
        if (rule.template is None or rule.template == template) and (rule.posts is None or nth <= rule.posts):
            return rule
    return None
