"""When the recipients of a campaign will be sent to: how many on each day, and when the last one. Pure.

It plays the limits of the release forward: the start, the window, the limit of the day, the budget of the
portfolio, the waits of the canary, and the pace of the number. It assumes that no other campaign sends, that
nothing fails, and that a window which follows the recipients is open by the clock of the campaign.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import ceil, floor

from domain.canary import GROWTH, LATER_WAIT
from domain.days import Day, day_at, day_of
from domain.portfolio import PortfolioBudget
from domain.windows import SendingWindow, open_periods

DAYS_MAX = 366
"""A plan ends after a year, whatever is left then."""
STEPS_MAX = 200_000
"""Steps of the play, about a second: a year in buckets of five minutes has half of them."""
_TICK = timedelta(microseconds=1)


class PlanLimit(StrEnum):
    """What makes a campaign take longer than its number needs."""

    START = "start"
    WINDOW = "window"
    DAILY_LIMIT = "daily_limit"
    PORTFOLIO_BUDGET = "portfolio_budget"
    CANARY = "canary"


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What decides when a campaign sends."""

    now: datetime
    recipients: int
    """Those without a message."""
    per_s: float
    """Messages per second of the number."""
    window: SendingWindow
    time_zone: str
    start_at: datetime | None = None
    daily_limit: int | None = None
    used_today: int = 0
    budget: PortfolioBudget | None = None
    """The budget of the portfolio that holds; None: there is none."""
    counted: Sequence[tuple[datetime, int]] = ()
    """People who count towards it already, by the beginning of their bucket, the earliest first."""
    canary: int | None = None
    """So many more people may be sent to before the first wait; None: all."""
    canary_people: int = 0
    """People of the present step in total, of which the next one is a multiple."""
    canary_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class PlannedDay:
    """A day of the campaign's time zone and the recipients who will be sent to on it."""

    day: date
    recipients: int


@dataclass(frozen=True, slots=True)
class SendingPlan:
    """How a campaign will proceed."""

    days: tuple[PlannedDay, ...]
    ends_at: datetime | None
    """When the last message leaves; None: not within a year."""
    left: int
    """Recipients who will not be sent to within a year."""
    limits: tuple[PlanLimit, ...]
    """What makes it take longer, each once."""


@dataclass(slots=True)
class _Progress:
    """The state of the play."""

    given: PlanInput
    left: int
    at: datetime
    days: dict[date, int] = field(default_factory=dict)
    limits: set[PlanLimit] = field(default_factory=set)
    counting: deque[tuple[datetime, int]] = field(default_factory=deque)
    used: int = 0
    canary: int | None = None
    canary_people: int = 0
    step_wait_s: float = 0.0
    steps: int = 0

    def send_on(self, day: Day, until: datetime) -> None:
        """Send from now until the end of an open period of the day, as far as the limits allow."""
        while self.left > 0 and self.at < until and self.steps < STEPS_MAX:
            self.steps += 1
            if self._is_day_full(day):
                self.limits.add(PlanLimit.DAILY_LIMIT)
                self.at = until
            elif self.canary == 0:
                self._wait_for_canary()
            elif not self._has_budget():
                self.limits.add(PlanLimit.PORTFOLIO_BUDGET)
                self.at = max(self.at, self.counting[0][0])
            else:
                self._send(day, until)

    def _is_day_full(self, day: Day) -> bool:
        return self._room_of(day) == 0

    def _room_of(self, day: Day) -> int | None:
        if self.given.daily_limit is None:
            return None
        is_first = day.starts_at <= self.given.now < day.ends_at
        used = self.days.get(day.date, 0) + (self.given.used_today if is_first else 0)
        return max(0, self.given.daily_limit - used)

    def _wait_for_canary(self) -> None:
        self.limits.add(PlanLimit.CANARY)
        self.at += timedelta(seconds=self.step_wait_s)
        self.step_wait_s = self.given.canary_wait_s * LATER_WAIT
        more = (GROWTH - 1) * self.canary_people
        self.canary_people *= GROWTH
        self.canary = None if more >= self.left else more

    def _has_budget(self) -> bool:
        if self.given.budget is None:
            return True
        while self.counting and self.counting[0][0] <= self.at:
            self.used -= self.counting.popleft()[1]
        return self.used < self.given.budget.people_max

    def _send(self, day: Day, until: datetime) -> None:
        budget = self.given.budget
        rooms = [self.left, self._room_of(day), self.canary]
        if budget is not None:
            rooms.append(budget.people_max - self.used)
            until = min(until, budget.bucket_of(self.at) + budget.bucket_length)
        room = min(each for each in rooms if each is not None)
        seconds = (until - self.at).total_seconds()
        count = min(room, floor(self.given.per_s * seconds))
        if count <= 0:  # less than the time of one message is left
            self.at = max(until, self.at + _TICK)
            return
        if budget is not None:
            self.counting.append((budget.free_at(budget.bucket_of(self.at)), count))
            self.used += count
        if self.canary is not None:
            self.canary -= count
        self.days[day.date] = self.days.get(day.date, 0) + count
        self.left -= count
        self.at = min(until, self.at + timedelta(seconds=count / self.given.per_s))


def make_plan(given: PlanInput) -> SendingPlan:
    """Play the limits forward. Raises UnknownTimeZone."""
    begins_at = given.now if given.start_at is None else max(given.now, given.start_at)
    state = _Progress(
        given, given.recipients, begins_at, canary=given.canary, canary_people=given.canary_people,
        step_wait_s=given.canary_wait_s,
    )  # fmt: skip
    if begins_at > given.now:
        state.limits.add(PlanLimit.START)
    if given.budget is not None:
        state.counting.extend((given.budget.free_at(bucket), people) for bucket, people in given.counted)
        state.used = sum(people for _, people in given.counted)
    if given.canary is not None and given.canary >= given.recipients:
        state.canary = None
    for day in _days(begins_at, given.time_zone):
        for start, end in open_periods(given.window, [given.time_zone], max(day.starts_at, begins_at), day.ends_at):
            if state.left > 0 and start > state.at:
                if start > max(day.starts_at, begins_at):
                    state.limits.add(PlanLimit.WINDOW)
                state.at = start
            state.send_on(day, end)
        if state.left <= 0 or state.steps >= STEPS_MAX:
            break
    days = tuple(PlannedDay(day, n) for day, n in sorted(state.days.items()))
    ends_at = None if state.left > 0 else _whole_second(state.at)
    return SendingPlan(days, ends_at, state.left, tuple(each for each in PlanLimit if each in state.limits))


def _days(begins_at: datetime, time_zone: str) -> Iterator[Day]:
    first = day_of(begins_at, time_zone)
    yield first
    for later in range(1, DAYS_MAX):
        yield day_at(first.date + timedelta(days=later), time_zone)


def _whole_second(at: datetime) -> datetime:
    return at.replace(microsecond=0) + timedelta(seconds=ceil(at.microsecond / 1_000_000))
