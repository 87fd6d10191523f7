"""Breakers as operators name them."""

from __future__ import annotations

from domain.breakers import Scope
from domain.phone_numbers import person_named
from domain.written_numbers import InvalidPhoneNumber


class InvalidKey(ValueError):
    """The text names no breaker of this scope. The message says what is wrong."""


def named_key(scope: Scope, text: str) -> str:
    """The key of the breaker that an operator named. A person may be written in any spelling. Raises InvalidKey."""
    match scope:
        case Scope.ACCOUNT | Scope.ENDPOINT:
            if text:
                raise InvalidKey(f"{scope} has no key: there is one of it")
        case Scope.NUMBER:
            if not text:
                raise InvalidKey("give the id of the number, as in phone_number_id of a campaign")
        case Scope.TEMPLATE:
            template, _, language = text.partition("/")
            if not (template and language):
                raise InvalidKey("give the template and its language, such as my_template/en_US")
        case Scope.RECIPIENT:
            return _pair(text)
    return text


def _pair(text: str) -> str:
    number, _, phone = text.partition("/")
    if not (number and phone):
        raise InvalidKey("give the id of the number and the phone number, as ID/PHONE")
    try:
        return f"{number}/{person_named(phone).person}"
    except InvalidPhoneNumber as refused:
        raise InvalidKey(f"the text after the slash is no phone number: {refused.reason}") from refused
