"""Breakers as operators name them."""

from __future__ import annotations

from domain.breakers import Scope


def key_problem(scope: Scope, key: str) -> str | None:
    """What is wrong with a key that an operator gave; None if it may name a breaker."""
    match scope:
        case Scope.ACCOUNT | Scope.ENDPOINT:
            return f"{scope} has no key: there is one of it" if key else None
        case Scope.NUMBER:
            return None if key else "give the id of the number, as in phone_number_id of a campaign"
        case Scope.TEMPLATE:
            template, _, language = key.partition("/")
            return None if template and language else "give the template and its language, such as my_template/en_US"
        case Scope.RECIPIENT:
            number, _, phone = key.partition("/")
            return None if number and phone else "give the id of the number and the phone number, as ID/PHONE"
