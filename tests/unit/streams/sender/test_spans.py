"""A claim and each request have a span. It names the outcome, and neither a number nor a message id as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args
from uuid import uuid4

import pytest

from domain.error_codes import ThrottleScope
from domain.outcomes import Accepted, NotSent, Outcome, Rejected, Throttled, UnknownOutcome
from domain.traces import Step
from runtime.tracing import TRACES
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from streams.sender.spans import OUTCOMES, record_claim, record_post
from tables.ledger import ClaimAnswer, ClaimResult
from tests.support.spans import values

if TYPE_CHECKING:
    from tests.support.spans import Spans

PHONE_NUMBER = "15550001234"
WAMID = "wamid.HBgLMTU1NTAwMDEyMzQVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
JOB = SendJob(
    campaign_id=CampaignId(uuid4()), recipient_id=RecipientId(uuid4()), attempt=1, phone_number=PHONE_NUMBER,
    phone_number_id="106540352242922", template_name="t", language_code="en", template_parameters=["secret text"],
    send_before=datetime(2100, 1, 1, tzinfo=UTC),
)  # fmt: skip


def claim(spans: Spans, verdict: ClaimResult, event: str | None, started_ns: int) -> None:
    published_by = TRACES.place(TRACES.headers(JOB, Step.RELEASE) or ())
    assert published_by is not None
    record_claim(JOB, ClaimAnswer(verdict, event), started_ns, published_by)


def test_the_claim_in_the_ledger_is_the_parent_of_the_requests(spans: Spans) -> None:
    claim(spans, ClaimResult.CLAIMED, None, 1)
    record_post(JOB, Throttled(ThrottleScope.NUMBER, 130429), 2)
    record_post(JOB, Accepted(WAMID), 3)
    claimed = spans.one("claim")
    assert [spans.parent_of(span) for span in spans.named("send")] == [claimed, claimed]
    assert len({span.context.span_id for span in spans.all if span.context}) == 3


@pytest.mark.parametrize(
    ("verdict", "event", "is_parent"),
    [
        (ClaimResult.PROBE, None, True),
        (ClaimResult.EXPIRED, "{}", True),
        (ClaimResult.BUSY, None, False),
    ],
)
def test_a_job_that_the_ledger_does_not_take_has_a_span_of_its_own(
    spans: Spans, verdict: ClaimResult, event: str | None, is_parent: bool
) -> None:
    claim(spans, verdict, event, 1)
    TRACES.record(Step.PUBLISH, JOB, 2, under=Step.CLAIM)
    [claimed], [published] = spans.named("claim"), spans.named("publish")
    assert claimed.context is not None
    assert published.parent is not None
    assert (claimed.context.span_id == published.parent.span_id) == is_parent
    assert values(claimed)["campaigns.verdict"] == verdict.value


@pytest.mark.parametrize(
    ("outcome", "name", "code", "error"),
    [
        (Accepted(WAMID), "accepted", None, None),
        (Rejected(131026, f"not possible for +{PHONE_NUMBER}"), "rejected", 131026, "not possible for *********34"),
        (Throttled(ThrottleScope.NUMBER, 130429), "throttled", 130429, "throttled"),
        (UnknownOutcome("timeout"), "unknown", None, "timeout"),
        (NotSent("connect"), "not_sent", None, "connect"),
    ],
)
def test_a_request_names_its_outcome(
    spans: Spans, outcome: Outcome, name: str, code: int | None, error: str | None
) -> None:
    record_post(JOB, outcome, 1)
    span = spans.one("send")
    assert (values(span)["campaigns.outcome"], values(span).get("campaigns.code")) == (name, code)
    assert span.status.description == error
    for private in (PHONE_NUMBER, WAMID, "secret text"):
        assert private not in span.to_json()


def test_each_outcome_has_a_word() -> None:
    assert set(OUTCOMES) == set(get_args(Outcome))
