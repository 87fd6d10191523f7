"""The spans of the sender: its claims and its requests to the Cloud API. They hold no secret and no whole number."""

from __future__ import annotations

from domain.outcomes import Accepted, NotSent, Outcome, Rejected, Throttled, UnknownOutcome
from domain.traces import SpanPlace, Step
from runtime.logs import mask_phone, mask_text, mask_wamid
from runtime.tracing import TRACES
from schemas.jobs import SendJob
from streams.sender.claims import OWNED
from tables.ledger import ClaimAnswer

OUTCOMES = {
    Accepted: "accepted",
    Rejected: "rejected",
    Throttled: "throttled",
    UnknownOutcome: "unknown",
    NotSent: "not_sent",
}


def record_claim(job: SendJob, answer: ClaimAnswer, started_ns: int, published_by: SpanPlace) -> None:
    """Record a claim. `published_by`: the span in the header of the job.

    The ledger takes one answer for each attempt, and that span is the parent of those that follow. A job that came
    twice is refused without an answer, and has a span of its own.
    """
    is_in_ledger = answer.verdict in OWNED or answer.event is not None
    TRACES.record(
        Step.CLAIM,
        job,
        started_ns,
        under=published_by,
        key="" if is_in_ledger else str(started_ns),
        verdict=answer.verdict.value,
        campaign_id=str(job.campaign_id),
        number=job.phone_number_id,
        to=mask_phone(job.recipient_name),
    )


def record_post(job: SendJob, outcome: Outcome, started_ns: int) -> None:
    """Record one request to the Cloud API."""
    if not TRACES.is_on:
        return
    reason = "" if isinstance(outcome, Accepted | Throttled) else mask_text(outcome.reason)
    error = "throttled" if isinstance(outcome, Throttled) else reason
    TRACES.record(
        Step.SEND,
        job,
        started_ns,
        under=Step.CLAIM,
        key=str(started_ns),
        error=error,
        outcome=OUTCOMES[type(outcome)],
        code=None if isinstance(outcome, Accepted | NotSent) else outcome.code,
        wamid=mask_wamid(outcome.wamid) if isinstance(outcome, Accepted) and outcome.wamid else None,
        campaign_id=str(job.campaign_id),
        number=job.phone_number_id,
        to=mask_phone(job.recipient_name),
    )
