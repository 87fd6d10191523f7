"""`process-daily`: runs the release of the scheduler now, and publishes the jobs at once.

It takes no lock, because budgets and rows stay correct with any number of releasers.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from fastapi import APIRouter

from api.answers import ProcessedOut
from api.problem_codes import ProblemCode
from api.problems import RETRY_AFTER_S, Problem
from api.services import Services, UseServices
from runtime.settings import Settings
from runtime.tracing import now_ns
from schemas.jobs import SendJob
from schemas.topics import Topic
from tables import publications, releases
from tables.database import connect
from tables.release_memory import ReleaseMemory
from tables.releases import RELEASER_SESSION, Rates
from topics.jobs import count_released, publish_jobs
from topics.publisher import PublishFailed

STEPS_MAX = 20
"""Most steps of one call, so that no call takes long."""

KAFKA_AWAY = "Kafka does not answer, so nothing was released. Repeat the request after Retry-After seconds."

router = APIRouter(prefix="/api/marketing", tags=["campaigns"])
log = structlog.get_logger("api")


@router.post("/process-daily")
async def release_recipients(services: UseServices) -> ProcessedOut:
    """Release what is due, as far as rates and daily limits allow, without waiting for the scheduler."""
    settings = services.settings
    if not await services.publisher.is_reachable(settings.topic(Topic.SEND_JOBS)):
        raise Problem(ProblemCode.UNAVAILABLE, KAFKA_AWAY, headers={"Retry-After": str(RETRY_AFTER_S)})
    async with services.pool.connection() as connection:
        already_released = await releases.count_released(connection)
    jobs, skipped = await _release(settings)
    await _publish(services, jobs)
    async with services.pool.connection() as connection:
        due_later = await releases.count_due(connection)
    return ProcessedOut(released=len(jobs), skipped=skipped, due_later=due_later, already_released=already_released)


async def _release(settings: Settings) -> tuple[list[SendJob], int]:
    """Release on a connection of its own, and return the jobs and the number of skipped recipients."""
    rates, memory = Rates.of(settings), ReleaseMemory()
    url = settings.database_url.get_secret_value()
    jobs, skipped = list[SendJob](), 0
    async with await connect(url, application_name="campaigns-api-release", session=RELEASER_SESSION) as connection:
        for _ in range(STEPS_MAX):
            started_ns = now_ns()
            step = await releases.release_step(connection, rates, memory)
            if not step.jobs and not step.skipped:
                break
            count_released(step.jobs, started_ns)
            jobs += step.jobs
            skipped += step.skipped
    return jobs, skipped


async def _publish(services: Services, jobs: Sequence[SendJob]) -> None:
    """Publish the jobs. The releases are durable: what Kafka does not take now, the scheduler publishes later."""
    if not jobs:
        return
    try:
        places = await publish_jobs(services.publisher, services.settings, jobs)
    except PublishFailed as error:
        log.warning("jobs are released; they are published once Kafka answers", jobs=len(jobs), error=str(error))
        return
    async with services.pool.connection() as connection:
        await publications.record_published(connection, jobs, places)
