"""Feeds the breakers with failures of a whole scope that Meta reports by webhook, after it has accepted the message.

A payment block or a paused template may show only there. The sink stores its batch before, in a transaction of its own,
and it neither waits for a breaker nor fails because of one. A replay does not come here.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from domain.breakers import ProbePauses
from domain.signals import signals_of_status
from schemas.events import EventKind, RecipientEvent
from tables import breakers
from tables.breakers import ReportedFailure
from tables.database import Connection, DatabaseError

log = structlog.get_logger("sink")


async def feed_breakers(connection: Connection, events: Sequence[RecipientEvent], time_scale: float) -> None:
    """Feed the breakers with what these events report.

    Where Postgres refuses, the report is logged and dropped: the next failure reports the same cause.
    """
    failures = reported_failures(events)
    if not failures:
        return
    try:
        await breakers.feed_reported(connection, failures, ProbePauses().scaled(time_scale))
    except DatabaseError as error:
        log.warning(
            "breakers did not get the failures that webhooks reported; the next ones count",
            failures=len(failures),
            error=type(error).__name__,
        )


def reported_failures(events: Sequence[RecipientEvent]) -> list[ReportedFailure]:
    """The failures of webhooks whose code concerns a whole scope."""
    found = []
    for event in events:
        if event.kind is not EventKind.FAILED or event.failure is None:
            continue
        if event.recipient_id is None or event.attempt is None:
            continue
        signals = signals_of_status(event.failure.code)
        if signals.is_trouble:
            found.append(ReportedFailure(event.recipient_id, event.attempt, signals, event.occurred_at))
    return found
