"""The laws of opt-outs, windows and budgets, judged from what the simulator received. Pure.

Each function returns the violations as texts without phone numbers. A post that was on its way while a network hung or
a process was frozen is received late, so the moments of such faults are left out (`blurred`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from verdict.truth import TimeSpan

STOP_S = 2.5
"""A stop holds after 2 s; the rest is for the way to the simulator."""
OPT_OUT_S = 62.0
"""An opt-out by webhook holds after 60 s, and a post may be on its way for two more."""
AFTER_FAULT_S = 3.0


class Received(NamedTuple):
    """A post that the simulator received, with its time in seconds since 1970."""

    number: str
    at: float


class LimitOfDay(NamedTuple):
    """From this moment on the limit of the day may hold."""

    since: float
    limit: int


def is_blurred(at: float, blurred: Sequence[TimeSpan]) -> bool:
    """Whether a fault may have delayed what was received at this moment."""
    return any(span.earliest <= at <= span.latest + AFTER_FAULT_S for span in blurred)


def after_opt_out(posts: Iterable[Received], out_at: Mapping[str, float], blurred: Sequence[TimeSpan]) -> list[str]:
    """Posts to people who had opted out by an acknowledged webhook. `out_at`: by number, when it was acknowledged."""
    late = [
        post.at - out_at[post.number]
        for post in posts
        if post.number in out_at and post.at > out_at[post.number] + OPT_OUT_S and not is_blurred(post.at, blurred)
    ]
    return [f"a post {seconds:.1f} s after an opt-out" for seconds in late]


def outside_window(posts: Iterable[Received], closed: Sequence[TimeSpan], blurred: Sequence[TimeSpan]) -> list[str]:
    """Posts while the window was surely closed."""
    return [
        f"a post {post.at - span.earliest:.1f} s after the window closed"
        for post in posts
        for span in closed
        if span.earliest + STOP_S < post.at < span.latest and not is_blurred(post.at, blurred)
    ]


def above_limit_of_day(posts: Iterable[Received], limits: Sequence[LimitOfDay]) -> list[str]:
    """Posts above the limit of their day (UTC). The limits rise, so the highest that may hold decides."""
    used: Counter[str] = Counter()
    found = []
    for post in sorted(posts, key=lambda each: each.at):
        day = datetime.fromtimestamp(post.at, UTC).date().isoformat()
        used[day] += 1
        limit = max(each.limit for each in limits if each.since <= post.at)
        if used[day] > limit:
            found.append(f"post {used[day]} of {day}, the limit was {limit}")
    return found


def above_portfolio(posts: Iterable[Received], people_max: int, window_s: float) -> list[str]:
    """Moments at which more people had a post in the window before than the budget allows."""
    recent: deque[Received] = deque()
    people: Counter[str] = Counter()
    found = []
    for post in sorted(posts, key=lambda each: each.at):
        recent.append(post)
        people[post.number] += 1
        while recent[0].at <= post.at - window_s:
            old = recent.popleft()
            people[old.number] -= 1
            if not people[old.number]:
                del people[old.number]
        if len(people) > people_max:
            found.append(f"{len(people)} people in {window_s:.0f} s, the budget was {people_max}")
    return found
