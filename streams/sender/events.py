"""The event that states the outcome of an attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

import orjson
import structlog

from domain import error_codes
from domain.backoff import exponential, scaled_s
from domain.error_codes import SCOPE_WIDE, ErrorClass
from domain.outcomes import Accepted, NotSent, Rejected, UnknownOutcome
from domain.people import USER, PersonKey, person_of
from domain.signals import NO_SIGNALS, Signals
from runtime.logs import mask_phone
from schemas.codec import PRODUCER
from schemas.events import SCHEMA_VERSION, EventKind, Failure, RecipientEvent
from schemas.jobs import SendJob
from schemas.model import Wamid
from streams.sender.stage import STAGE
from tables.ledger import Claim, Settlement

LOG_EVERY_S = 10.0
"""A template, a number or an account fails thousands of messages: one log line stands for many."""

FinalOutcome = Accepted | Rejected | UnknownOutcome | NotSent
"""The outcomes after which the same attempt is never posted again."""
HELD_BASE_S, HELD_CAP_S = 5.0, 3600.0
"""A message that met a breaker rests: at first as long as the breaker's first probe, then longer with each attempt. 62
attempts outlast two days."""

_log = structlog.get_logger(STAGE)


class Events:
    """Builds events. `now` is the wall clock; `clock` is monotonic and spaces the log lines."""

    def __init__(self, *, time_scale: float, now: Callable[[], datetime], clock: Callable[[], float]) -> None:
        self._time_scale = time_scale
        self._now = now
        self._clock = clock
        self._log_code_from: dict[int | None, float] = {}

    def settlement_of(
        self, job: SendJob, claim: Claim, outcome: FinalOutcome, signals: Signals, *, is_probe: bool = False
    ) -> Settlement:
        """The ledger's record of a final outcome. `is_probe`: the message was the probe of an open breaker.

        Nearly every message is accepted, under the name that was dialled. Its event is written without a model: that
        saves 17 of 19 us, and a test holds both ways to the same bytes.
        """
        if isinstance(outcome, Accepted) and outcome.wamid and all(n == person_of_job(job) for n in outcome.names):
            now = self._now().astimezone(UTC)
            fields = {
                "v": SCHEMA_VERSION, "producer": PRODUCER, "kind": EventKind.ACCEPTED, "campaign_id": job.campaign_id,
                "recipient_id": job.recipient_id, "attempt": job.attempt, "wamid": outcome.wamid,
                "phone_number_id": job.phone_number_id, "occurred_at": now, "received_at": now,
                "held_for_quality": outcome.held,
            }  # fmt: skip
            event = orjson.dumps(fields, option=orjson.OPT_UTC_Z).decode()
            return Settlement(claim, EventKind.ACCEPTED, event, outcome.wamid, signals)
        return settlement(claim, self.of_outcome(job, outcome, is_probe=is_probe), signals)

    def of_outcome(self, job: SendJob, outcome: FinalOutcome, *, is_probe: bool = False) -> RecipientEvent:
        """The event of a final outcome. `is_probe`: the message was the probe of an open breaker."""
        match outcome:
            case Accepted(wamid=wamid, held=held, names=names):
                wamid = Wamid(wamid) if wamid else None
                others = [name for name in names if name != person_of_job(job)] or None
                return self.event(job, EventKind.ACCEPTED, wamid=wamid, held_for_quality=held, also_known_as=others)
            case Rejected() if is_held(outcome, is_probe=is_probe):
                self._log_held(outcome)
                return self._held(job)
            case Rejected():
                return self.event(job, EventKind.REJECTED, failure=self._failure(job, outcome))
            case NotSent():
                return self._held(job)
            case UnknownOutcome(reason=reason):
                _log.warning("outcome unknown", reason=reason, to=mask_phone(job.recipient_name), attempt=job.attempt)
                return self.event(job, EventKind.UNKNOWN)
            case _:
                assert_never(outcome)

    def _held(self, job: SendJob) -> RecipientEvent:
        wait_s = scaled_s(exponential(job.attempt, base_s=HELD_BASE_S, cap_s=HELD_CAP_S), self._time_scale)
        return self.event(job, EventKind.DEFERRED, not_before=self._now() + timedelta(seconds=wait_s))

    def event(self, job: SendJob, kind: EventKind, **fields: Any) -> RecipientEvent:
        """An event of this kind about the job's attempt, now. `fields`: those of RecipientEvent."""
        now = self._now()
        return RecipientEvent(
            producer=PRODUCER,
            kind=kind,
            campaign_id=job.campaign_id,
            recipient_id=job.recipient_id,
            attempt=job.attempt,
            phone_number_id=job.phone_number_id,
            occurred_at=now,
            received_at=now,
            **fields,
        )

    def _log_held(self, rejected: Rejected) -> None:
        kind = error_codes.error_class(rejected.code, rejected.subcode, transient_hint=rejected.transient_hint)
        if self._clock() >= self._log_code_from.get(rejected.code, 0.0):
            self._log_code_from[rejected.code] = self._clock() + LOG_EVERY_S
            _log.error("Meta refuses every message of a scope; they are deferred", scope=kind.value, code=rejected.code)

    def _failure(self, job: SendJob, rejected: Rejected) -> Failure:
        return error_codes.failure(
            rejected.code,
            rejected.reason,
            attempt=job.attempt,
            from_webhook=False,
            time_scale=self._time_scale,
            transient_hint=rejected.transient_hint,
            recipient=job.recipient_name,
        )


def person_of_job(job: SendJob) -> PersonKey:
    """The key of the person of a job."""
    return person_of(job.phone_number or f"{USER}{job.user_id}")


def is_held(rejected: Rejected, *, is_probe: bool) -> bool:
    """Whether a refused message is deferred: its reason is not the person's, and it surely was not sent.

    That holds for a code of a whole scope, and for a probe that shows that its scope still does not work.
    """
    kind = error_codes.error_class(rejected.code, rejected.subcode, transient_hint=rejected.transient_hint)
    return kind in SCOPE_WIDE or (is_probe and kind in (ErrorClass.TRANSIENT, ErrorClass.REQUEST))


def settlement(claim: Claim, event: RecipientEvent, signals: Signals = NO_SIGNALS) -> Settlement:
    """The ledger's record of an event that ends a claim."""
    return Settlement(claim, event.kind.value, event.model_dump_json(exclude_none=True), event.wamid, signals)
