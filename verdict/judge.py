"""The verdict: compares each row with the ledger of the simulator, finds double sends, and recounts the counters. Pure.

It is `exact` only if nothing differs. It uses no clock, no database and no code of the pipeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verdict.truth import Post, TimeSpan, Truth, truth_of

TIME_SLACK_S = 0.001
Held = tuple[str, int]
"""A recipient id and an attempt that the killed process had claimed without storing an answer."""


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """One recipient in Postgres."""

    id: str
    number: str
    status: str
    attempt: int
    wamid: str | None
    sent_at: float | None
    delivered_at: float | None
    read_at: float | None
    failed_at: float | None
    failure_code: int | None
    failure_reason: str | None
    retry_count: int
    due_in_s: float | None
    """Seconds until it is due again; None: never automatically."""
    is_deferred: bool = False
    """The newest attempt was deferred."""
    is_requested: bool = False
    """An operator requested to repeat the newest attempt."""
    failure_class: str | None = None
    window_country: str | None = None
    """The country whose clocks its window follows."""
    is_capped: bool = False
    """It is due at the time to which the frequency cap deferred it."""
    price: str | None = None
    """Attempt, category and charge, such as `01 marketing/billable`."""
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that the verdict compares."""

    rows: Sequence[JudgedRow]
    posts: Sequence[Post]
    numbers: frozenset[str]
    """The numbers that were added. The rows must be exactly these."""
    parameters: Mapping[str, tuple[str, ...]]
    """The template parameters of each number."""
    opted_out: frozenset[str]
    held_by_killed: frozenset[Held]
    counters: Mapping[str, int]
    recount: Mapping[str, int]
    reported: Mapping[str, Any]
    """The REST stats."""
    recount_reported: Mapping[str, Any]
    """The same fields, computed from the rows."""
    trouble: tuple[str, ...] = ()
    """Reasons that make a verdict impossible: the run was not at rest, or webhooks were given up."""
    frozen: tuple[TimeSpan, ...] = ()
    """When senders were frozen and could not read answers."""
    deferred: frozenset[Held] = frozenset()
    """Attempts that the sender deferred."""


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row that contradicts the ledger, and its fields. It does not contain the phone number."""

    row_id: str
    fields: tuple[str, ...]
    expected_status: str
    found_status: str
    values: tuple[str, ...] = ()
    """The actual and the expected value of each field, if both are known; times as seconds since 1970."""


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """One attempt that the killed process held, and its result."""

    recipient_id: str
    attempt: int
    simulator: str
    """never_received; refused (received, but never accepted); accepted."""
    status: str


@dataclass(frozen=True)
class Verdict:
    """The result of the comparison."""

    wrong_rows: tuple[WrongRow, ...]
    wrong_counters: tuple[str, ...]
    double_sends: int
    left_by_killed: tuple[HeldAttempt, ...]
    waits_a_day: int
    messages_accepted: int
    trouble: tuple[str, ...] = ()
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def word(self) -> str:
        """`exact` or `differs`."""
        wrong = self.wrong_rows or self.wrong_counters or self.double_sends or self.trouble
        return "differs" if wrong else "exact"


def judge(evidence: Evidence) -> Verdict:
    """Compare the evidence."""
    posts: dict[str, list[Post]] = {}
    for post in evidence.posts:
        posts.setdefault(post.number, []).append(post)
    held: dict[str, set[int]] = {}
    for recipient_id, attempt in evidence.held_by_killed:
        held.setdefault(recipient_id, set()).add(attempt)
    deferred: dict[str, set[int]] = {}
    for recipient_id, attempt in evidence.deferred:
        deferred.setdefault(recipient_id, set()).add(attempt)
    wrong, waiting = [], 0
    for row in evidence.rows:
        truth = truth_of(
            posts.get(row.number, []),
            held_by_killed=frozenset(held.get(row.id, ())),
            deferred=frozenset(deferred.get(row.id, ())),
            opted_out=row.number in evidence.opted_out,
            frozen=evidence.frozen,
        )
        waiting += truth.waits_a_day
        fields = differing(row, truth, posts.get(row.number, []), evidence.parameters.get(row.number, ()))
        if row.status == "unknown" and (row.id, row.attempt) not in evidence.held_by_killed:
            fields.append("unknown_not_of_killed")
        if fields:
            wrong.append(WrongRow(row.id, tuple(fields), truth.status, row.status, _values(row, truth, fields)))
    return Verdict(
        wrong_rows=(*wrong, *_strangers(evidence, posts)),
        wrong_counters=tuple(_wrong_counters(evidence)),
        double_sends=sum(double_sends(of_one) for of_one in posts.values()),
        left_by_killed=tuple(_left(evidence, posts)),
        waits_a_day=waiting,
        messages_accepted=sum(post.accepted for post in evidence.posts),
        trouble=evidence.trouble,
        statuses=Counter(row.status for row in evidence.rows),
    )


def differing(row: JudgedRow, truth: Truth, posts: Sequence[Post], parameters: tuple[str, ...] = ()) -> list[str]:
    """The fields of a row that the ledger contradicts, and incorrect sends to its recipient."""
    wrong = list(truth.wrong_conduct)
    exact = (
        ("status", row.status, truth.status),
        ("whatsapp_message_id", row.wamid, truth.wamid),
        ("failure_code", row.failure_code, truth.failure_code),
        ("retry_count", row.retry_count, truth.retry_count),
        ("next_attempt_at", row.due_in_s is not None, truth.waits_a_day),
    )
    wrong += [name for name, found, right in exact if found != right]
    times = (
        ("sent_at", row.sent_at, truth.sent_at),
        ("delivered_at", row.delivered_at, truth.delivered_at),
        ("read_at", row.read_at, truth.read_at),
        ("failed_at", row.failed_at, truth.failed_at),
    )
    wrong += [name for name, found, span in times if not _is_within(found, span)]
    if row.status in ("failed", "skipped") and not row.failure_reason:
        wrong.append("failure_reason")
    if any(post.recipient_id != row.id for post in posts):
        wrong.append("callback_data")
    if row.parameters != parameters or any(post.body_parameters != parameters for post in posts):
        wrong.append("template_parameters")
    return wrong


def _values(row: JudgedRow, truth: Truth, fields: Sequence[str]) -> tuple[str, ...]:
    return tuple(
        f"{name} is {getattr(row, name)}, should be {getattr(truth, name)}"
        for name in fields
        if hasattr(row, name) and hasattr(truth, name)
    )


def double_sends(posts: Sequence[Post]) -> int:
    """Accepted posts to one person that must not exist: the attempt was accepted before, or an earlier accepted attempt
    had not failed by then."""
    doubles = 0
    accepted: list[Post] = []
    for post in posts:
        if not post.accepted:
            continue
        doubles += any(
            earlier.attempt == post.attempt or not _had_failed(earlier, post.received_at) for earlier in accepted
        )
        accepted.append(post)
    return doubles


def _had_failed(post: Post, by: float) -> bool:
    return any(status.word == "failed" and status.first_sent_at <= by for status in post.statuses)


def _is_within(found: float | None, span: TimeSpan | None) -> bool:
    if found is None or span is None:
        return found is None and span is None
    return span.earliest - TIME_SLACK_S <= found <= span.latest + TIME_SLACK_S


def _strangers(evidence: Evidence, posts: Mapping[str, Sequence[Post]]) -> list[WrongRow]:
    """Numbers without a row, rows that were never added, and posts to numbers that were never added."""
    rows = {row.number: row.id for row in evidence.rows}
    missing = evidence.numbers - rows.keys()
    unasked = rows.keys() - evidence.numbers
    written = posts.keys() - evidence.numbers - unasked
    return [
        *(WrongRow("", ("row_missing",), "pending", "") for _ in missing),
        *(WrongRow(rows[number], ("row_unasked",), "", "") for number in unasked),
        *(WrongRow("", ("posted_unasked",), "", "") for _ in written),
    ]


def _wrong_counters(evidence: Evidence) -> list[str]:
    names = evidence.counters.keys() | evidence.recount.keys()
    wrong = [name for name in sorted(names) if evidence.counters.get(name, 0) != evidence.recount.get(name, 0)]
    expected = evidence.recount_reported
    return wrong + [f"stats.{name}" for name in expected if evidence.reported.get(name) != expected[name]]


def _left(evidence: Evidence, posts: Mapping[str, Sequence[Post]]) -> list[HeldAttempt]:
    rows = {row.id: row for row in evidence.rows}
    found = []
    for recipient_id, attempt in sorted(evidence.held_by_killed):
        row = rows.get(recipient_id)
        own = [post for post in posts.get(row.number, ()) if post.attempt == attempt] if row else []
        knows = "never_received" if not own else "accepted" if any(post.accepted for post in own) else "refused"
        found.append(HeldAttempt(recipient_id, attempt, knows, row.status if row else "no_row"))
    return found
