"""Every failure, skip and pause has words for a marketer."""

import pytest

from api.pages.advice import CLASS_WORDS, failure_lines, pause_text, skip_lines
from domain.error_codes import ErrorClass
from domain.stats import OTHER
from schemas.reasons import FailureReason, PauseReason, SkipReason


def test_each_class_of_errors_has_advice() -> None:
    assert set(CLASS_WORDS) == set(ErrorClass)
    assert all(advice.endswith(".") for _, advice in CLASS_WORDS.values())


def test_the_most_frequent_failure_comes_first() -> None:
    lines = failure_lines({"131026": 3, "131042": 7, "131049": 0})
    assert [(each.code, each.count, each.title) for each in lines] == [
        ("131042", 7, "The account is stopped"),
        ("131026", 3, "Not reachable"),
    ]


@pytest.mark.parametrize(
    ("code", "can_repeat"),
    [("131042", True), ("132000", True), ("131026", False), ("131049", False), ("7777777", True)],
)
def test_a_failure_whose_cause_can_be_removed_can_be_sent_again(code: str, can_repeat: bool) -> None:
    [line] = failure_lines({code: 1})
    assert line.can_repeat is can_repeat


@pytest.mark.parametrize("code", [*FailureReason, OTHER, "unknown"])
def test_a_failure_without_a_code_of_meta_has_advice_too(code: str) -> None:
    [line] = failure_lines({code: 1})
    assert line.title
    assert line.advice
    assert not line.can_repeat, "only codes of Meta can be named to the API"


def test_skips_and_pauses_have_their_meaning() -> None:
    skips = skip_lines({each.value: 1 for each in SkipReason} | {"of_the_future": 1})
    assert all(each.meaning for each in skips)
    assert pause_text("operator") == "by an operator"
    assert all(pause_text(each.value) != each.value for each in PauseReason)
    assert pause_text("too_many_failures: 20 of 50 people failed") == "20 of 50 people failed"
    assert pause_text("legal: they called") == "legal: they called"
    assert pause_text("legal asked us") == "legal asked us"
    assert pause_text(None) == ""
