"""The consequences of error codes: the retry class and the backoff."""

import pytest

from domain.breakers import Scope
from domain.error_codes import ROWS, SCOPE_WIDE, TABLE, ErrorClass, ThrottleScope, codes_of, error_class, failure
from schemas.events import Failure, RetryClass


def _fail(code: int | None, *, attempt: int = 1, webhook: bool = False, scale: float = 1.0) -> Failure:
    return failure(code, "why", attempt=attempt, from_webhook=webhook, time_scale=scale)


def test_no_code_occurs_twice() -> None:
    assert len(TABLE) == len(ROWS)


def test_each_column_belongs_to_its_classes() -> None:
    """`scope` is read for throttles, `feeds` for problems at Meta, and `needs_human` for codes of a whole scope."""
    plain = {ErrorClass.HELD_BACK, ErrorClass.PERMANENT, ErrorClass.REQUEST}
    for row in ROWS:
        assert row.scope is ThrottleScope.NUMBER or row.error_class is ErrorClass.THROTTLE
        assert row.feeds is Scope.NUMBER or row.error_class is ErrorClass.TRANSIENT
        assert row.needs_human or row.error_class in SCOPE_WIDE
        assert row.base_s == 60 or row.error_class not in plain | SCOPE_WIDE


def test_the_backoff_of_transient_failures_grows_up_to_a_cap() -> None:
    waits = [_fail(131000, attempt=n).backoff_s for n in (1, 2, 3, 62)]
    assert waits == [60, 600, 3600, 3600]


@pytest.mark.parametrize("code", [131000, 130429, 131056])
def test_a_webhook_failure_waits_at_least_ten_minutes(code: int) -> None:
    assert _fail(code, webhook=True).backoff_s == 600
    assert _fail(code, attempt=8, webhook=True).backoff_s > 600


def test_131049_is_held_back_a_day_from_any_source() -> None:
    for webhook in (False, True):
        failed = _fail(131049, webhook=webhook)
        assert (failed.retry_class, failed.backoff_s) == (RetryClass.HELD_BACK, 86_400)


@pytest.mark.parametrize("kind", list(ErrorClass))
def test_only_retryable_classes_are_retried(kind: ErrorClass) -> None:
    expected = {
        ErrorClass.THROTTLE: RetryClass.BACKOFF,
        ErrorClass.TRANSIENT: RetryClass.BACKOFF,
        ErrorClass.HELD_BACK: RetryClass.HELD_BACK,
    }.get(kind, RetryClass.NEVER)
    failed = {_fail(row.code).retry_class for row in ROWS if row.error_class is kind}
    assert failed == {expected}


@pytest.mark.parametrize("webhook", [False, True])
def test_131049_is_permanent_for_numbers_of_the_calling_code_1(webhook: bool) -> None:
    classes = [
        failure(131049, "", attempt=1, from_webhook=webhook, time_scale=1, recipient=number).retry_class
        for number in ("14155550100", "491711234567", "")
    ]
    assert classes == [RetryClass.NEVER, RetryClass.HELD_BACK, RetryClass.HELD_BACK]


def test_a_failure_states_its_code_its_reason_and_its_consequence() -> None:
    never, backoff = Failure(code=131026, reason="why", retry_class=RetryClass.NEVER, backoff_s=0), RetryClass.BACKOFF
    assert _fail(131026) == never
    assert _fail(131000) == Failure(code=131000, reason="why", retry_class=backoff, backoff_s=60)
    assert _fail(131049) == Failure(code=131049, reason="why", retry_class=RetryClass.HELD_BACK, backoff_s=86_400)


@pytest.mark.parametrize(
    ("code", "waits"),
    [(131057, [120, 1200, 3600]), (134101, [600, 3600, 3600]), (2494100, [300, 3000, 3600]), (130429, [60, 600, 3600])],
)
def test_each_problem_has_its_own_first_backoff(code: int, waits: list[int]) -> None:
    assert [_fail(code, attempt=n).backoff_s for n in (1, 2, 3)] == waits


@pytest.mark.parametrize("code", [0, 2_147_483_647])
def test_a_code_at_the_limits_of_the_database_is_kept(code: int) -> None:
    assert _fail(code).code == code


def test_a_subcode_that_the_table_knows_decides() -> None:
    assert (error_class(100), error_class(100, 33)) == (ErrorClass.REQUEST, ErrorClass.NUMBER)
    assert (error_class(100, 34), error_class(131026, 33)) == (ErrorClass.REQUEST, ErrorClass.PERMANENT)
    assert error_class(None, 33) is ErrorClass.REQUEST


def test_an_unknown_code_is_one_of_the_request_unless_meta_calls_it_transient() -> None:
    assert error_class(999_999) is error_class(None) is ErrorClass.REQUEST
    assert error_class(999_999, transient_hint=True) is ErrorClass.TRANSIENT


def test_the_codes_of_some_classes() -> None:
    assert codes_of([ErrorClass.HELD_BACK]) == {131049}
    assert codes_of([ErrorClass.HELD_BACK, ErrorClass.THROTTLE]) == {131049, 4, 613, 80007, 80008, 130429, 131056}
    assert codes_of([]) == frozenset()


@pytest.mark.parametrize("code", [10**10, -1])
def test_a_code_that_the_database_cannot_store_counts_as_none(code: int) -> None:
    assert _fail(code).code is None


def test_unknown_codes_fail_the_row_unless_meta_calls_them_transient() -> None:
    assert _fail(999_999).retry_class is RetryClass.NEVER
    assert _fail(None).retry_class is RetryClass.NEVER
    hinted = failure(999_999, "", attempt=1, from_webhook=False, time_scale=1, transient_hint=True)
    assert (hinted.retry_class, hinted.backoff_s) == (RetryClass.BACKOFF, 60)
    assert error_class(131026, transient_hint=True) is ErrorClass.PERMANENT


def test_the_time_scale_divides_backoffs_but_leaves_a_second() -> None:
    assert _fail(131049, scale=100).backoff_s == 864
    assert _fail(131000, scale=100_000).backoff_s == 1


@pytest.mark.parametrize("code", [100, 131000])
def test_a_long_reason_is_cut_to_the_limit_of_an_event(code: int) -> None:
    failed = failure(code, "x" * 5000, attempt=1, from_webhook=False, time_scale=1)
    assert len(failed.reason) == 2000
