"""The keys by which an operator names a breaker."""

import pytest

from domain.breakers import Scope
from operations.breakers import key_problem


@pytest.mark.parametrize(
    ("scope", "key", "is_right"),
    [
        (Scope.ACCOUNT, "", True),
        (Scope.ACCOUNT, "1", False),
        (Scope.ENDPOINT, "", True),
        (Scope.NUMBER, "1055", True),
        (Scope.NUMBER, "", False),
        (Scope.TEMPLATE, "promo/en_US", True),
        (Scope.TEMPLATE, "promo", False),
        (Scope.TEMPLATE, "/en", False),
        (Scope.RECIPIENT, "1055/4917112345678", True),
        (Scope.RECIPIENT, "4917112345678", False),
    ],
)
def test_a_key_must_name_a_breaker(scope: Scope, key: str, is_right: bool) -> None:
    assert (key_problem(scope, key) is None) == is_right
