"""`process-daily`: runs the release of the scheduler now, and publishes the jobs at once.

It takes no lock, because budgets and rows stay correct with any number of releasers.
"""

from __future__ import annotations

import structlog
from fastapi import APIRouter

from api.bodies import ProcessedOut
from api.services import UseServices
from runtime import metrics
from tables import releases
from tables.database import connect
from tables.release_memory import ReleaseMemory
from topics.jobs import publish_jobs
from topics.publisher import PublishFailed

STEPS_MAX = 20
"""Most steps of one call, so that no call takes long."""

router = APIRouter(prefix="/api/marketing", tags=["campaigns"])
log = structlog.get_logger("api")


@router.post("/process-daily")
async def process_daily(services: UseServices) -> ProcessedOut:
    """Release what is due, as far as rates and daily limits allow, without waiting for the scheduler."""
    settings = services.settings
    rates = releases.Rates(mps=settings.whatsapp_mps, cap_s=settings.release_cap_s)
    url = settings.database_url.get_secret_value()
    memory = ReleaseMemory()
    released = skipped = 0
    connection = await connect(url, application_name="campaigns-api-release", session=releases.RELEASER_SESSION)
    async with connection:
        _, already_released = await releases.count_not_released(connection)
        for _ in range(STEPS_MAX):
            step = await releases.release_step(connection, rates, memory)
            if not step.jobs and not step.skipped:
                break
            released += len(step.jobs)
            skipped += step.skipped
            metrics.SCHEDULER_RELEASED.inc(len(step.jobs))
            try:
                places = await publish_jobs(services.publisher, settings, step.jobs)
            except PublishFailed as error:
                # The releases are durable, and the scheduler publishes unpublished jobs.
                log.warning(
                    "jobs are released; the scheduler publishes them once Kafka answers",
                    jobs=len(step.jobs),
                    error=str(error),
                )
                break
            async with services.pool.connection() as recording:
                await releases.record_published(recording, step.jobs, places)
        due_later, _ = await releases.count_not_released(connection)
    return ProcessedOut(released=released, skipped=skipped, due_later=due_later, already_released=already_released)
