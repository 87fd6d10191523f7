"""The route that repeats failed messages of a campaign."""

from __future__ import annotations

import structlog

from api.answers import RetriedOut
from api.bodies import RetryIn
from api.failed import RetryOrder, retry_failed
from api.problem_codes import ProblemCode
from api.problems import Problem
from api.routes import json_router
from api.services import UseCampaignId, UseServices
from topics.publisher import PublishFailed

router = json_router("/api/marketing/campaigns", "campaigns")
log = structlog.get_logger("api")
RETRY_AFTER_S = 5


@router.post("/{campaign_id}/retry")
async def retry_campaign(campaign_id: UseCampaignId, body: RetryIn, services: UseServices) -> RetriedOut:
    """Send failed messages again, by error code or class, also beyond their max_retries.

    A failed message surely was not delivered. The call may be repeated: nobody gets a message twice because of it.
    """
    order = RetryOrder(frozenset(body.codes), frozenset(body.classes), is_dry=body.dry_run)
    try:
        result = await retry_failed(services.pool, services.publisher, services.settings, campaign_id, order)
    except PublishFailed:
        detail = "Kafka did not acknowledge every retry. Repeat the call: it changes nothing twice."
        raise Problem(ProblemCode.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_S)}) from None
    if not body.dry_run:
        log.info("failed messages are sent again", campaign_id=str(campaign_id), recipients=result.retried)
    return RetriedOut.model_validate(result)
