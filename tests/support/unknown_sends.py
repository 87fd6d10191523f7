"""Messages whose outcome is unknown."""

from __future__ import annotations

from schemas.jobs import SendJob
from tests.support.world import World


async def unknown_sends(world: World, count: int, minutes: int = 60) -> list[SendJob]:
    """Jobs that became unknown so many minutes ago."""
    jobs = await world.release_jobs(count)
    await world.claim(jobs)
    await world.run(
        "UPDATE send_ledger SET outcome = 'unknown', outcome_at = now() - %s * interval '1 minute', event = '{}',"
        " published_at = now()",
        minutes,
    )
    await world.run("UPDATE campaign_recipients SET unknown_attempt = attempt")
    return jobs
