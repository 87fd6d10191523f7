"""The state diagram of a recipient, computed: every event kind is applied to what each status can consist of.

Nothing here is drawn by hand, so that docs/status.md cannot differ from `domain.status` and `domain.facts`.
`python -m scripts.diagram` writes it. It must not decide anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from uuid import UUID

from domain.facts import NOTHING, Facts, Skip, facts_of, merge
from domain.status import STATUS_TABLE, Status, next_attempt_at, status
from schemas.events import EventKind, Failure, RecipientEvent, RetryClass
from schemas.model import RecipientId, Wamid

PLACE = Path(__file__).parent.parent / "docs" / "status.md"

Step = str
"""What moves a status: an event kind, of the newest attempt or of an older one, or the scheduler's release or skip."""
Moves = Mapping[tuple[Status, Status], frozenset[Step]]

RELEASE, SKIP = "release", "skip"
"""The scheduler's: a new attempt, or a new attempt that is skipped at once."""
OLDER = " of an older attempt"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_DEPTH = 6
"""Steps from nothing: unknown, asked for, released again, sent by the older attempt, which then fails, takes six."""
_LATER = timedelta(hours=1)


def transitions() -> Moves:
    """Every change of status that one step can bring, over all histories of a few steps."""
    found: dict[tuple[Status, Status], set[Step]] = {}
    known, newest = {NOTHING}, {NOTHING}
    for _ in range(_DEPTH):
        reached: set[Facts] = set()
        for facts in newest:
            for name, after in _steps(facts):
                found.setdefault((status(facts), status(after)), set()).add(name)
                reached.add(after)
        newest = reached - known
        known |= newest
    return {pair: frozenset(names) for pair, names in found.items()}


def _steps(facts: Facts) -> Iterator[tuple[Step, Facts]]:
    """What can happen to a recipient: the scheduler acts, or an event tells of the newest attempt or the one before."""
    n = facts.attempt
    is_due = next_attempt_at(facts, planned_at=_AT, created_at=_AT, max_retries=_DEPTH) is not None
    if is_due:
        yield RELEASE, merge(facts, Facts(attempt=n + 1))
    if is_due or status(facts) is Status.QUEUED:
        yield SKIP, merge(facts, Facts(attempt=n + 1, skipped=Skip(n + 1, "any")))
    for (kind, stated), is_older in product(_STATED.items(), (False, True)):
        attempt = n - 1 if is_older else n
        if attempt >= 1:
            yield kind.value + (OLDER if is_older else ""), merge(facts, stated(attempt))


def _stating(kind: EventKind) -> Callable[[int], Facts]:
    known = {attempt: facts_of(_event(kind, attempt), attempt) for attempt in range(1, _DEPTH + 1)}
    return known.__getitem__


def _event(kind: EventKind, attempt: int) -> RecipientEvent:
    """A representative event."""
    is_failure = kind in (EventKind.FAILED, EventKind.REJECTED)
    return RecipientEvent(
        kind=kind, recipient_id=RecipientId(UUID(int=1)), attempt=attempt, wamid=Wamid(f"wamid.{attempt}"),
        occurred_at=_AT, received_at=_AT,
        failure=Failure(reason="any", retry_class=RetryClass.BACKOFF, backoff_s=600) if is_failure else None,
        skip_reason="any" if kind is EventKind.SKIPPED else None,
        not_before=_AT + _LATER if kind in (EventKind.DEFERRED, EventKind.EXPIRED) else None,
    )  # fmt: skip


_STATED: Mapping[EventKind, Callable[[int], Facts]] = {kind: _stating(kind) for kind in EventKind}


def page() -> str:
    """docs/status.md."""
    moves = transitions()
    return "\n".join([
        "# Statuses of a recipient",
        "",
        "Written by `scripts/diagram.py` from `domain/status.py` and `domain/facts.py`. A test keeps them equal.",
        "",
        "A status is not stored: it is the first line of this table that holds for the facts of the row.",
        "",
        *_table(),
        "",
        "## Transitions",
        "",
        "Every event was applied to every combination of facts that a few steps can lead to. The arrows are what an",
        "event of the newest attempt changes; the table has what the events of older attempts change too. `release`",
        "and `skip` are the scheduler's: a new attempt, or one that is skipped at once. What is not listed leaves the",
        "status as it is.",
        "",
        "```mermaid",
        *_diagram(moves),
        "```",
        "",
        *_matrix(moves),
        "",
    ])  # fmt: skip


def _table() -> Iterator[str]:
    yield "| # | status | when |"
    yield "|---|---|---|"
    for place, (word, when, _) in enumerate(STATUS_TABLE, start=1):
        yield f"| {place} | `{word}` | {when} |"


def _diagram(moves: Moves) -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {Status.PENDING}"
    for before, after in product(Status, Status):
        names = [name for name in _ordered(moves.get((before, after), frozenset())) if not name.endswith(OLDER)]
        if names and before is not after:
            yield f"    {before} --> {after}: {', '.join(names)}"


def _matrix(moves: Moves) -> Iterator[str]:
    yield "| from | to | by the newest attempt's | by an older attempt's |"
    yield "|---|---|---|---|"
    for before, after in product(Status, Status):
        names = _ordered(moves.get((before, after), frozenset()))
        if names and before is not after:
            newest = ", ".join(name for name in names if not name.endswith(OLDER))
            older = ", ".join(name.removesuffix(OLDER) for name in names if name.endswith(OLDER))
            yield f"| `{before}` | `{after}` | {newest} | {older} |"


def _ordered(names: frozenset[Step]) -> list[Step]:
    """The scheduler first, then as the kinds are listed, of the newest attempt before an older one's."""
    order = [RELEASE, SKIP, *(kind.value + suffix for kind in EventKind for suffix in ("", OLDER))]
    return sorted(names, key=order.index)


if __name__ == "__main__":
    PLACE.write_text(page(), encoding="utf-8")
