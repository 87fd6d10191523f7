"""The recipients of the demo are valid, distinct and repeatable."""

from __future__ import annotations

import phonenumbers

from cli.demo.people import people


def test_numbers_are_valid_unique_and_repeatable() -> None:
    crowd = people(500, seed=3)
    assert crowd == people(500, seed=3)
    assert crowd != people(500, seed=4)
    assert len({person.number for person in crowd}) == 500
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(f"+{person.number}")) for person in crowd)
    assert sum(person.opted_out for person in crowd) == 5
    assert any(person.parameters for person in crowd)
