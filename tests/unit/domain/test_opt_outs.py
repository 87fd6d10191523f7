"""The message that an opt-out follows: a table of cases, and its laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.opt_outs import CLOCKS_DIFFER, FOLLOWS_WITHIN, ROUND_PAUSES_S, PersonalOptOut, followed
from domain.webhook_age import WEBHOOK_AGE_MAX_S

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
OWNERS = {"wamid.1": ONE, "wamid.2": TWO}

CASES: list[tuple[str, str, dict[UUID, datetime], UUID | None]] = [
    ("no message at all", "", {}, None),
    ("the only message", "", {ONE: NOON - HOUR}, ONE),
    ("the newest of two", "", {ONE: NOON - 2 * HOUR, TWO: NOON - HOUR}, TWO),
    ("of two at one moment the later recipient", "", {TWO: NOON - HOUR, ONE: NOON - HOUR}, TWO),
    ("three days before", "", {ONE: NOON - FOLLOWS_WITHIN}, ONE),
    ("more than three days before", "", {ONE: NOON - FOLLOWS_WITHIN - SECOND}, None),
    ("clocks differ", "", {ONE: NOON + CLOCKS_DIFFER}, ONE),
    ("a message after it", "", {ONE: NOON + CLOCKS_DIFFER + SECOND}, None),
    ("a message after it hides none before it", "", {ONE: NOON - HOUR, TWO: NOON + HOUR}, ONE),
    ("the named message, although another is newer", "wamid.1", {ONE: NOON - 2 * HOUR, TWO: NOON - HOUR}, ONE),
    ("the named message, however old", "wamid.1", {ONE: NOON - 100 * FOLLOWS_WITHIN}, ONE),
    ("a named message that is not ours", "wamid.9", {ONE: NOON - HOUR}, None),
]


@pytest.mark.parametrize(("wamid", "accepted", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_an_opt_out_follows_one_message(wamid: str, accepted: dict[UUID, datetime], expected: UUID | None) -> None:
    assert followed(PersonalOptOut(NOON, wamid), accepted, OWNERS) == expected


accepted_times = st.dictionaries(
    st.sampled_from([ONE, TWO, THREE]), st.integers(-80, 2).map(lambda hours: NOON + hours * HOUR)
)


@given(accepted_times, st.permutations([ONE, TWO, THREE]))
def test_the_order_in_which_messages_become_known_does_not_matter(
    accepted: dict[UUID, datetime], order: list[UUID]
) -> None:
    reordered = {recipient: accepted[recipient] for recipient in order if recipient in accepted}
    assert followed(PersonalOptOut(NOON), reordered, OWNERS) == followed(PersonalOptOut(NOON), accepted, OWNERS)


@given(accepted_times, st.integers(-80, 2).map(lambda hours: NOON + hours * HOUR))
def test_another_message_takes_the_opt_out_or_changes_nothing(accepted: dict[UUID, datetime], at: datetime) -> None:
    before = followed(PersonalOptOut(NOON), accepted, OWNERS)
    fourth = UUID(int=4)
    assert followed(PersonalOptOut(NOON), {**accepted, fourth: at}, OWNERS) in (before, fourth)


@given(accepted_times)
def test_other_messages_do_not_matter_to_one_that_is_named(accepted: dict[UUID, datetime]) -> None:
    assert followed(PersonalOptOut(NOON, "wamid.2"), accepted, OWNERS) == TWO


def test_the_rounds_outlast_late_webhooks_and_end_after_a_day() -> None:
    assert list(ROUND_PAUSES_S) == sorted(ROUND_PAUSES_S)
    assert sum(ROUND_PAUSES_S[:2]) > WEBHOOK_AGE_MAX_S
    assert ROUND_PAUSES_S[-1] == timedelta(days=1).total_seconds()
