"""The keys by which an operator names a breaker."""

import pytest

from domain.breakers import Scope
from operations.breakers import InvalidKey, named_key


@pytest.mark.parametrize(
    ("scope", "text", "key"),
    [
        (Scope.ACCOUNT, "", ""),
        (Scope.ENDPOINT, "", ""),
        (Scope.NUMBER, "1055", "1055"),
        (Scope.TEMPLATE, "promo/en_US", "promo/en_US"),
        (Scope.RECIPIENT, "1055/4917112345678", "1055/4917112345678"),
        (Scope.RECIPIENT, "1055/+52 1 55 1234 5678", "1055/525512345678"),
        (Scope.RECIPIENT, "1055/DE.abcdef123456", "1055/user:DE.abcdef123456"),
    ],
)
def test_an_operator_names_a_breaker(scope: Scope, text: str, key: str) -> None:
    assert named_key(scope, text) == key


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (Scope.ACCOUNT, "1"),
        (Scope.ENDPOINT, "1"),
        (Scope.NUMBER, ""),
        (Scope.TEMPLATE, "promo"),
        (Scope.TEMPLATE, "/en"),
        (Scope.RECIPIENT, "4917112345678"),
        (Scope.RECIPIENT, "1055/"),
        (Scope.RECIPIENT, "1055/nobody"),
    ],
)
def test_a_text_that_names_no_breaker_is_refused(scope: Scope, text: str) -> None:
    with pytest.raises(InvalidKey):
        named_key(scope, text)
