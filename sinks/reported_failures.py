"""Feeds the breakers with failures of a whole scope that Meta reports by webhook, after it has accepted the message.

A payment block or a paused template may show only there. The batch is stored before, in its own transaction, because a
breaker must not delay what happened. A replay does not come here.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from domain.breakers import ProbePauses
from domain.signals import signals_of_status
from schemas.events import EventKind, RecipientEvent
from tables import breakers
from tables.breakers import ReportedFailure
from tables.database import Connection, is_transient

log = structlog.get_logger("sink")


async def feed_breakers(connection: Connection, events: Sequence[RecipientEvent], time_scale: float) -> None:
    """Feed the breakers with what these events report. While Postgres is away it does nothing: later failures count."""
    failures = reported_failures(events)
    if not failures:
        return
    try:
        await breakers.feed_statuses(connection, failures, ProbePauses().scaled(time_scale))
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("breakers did not get the failures of a batch; later ones count", error=type(error).__name__)


def reported_failures(events: Sequence[RecipientEvent]) -> list[ReportedFailure]:
    """The failures of webhooks whose code concerns a whole scope."""
    found = []
    for event in events:
        if event.kind is not EventKind.FAILED or event.failure is None or event.recipient_id is None:
            continue
        signals = signals_of_status(event.failure.code)
        if signals.is_trouble:
            found.append(ReportedFailure(event.recipient_id, event.attempt or 1, signals, event.occurred_at))
    return found
