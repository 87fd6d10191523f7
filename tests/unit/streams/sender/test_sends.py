"""A send after an answer that may have opened a breaker."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

from domain.outcomes import Accepted, Outcome
from domain.signals import Signals
from schemas.jobs import SendJob
from schemas.model import CampaignId, RecipientId
from streams.sender.claims import Renewed
from streams.sender.gate import Gate
from streams.sender.sends import Sends, SendTiming
from tables.ledger import Claim, ClaimAnswer, ClaimResult, UnpublishedOutcome

BAD_TOKEN = Signals("nnnhg", 190, "code 190")
JOB = SendJob(
    campaign_id=CampaignId(uuid4()), recipient_id=RecipientId(uuid4()), attempt=1, phone_number="15550000000",
    phone_number_id="1", template_name="t", language_code="en", template_parameters=None,
    send_before=datetime(2100, 1, 1, tzinfo=UTC),
)  # fmt: skip
CLAIM = Claim(JOB.recipient_id, 1, uuid4())


@dataclass
class Surroundings:
    """The claims, the Cloud API and the outbox of one send. Each renewal is refused by a breaker."""

    now_s: float = 10.0
    posts: int = 0
    published: list[str] = field(default_factory=list)

    async def renew(self, _claim: Claim) -> Renewed:
        return Renewed(ClaimAnswer(ClaimResult.DEFERRED, "{}"), self.now_s)

    async def post(self, _job: SendJob, _callback_data: str) -> Outcome:
        self.posts += 1
        return Accepted("wamid.A")

    async def publish(self, outcome: UnpublishedOutcome) -> None:
        self.published.append(outcome.outcome)

    def sends(self) -> Sends:
        parts = cast("Any", self)
        return Sends(
            claims=parts, gate=Gate(1000.0), api=parts, outbox=parts, timing=SendTiming(45.0, 1.0),
            callback_data=lambda _: "", clock=lambda: self.now_s, failures=parts,
        )  # fmt: skip


async def test_a_claim_from_before_a_trouble_is_renewed_before_its_post() -> None:
    """The claim is young, but the breakers have changed since: only a renewal knows them."""
    around = Surroundings()
    sends = around.sends()
    issued_at = around.now_s
    around.now_s += 0.1
    with sends._trouble.settling("1", BAD_TOKEN):
        pass
    await sends.send(JOB, CLAIM, issued_at)
    assert (around.posts, around.published) == (0, ["deferred"])
