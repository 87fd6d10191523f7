"""Breakers: when they open, what they let through, and what closes them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.breakers import (
    CLOSED,
    FOREIGN_MAX,
    RECENT_BAD_MAX,
    RECENT_SIZE,
    STREAK_MAX,
    TRIAL_SENDS,
    Breaker,
    Probe,
    ProbePauses,
    Scope,
    ScopeSignal,
    Signal,
    Trial,
    holds,
    letters,
    permits_probe,
    recovered_share,
    reset,
    step,
    try_template,
)
from tests.support.boundaries import OPENINGS, PAUSES_OF_PROBES, PROBE_CASES, STEPPED_AT, ProbeCase

START = datetime(2026, 11, 26, tzinfo=UTC)
PAUSES = ProbePauses()
SOMEBODY = UUID(int=1)

observed = st.builds(
    ScopeSignal, st.sampled_from(Signal), st.none() | st.integers(0, 200_000), st.just("why"), st.booleans()
)
gaps = st.integers(0, 400)
histories = st.lists(st.tuples(observed, gaps), max_size=60)


def after(signals: str, breaker: Breaker = CLOSED, now: datetime = START) -> Breaker:
    for letter in signals:
        breaker = step(breaker, ScopeSignal(Signal(letter), 7, "why"), now, PAUSES)
    return breaker


def walked(history: list[tuple[ScopeSignal, int]]) -> tuple[Breaker, datetime]:
    breaker, now = CLOSED, START
    for each, gap_s in history:
        now += timedelta(seconds=gap_s)
        breaker = step(breaker, each, now, PAUSES)
    return breaker, now


@pytest.mark.parametrize(("signals", "is_open"), OPENINGS)
def test_what_opens_a_breaker(signals: str, is_open: bool) -> None:
    assert after(signals).is_open == is_open


@pytest.mark.parametrize(
    ("signals", "counts"),
    [
        ("bb", (2, 0, 0b11)),
        ("bf", (2, 1, 0b11)),
        ("bfg", (0, 0, 0b110)),
        ("gbgb", (1, 0, 0b0101)),
        ("bnr", (1, 0, 0b1)),
        ("b" + "g" * 20, (0, 0, 0)),
    ],
)
def test_what_a_closed_breaker_counts(signals: str, counts: tuple[int, int, int]) -> None:
    breaker = after(signals)
    assert (breaker.streak, breaker.foreign, breaker.recent) == counts


@pytest.mark.parametrize(("signal", "needs_human"), [("o", False), ("h", True)])
def test_an_opened_breaker_states_why_since_when_and_when_a_probe_goes_out(signal: str, needs_human: bool) -> None:
    assert after("bfbf" + signal) == Breaker(
        opened_at=START, reason="why", code=7, needs_human=needs_human, pause_s=5.0,
        probe_at=START + timedelta(seconds=5),
    )  # fmt: skip


def test_an_accepted_probe_leaves_the_pause_and_the_time_of_closing() -> None:
    probing = Breaker(opened_at=START, reason="why", code=7, pause_s=20, probe=Probe(SOMEBODY, 1, START))
    closed = step(probing, ScopeSignal(Signal.GOOD, is_probe=True), START + timedelta(seconds=3), PAUSES)
    assert closed == Breaker(pause_s=20, closed_at=START + timedelta(seconds=3))


def test_an_open_breaker_shows_the_first_code_that_needs_a_human() -> None:
    opened = after("o")
    human = step(opened, ScopeSignal(Signal.HUMAN, 190, "token"), START, PAUSES)
    assert (human.needs_human, human.code, human.reason) == (True, 190, "token")
    assert step(human, ScopeSignal(Signal.HUMAN, 368, "later"), START, PAUSES) == human
    assert step(opened, ScopeSignal(Signal.OPEN, 9, "other"), START, PAUSES) == opened


def test_the_outcomes_of_other_messages_change_no_open_breaker() -> None:
    opened = replace(after("o"), probe=Probe(SOMEBODY, 1, START))
    assert {after(signal, opened, START + timedelta(seconds=9)) for signal in "gnbfro"} == {opened}


def test_an_operator_lets_a_probe_out_at_once_and_the_pauses_begin_again() -> None:
    opened, now = replace(after("h"), pause_s=160.0), START + timedelta(hours=1)
    assert reset(opened, now) == replace(opened, needs_human=False, pause_s=0.0, probe_at=now, opened_at=now)
    failed = step(reset(opened, now), ScopeSignal(Signal.BAD, is_probe=True), now, PAUSES)
    assert failed.pause_s == PAUSES.first_s
    assert reset(CLOSED, now) == CLOSED


def test_the_pauses_are_divided_by_the_time_scale() -> None:
    assert ProbePauses(5.0, 300.0).scaled(10.0) == ProbePauses(0.5, 30.0)


def test_only_a_code_for_a_human_needs_one() -> None:
    assert [after(signals).needs_human for signals in ("h", "o", "fff", "bbbbb")] == [True, False, False, False]
    assert after("oh").needs_human, "an open breaker learns of it too"


@given(histories)
def test_every_signal_has_a_next_state_with_its_counts_in_bounds(history: list[tuple[ScopeSignal, int]]) -> None:
    breaker, _ = walked(history)
    assert 0 <= breaker.recent < 1 << RECENT_SIZE
    if breaker.is_open:
        assert breaker.probe_at is not None
        assert breaker.pause_s <= PAUSES.max_s
    else:
        assert breaker.streak < STREAK_MAX
        assert breaker.foreign < FOREIGN_MAX
        assert breaker.recent.bit_count() < RECENT_BAD_MAX


@given(histories, st.sampled_from(Signal), st.booleans(), gaps)
def test_only_an_accepted_probe_closes(
    history: list[tuple[ScopeSignal, int]], signal: Signal, is_probe: bool, gap_s: int
) -> None:
    breaker, now = walked(history)
    now += timedelta(seconds=gap_s)
    later = step(breaker, ScopeSignal(signal, is_probe=is_probe), now, PAUSES)
    if breaker.is_open:
        assert later.is_open != (is_probe and signal is Signal.GOOD)


@given(histories, gaps)
def test_time_alone_changes_nothing_where_a_human_is_needed(history: list[tuple[ScopeSignal, int]], gap_s: int) -> None:
    breaker, now = walked(history)
    if breaker.needs_human:
        assert not permits_probe(breaker, now + timedelta(seconds=gap_s, days=400))
        assert permits_probe(reset(breaker, now), now)


@given(histories, st.integers(0, 60), st.integers(0, 60))
def test_one_probe_at_a_time(history: list[tuple[ScopeSignal, int]], lease_s: int, waited_s: int) -> None:
    breaker, now = walked(history)
    now += timedelta(seconds=PAUSES.max_s)
    if not breaker.is_open or breaker.needs_human:
        return
    assert permits_probe(breaker, now)
    taken = Breaker(
        opened_at=breaker.opened_at,
        probe_at=breaker.probe_at,
        probe=Probe(SOMEBODY, 3, now + timedelta(seconds=lease_s)),
    )
    assert permits_probe(taken, now + timedelta(seconds=waited_s)) == (waited_s > lease_s)
    assert not holds(taken, SOMEBODY, 3)
    assert holds(taken, SOMEBODY, 4)
    assert holds(taken, UUID(int=2), 3)


@pytest.mark.parametrize("case", PROBE_CASES)
def test_what_a_breaker_lets_through(case: ProbeCase) -> None:
    breaker = case.breaker(START)
    assert permits_probe(breaker, START) == case.permits
    assert holds(breaker, UUID(int=2), 1) == case.holds_others
    assert holds(breaker, SOMEBODY, 2) == case.holds_others, "another attempt is another message"
    assert holds(breaker, SOMEBODY, 1) == case.holds_probe


def test_a_probe_may_go_out_at_its_time_and_not_before() -> None:
    breaker = Breaker(opened_at=START, probe_at=START + timedelta(seconds=5))
    assert not permits_probe(breaker, START + timedelta(seconds=4.999))
    assert permits_probe(breaker, START + timedelta(seconds=5))


def test_the_pauses_between_probes_double_up_to_five_minutes() -> None:
    breaker, pauses = after("h"), []
    for _ in range(9):
        breaker = step(breaker, ScopeSignal(Signal.BAD, is_probe=True), START, PAUSES)
        pauses.append(breaker.pause_s)
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300, 300]
    assert breaker.probe_at == START + timedelta(seconds=300)


def test_a_probe_that_proves_nothing_frees_its_place_and_keeps_the_pause() -> None:
    probing = Breaker(opened_at=START, pause_s=20, probe_at=START, probe=Probe(SOMEBODY, 1, START))
    later = step(probing, ScopeSignal(Signal.NEUTRAL, is_probe=True), START, PAUSES)
    assert (later.probe, later.pause_s, later.probe_at) == (None, 20, START + timedelta(seconds=20))


@pytest.mark.parametrize(("breaker", "observed", "pause_s"), PAUSES_OF_PROBES)
def test_the_pause_before_the_next_probe(breaker: Breaker, observed: ScopeSignal, pause_s: float) -> None:
    assert step(breaker, observed, STEPPED_AT, PAUSES).pause_s == pause_s


def test_the_rate_recovers_gradually() -> None:
    shares = [recovered_share(START, START + timedelta(seconds=s)) for s in (-5, 0, 30, 60, 900)]
    assert shares == [0.05, 0.05, pytest.approx(0.525), 1.0, 1.0]
    assert recovered_share(None, START) == 1.0


# ------------------------------------------------------------------------------------------------------------ the trial


def tried(signals: str, codes: list[int] | None = None) -> list[bool]:
    trial, opened = Trial(), []
    for place, letter in enumerate(signals):
        trial, opens = try_template(trial, Signal(letter), codes[place] if codes else 132000)
        opened.append(opens)
    return opened


def test_the_first_ten_sends_refused_with_one_code_open_the_template() -> None:
    assert tried("r" * TRIAL_SENDS) == [False] * 9 + [True]


@pytest.mark.parametrize("signals", ["g" + "r" * 30, "rrrrg" + "r" * 30])
def test_a_template_of_which_a_message_was_accepted_is_not_opened(signals: str) -> None:
    assert not any(tried(signals))


def test_two_codes_are_two_mistakes_of_rows() -> None:
    assert not any(tried("r" * 30, [132000] * 5 + [131009] * 25))
    assert not any(tried("r" * 30, [132000] + [131009] * 29))


def test_what_is_said_of_persons_does_not_count() -> None:
    assert tried("rrrrrnnnnnrrrrr")[-1]


def test_letters_are_in_the_order_of_the_scopes() -> None:
    assert letters({Scope.ENDPOINT: Signal.GOOD, Scope.TEMPLATE: Signal.HUMAN}) == "nhnng"
