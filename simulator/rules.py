"""Finds the rule of a message by an index: by its number, else by the longest suffix, else among the other rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulator.config import Rule


class RuleBook:
    """The current rules and their index. Among equally exact rules, the latest one applies."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules: list[Rule] = []
        self._by_number: dict[str, list[Rule]] = {}
        self._by_suffix: dict[str, list[Rule]] = {}
        self._for_all: list[Rule] = []
        self._suffix_lengths: list[int] = []
        for rule in rules:
            self.add(rule)

    def add(self, rule: Rule) -> None:
        """Add a rule."""
        self.rules.append(rule)
        for number in rule.numbers:
            self._by_number.setdefault(number.lstrip("+"), []).insert(0, rule)
        if rule.suffix is not None:
            self._by_suffix.setdefault(rule.suffix, []).insert(0, rule)
            self._suffix_lengths = sorted({len(suffix) for suffix in self._by_suffix}, reverse=True)
        elif not rule.numbers:
            self._for_all.insert(0, rule)

    def remove(self, name: str | None = None) -> None:
        """Remove the rules with this name, or all rules."""
        kept = [rule for rule in self.rules if name is not None and rule.name != name]
        self.rules, self._by_number, self._by_suffix, self._for_all, self._suffix_lengths = [], {}, {}, [], []
        for rule in kept:
            self.add(rule)

    def rule_of(self, number: str, template: str | None, phone_number_id: str, nth: int) -> Rule | None:
        """The rule for this post of a message from a number of the business to a person's number (digits only)."""
        if not self.rules:
            return None
        found = _first_match(self._by_number.get(number, ()), template, phone_number_id, nth)
        for length in self._suffix_lengths:
            if found is not None:
                return found
            found = _first_match(self._by_suffix.get(number[-length:], ()), template, phone_number_id, nth)
        return found or _first_match(self._for_all, template, phone_number_id, nth)


def _first_match(rules: Sequence[Rule], template: str | None, phone_number_id: str, nth: int) -> Rule | None:
    """The first rule that applies to this template, sending number and post."""
    for rule in rules:
        if (
            (rule.template is None or rule.template == template)
            and (not rule.phone_number_ids or phone_number_id in rule.phone_number_ids)
            and (rule.posts is None or nth <= rule.posts)
        ):
            return rule
    return None
