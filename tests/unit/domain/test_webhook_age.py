"""The moment up to which webhooks are applied: never later than a webhook that is not, and the present when idle."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.webhook_age import AppliedMarks

START = datetime(2026, 1, 1, tzinfo=UTC)
PARTITIONS = 2


class Pipeline:
    """Webhooks, a reconciler and a sink, each of which may stop or go on at any moment."""

    def __init__(self) -> None:
        self.now = START
        self.raw: list[list[datetime]] = [[] for _ in range(PARTITIONS)]
        self.events: list[list[datetime]] = [[] for _ in range(PARTITIONS)]
        self.committed = [0] * PARTITIONS
        self.applied = [0] * PARTITIONS

    def act(self, step: int) -> None:
        """Acknowledge, reconcile or apply one record of a partition, or let time pass."""
        kind, partition = step % 4, step // 4 % PARTITIONS
        if kind == 0:
            self.raw[partition].append(self.now)
        elif kind == 1 and self.committed[partition] < len(self.raw[partition]):
            received_at = self.raw[partition][self.committed[partition]]
            self.events[step // 8 % PARTITIONS].append(received_at)  # first published, then acknowledged
            self.committed[partition] += 1
        elif kind == 2 and self.applied[partition] < len(self.events[partition]):
            self.applied[partition] += 1
        elif kind == 3:
            self.now += timedelta(seconds=1)

    def oldest_unapplied(self) -> datetime | None:
        """When the oldest webhook was acknowledged that is not applied."""
        waiting = [at for p in range(PARTITIONS) for at in self.raw[p][self.committed[p] :]]
        waiting += [at for p in range(PARTITIONS) for at in self.events[p][self.applied[p] :]]
        return min(waiting, default=None)


def ends(topic: str, records: list[list[datetime]]) -> dict[tuple[str, int], int]:
    return {(topic, partition): len(kept) for partition, kept in enumerate(records) if kept}


def passed(topic: str, offsets: list[int]) -> dict[tuple[str, int], int]:
    return {(topic, partition): offset for partition, offset in enumerate(offsets) if offset}


def look(pipeline: Pipeline, marks: AppliedMarks, between: Callable[[], None]) -> datetime | None:
    """One round. The pipeline goes on between two readings."""
    at = pipeline.now
    between()
    received = ends("webhooks", pipeline.raw)
    between()
    if marks.is_applied(received):
        return at
    marks.mark(at, received)
    committed = passed("webhooks", pipeline.committed)
    between()
    events = ends("events", pipeline.events)
    between()
    marks.reconcile(committed, events)
    return marks.apply(passed("events", pipeline.applied))


@given(st.lists(st.lists(st.integers(0, 15), max_size=12), max_size=25), st.integers(1, 4))
def test_everything_before_the_answer_is_applied(rounds: list[list[int]], marks_max: int) -> None:
    pipeline, marks = Pipeline(), AppliedMarks(marks_max)
    through = START - timedelta(days=1)
    for steps in rounds:
        left = list(steps)

        def between(left: list[int] = left) -> None:
            for _ in range(min(len(left), 3)):
                pipeline.act(left.pop())

        found = look(pipeline, marks, between)
        assert found is None or found >= through
        through = found or through
        oldest = pipeline.oldest_unapplied()
        assert oldest is None or oldest >= through
    for step in [1, 5, 9, 13, 2, 6] * 200:
        pipeline.act(step)
    pipeline.now += timedelta(seconds=5)
    latest = [look(pipeline, marks, lambda: None) for _ in range(2)]
    assert latest[-1] == pipeline.now, "after a backlog the answer is the present"


def test_nothing_received_is_no_backlog() -> None:
    assert look(Pipeline(), AppliedMarks(), lambda: None) == START


def test_a_stage_that_never_ran_holds_the_answer() -> None:
    pipeline, marks = Pipeline(), AppliedMarks()
    pipeline.act(0)
    assert look(pipeline, marks, lambda: None) is None
    pipeline.act(1)
    assert look(pipeline, marks, lambda: None) is None
    pipeline.act(2)
    assert look(pipeline, marks, lambda: None) == START


def test_marks_under_way_move_nothing_back_once_the_same_ends_are_applied() -> None:
    marks, one, two = AppliedMarks(), {("webhooks", 0): 1}, {("webhooks", 0): 2}
    first, second, third = (START + timedelta(seconds=n) for n in range(3))
    assert not marks.is_applied(one)
    marks.mark(first, one)
    marks.reconcile(one, {("events", 0): 1})
    marks.mark(second, one)
    marks.reconcile(one, {("events", 0): 2})
    assert marks.apply({("events", 0): 1}) == first
    assert marks.is_applied(one)
    assert not marks.is_applied(two)
    marks.mark(third, two)
    marks.reconcile(one, {("events", 0): 2})
    assert marks.apply({("events", 0): 2}) is None, "the moment of the shortcut was later"
    marks.reconcile(two, {("events", 0): 3})
    assert marks.apply({("events", 0): 3}) == third
