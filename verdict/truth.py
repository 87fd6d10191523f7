"""Computes the expected row of one recipient from the ledger of the simulator alone. Pure.

It is written from the public reference and must not import `domain`, because two independent readings of one reference
check each other. A post is one request that the simulator received; an attempt is one or several posts under one
callback data. Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

THROTTLES = frozenset({4, 613, 80007, 80008, 130429, 131056})
"""Surely not sent; the same attempt may be posted again."""
TRANSIENTS = frozenset({1, 2, 131000, 131016, 131057, 133004, 134101, 2494100})
HELD_BACK = 131049
HELD_BACK_ROUNDS_MAX = 3
NEVER_HELD_BACK = "1"
"""Numbers of this calling code get no marketing messages at all, so a day later is no better."""
SCOPE_WIDE = frozenset(
    {0, 3, 10, 33, 104, 190, *range(200, 300), 368, 803, 2500, 131005, 131031, 131037, 131042, 131044, 131045, 131048}
    | {131063, 131064, 132001, 132007, 132015, 132016, 132068, 132069, 133010, 133016, 134011, 134102, 134103}
)
"""Every message of the template, the number or the account is refused: surely not sent, and deferred."""
RETRIED = THROTTLES | TRANSIENTS

CLOCK_SLACK_S = 1.0
"""The simulator records the end of an answer after writing it, so a sender may have read it earlier."""
ANSWER_READ_WITHIN_S = 10.0
"""How late a busy sender may record the time of an answer."""


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """One status that the simulator sent and the ingress acknowledged."""

    word: str
    timestamp: int
    code: int | None
    first_sent_at: float


@dataclass(frozen=True, slots=True)
class Post:
    """One request received by the simulator."""

    number: str
    attempt: int
    recipient_id: str
    received_at: float
    outcome: str
    http_status: int | None
    code: int | None
    answered_at: float | None
    accepted: bool
    wamid: str | None
    answer_has_wamid: bool
    body_parameters: tuple[str, ...]
    statuses: tuple[LedgerStatus, ...]

    @property
    def was_answered(self) -> bool:
        """Whether the whole answer was written. Cut, hung and abandoned answers prove nothing to the sender."""
        return self.outcome == "answered"


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A time between two bounds, both included. Equal bounds state an exact time."""

    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Ending:
    """The result of the posts and statuses of one attempt."""

    accepted: bool = False
    unknown: bool = False
    throttled: bool = False
    failed_code: int | None = None
    failed_at: TimeSpan | None = None
    wamid: str | None = None
    accepted_by_answer_at: TimeSpan | None = None

    @property
    def failed(self) -> bool:
        """Whether the attempt failed, by answer or by status."""
        return self.failed_at is not None


@dataclass(frozen=True, slots=True)
class Truth:
    """The expected row of one recipient when everything is at rest."""

    status: str
    sent_at: TimeSpan | None = None
    delivered_at: TimeSpan | None = None
    read_at: TimeSpan | None = None
    failed_at: TimeSpan | None = None
    failure_code: int | None = None
    wamid: str | None = None
    retry_count: int = 0
    waits_a_day: bool = False
    """The last failure was 131049: it is due again a day later."""
    wrong_conduct: tuple[str, ...] = ()
    """Incorrect actions of the sender, and missing ones, regardless of the row."""


NEVER_POSTED = Truth("posted", wrong_conduct=("never_posted",))
SKIPPED = Truth("skipped")


def post_of(entry: Mapping[str, Any], recipient_id: str, attempt: int) -> Post:
    """A ledger entry as a post of this recipient and attempt."""
    statuses = tuple(
        LedgerStatus(status["status"], status["timestamp"], status["code"], status["first_sent_at"])
        for status in entry["statuses"]
        if status["acknowledged"]
    )
    return Post(
        number=entry["to"].lstrip("+"),
        attempt=attempt,
        recipient_id=recipient_id,
        received_at=entry["received_at"],
        outcome=entry["outcome"],
        http_status=entry["http_status"],
        code=entry["code"],
        answered_at=entry["answered_at"],
        accepted=entry["accepted"],
        wamid=entry["wamid"],
        answer_has_wamid=entry["answer_has_wamid"],
        body_parameters=tuple(entry["body_parameters"]),
        statuses=statuses,
    )


def truth_of(
    posts: Sequence[Post],
    *,
    held_by_killed: Set[int] = frozenset(),
    deferred: Set[int] = frozenset(),
    opted_out: bool = False,
    retries_max: int = 3,
    frozen: Sequence[TimeSpan] = (),
) -> Truth:
    """The expected row of a recipient with these posts, in order of receipt.

    `held_by_killed`: attempts that a killed process had claimed without storing an answer.
    `deferred`: attempts that the sender deferred. That is right for a probe that was refused for a transient reason.
    `frozen`: when senders were stopped, so that an answer could be read only after it.
    """
    if opted_out:
        return SKIPPED if not posts else Truth("skipped", wrong_conduct=("posted_to_opted_out",))
    by_attempt: dict[int, list[Post]] = {attempt: [] for attempt in held_by_killed}
    for post in posts:
        by_attempt.setdefault(post.attempt, []).append(post)
    if not by_attempt:
        return NEVER_POSTED
    endings = {
        n: _ending(by_attempt[n], answers_count=n not in held_by_killed, is_deferred=n in deferred, frozen=frozen)
        for n in sorted(by_attempt)
    }
    return _row(endings, [status for post in posts for status in post.statuses], by_attempt, retries_max)


def _ending(posts: Sequence[Post], *, answers_count: bool, is_deferred: bool, frozen: Sequence[TimeSpan]) -> Ending:
    """The ending of one attempt. Answers that the killed process did not store do not count; statuses always do."""
    sent = [status for post in posts for status in post.statuses]
    failure = next((status for status in sent if status.word == "failed"), None)
    accepted_post = next((post for post in posts if post.accepted), None)
    last = posts[-1] if posts else None
    answered = answers_count and last is not None and last.was_answered
    by_answer = answered and last is not None and last.http_status == 200
    wamid = accepted_post.wamid if accepted_post and (sent or (by_answer and accepted_post.answer_has_wamid)) else None
    common = {"wamid": wamid, "accepted_by_answer_at": _answered(last, frozen) if by_answer and last else None}
    if failure is not None:
        exactly = TimeSpan(failure.timestamp, failure.timestamp)
        return Ending(accepted=True, failed_code=failure.code, failed_at=exactly, **common)  # type: ignore[arg-type]
    if sent or by_answer:
        return Ending(accepted=True, **common)  # type: ignore[arg-type]
    if not answered or last is None:
        return Ending(unknown=True)
    if last.http_status == 429 or last.code in THROTTLES:
        return Ending(throttled=True)
    if last.code in SCOPE_WIDE and (last.http_status or 0) < 500:
        return Ending(throttled=True)
    if last.code is None or ((last.http_status or 0) >= 500 and last.code not in RETRIED):
        return Ending(unknown=True)
    if is_deferred and last.code in TRANSIENTS:
        return Ending(throttled=True)
    return Ending(failed_code=last.code, failed_at=_answered(last, frozen))


def _answered(post: Post, frozen: Sequence[TimeSpan]) -> TimeSpan:
    at = post.answered_at if post.answered_at is not None else post.received_at
    read_by = at + ANSWER_READ_WITHIN_S
    for stop in sorted(frozen, key=lambda stop: stop.earliest):
        if stop.earliest <= read_by and at <= stop.latest:
            read_by = max(read_by, stop.latest + ANSWER_READ_WITHIN_S)
    return TimeSpan(at - CLOCK_SLACK_S, read_by)


def _row(
    endings: Mapping[int, Ending],
    sent: Sequence[LedgerStatus],
    by_attempt: Mapping[int, Sequence[Post]],
    retries_max: int,
) -> Truth:
    reads = [each.timestamp for each in sent if each.word in ("read", "played")]
    deliveries = reads + [each.timestamp for each in sent if each.word == "delivered"]
    sends = deliveries + [each.timestamp for each in sent if each.word == "sent"]
    answers = [ending.accepted_by_answer_at for ending in endings.values() if ending.accepted_by_answer_at]
    failed = [n for n, ending in endings.items() if ending.failed]
    held_back = [n for n in failed if endings[n].failed_code == HELD_BACK]
    accepted = [n for n, ending in endings.items() if ending.accepted]
    newest = endings[max(endings)]
    status = _status(endings, newest, has_read=bool(reads), has_delivery=bool(deliveries))
    counted = len(failed) - len(held_back)
    may_wait = not any(post.number.startswith(NEVER_HELD_BACK) for each in by_attempt.values() for post in each)
    waits_a_day = (
        may_wait and status == "failed" and newest.failed_code == HELD_BACK and len(held_back) < HELD_BACK_ROUNDS_MAX
    )
    return Truth(
        status=status,
        sent_at=_earliest(sends, answers),
        delivered_at=_earliest(deliveries, []),
        read_at=_earliest(reads, []),
        failed_at=endings[max(failed)].failed_at if failed else None,
        failure_code=endings[max(failed)].failed_code if failed else None,
        wamid=endings[max(accepted)].wamid if accepted else None,
        retry_count=counted,
        waits_a_day=waits_a_day and counted < retries_max,
        wrong_conduct=tuple(_wrong_conduct(endings, by_attempt, status, counted, retries_max)),
    )


def _status(endings: Mapping[int, Ending], newest: Ending, *, has_read: bool, has_delivery: bool) -> str:
    if has_read:
        return "read"
    if has_delivery:
        return "delivered"
    if any(ending.accepted and not ending.failed for ending in endings.values()):
        return "sent"
    if newest.failed:
        return "failed"
    return "unknown" if newest.unknown else "queued"


def _earliest(timestamps: Sequence[int], answers: Sequence[TimeSpan]) -> TimeSpan | None:
    """The earliest of exact times and of answer times, which are known only within bounds."""
    spans = [TimeSpan(at, at) for at in timestamps] + list(answers)
    if not spans:
        return None
    return TimeSpan(min(span.earliest for span in spans), min(span.latest for span in spans))


def _wrong_conduct(
    endings: Mapping[int, Ending],
    by_attempt: Mapping[int, Sequence[Post]],
    status: str,
    counted: int,
    retries_max: int,
) -> list[str]:
    """Attempts that must not exist, and a missing attempt."""
    wrong = []
    newest = max(endings)
    failures = 0
    for n, ending in endings.items():
        failures += ending.failed and ending.failed_code != HELD_BACK
        if n < newest and not _may_be_repeated(ending, failures, retries_max):
            wrong.append("repeated_without_right")
        posts = by_attempt[n]
        if any(not _is_throttled(post) for post in posts[:-1]):
            wrong.append("posted_again_after_answer")
    if status == "failed" and endings[newest].failed_code in RETRIED and counted < retries_max:
        wrong.append("retry_missing")
    if status == "queued":
        wrong.append("left_queued")
    return wrong


def _may_be_repeated(ending: Ending, failures: int, retries_max: int) -> bool:
    if ending.failed:
        return ending.failed_code == HELD_BACK or (ending.failed_code in RETRIED and failures < retries_max)
    return ending.throttled


def _is_throttled(post: Post) -> bool:
    return post.was_answered and (post.http_status == 429 or post.code in THROTTLES)
