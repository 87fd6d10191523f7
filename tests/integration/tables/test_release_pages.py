"""All releases are read a page at a time on a real Postgres, each once, and nothing is missed between two pages."""

from __future__ import annotations

from tables import publications, release_pages
from tables.database import Connection
from tables.publications import Patience
from tables.release_pages import FIRST_RELEASE, ReleasePage
from tests.support.world import World

SOON = Patience(grace_s=0, delay_s=0, delay_max_s=0)


async def pages_of(connection: Connection, limit: int) -> list[ReleasePage]:
    """All pages, from the first to the last."""
    found = [await release_pages.find_page(connection, FIRST_RELEASE, limit)]
    while found[-1].next != FIRST_RELEASE:
        found.append(await release_pages.find_page(connection, found[-1].next, limit))
    return found


async def test_without_releases_there_is_one_page(world: World) -> None:
    assert await pages_of(world.connection, 10) == [release_pages.ALL_RELEASES]


async def test_the_pages_have_every_unclaimed_job_once(world: World) -> None:
    await world.start_campaign(7)
    released, releaser = (await world.release()).jobs, await world.releaser()
    for limit, pages in ((1, 8), (2, 4), (3, 3), (7, 2), (8, 1)):
        found = await pages_of(releaser, limit)
        assert len(found) == pages
        jobs = [await publications.find_unclaimed(releaser, {}, SOON, 100, page=page) for page in found]
        assert all(len(each) <= limit for each in jobs)
        assert sorted(job.recipient_id for each in jobs for job in each) == sorted(job.recipient_id for job in released)


async def test_a_page_names_the_partitions_of_its_jobs(world: World) -> None:
    await world.start_campaign(4)
    jobs, releaser = sorted((await world.release()).jobs, key=lambda job: job.recipient_id), await world.releaser()
    await publications.record_published(releaser, jobs, [(2, 5), (1, 7), (2, 6), (3, 1)])
    assert [set(page.partitions) for page in await pages_of(releaser, 2)] == [{1, 2}, {2, 3}, set()]


async def test_every_page_is_rid_of_releases_that_cannot_be_claimed(world: World) -> None:
    campaign = await world.start_campaign(7)
    jobs, releaser = sorted((await world.release()).jobs, key=lambda job: job.recipient_id), await world.releaser()
    gone = [str(jobs[place].recipient_id) for place in (0, 3, 4, 6)]
    await world.run("DELETE FROM campaign_recipients WHERE id = ANY(%s::uuid[])", gone)
    deleted: list[int] = []
    after = FIRST_RELEASE
    while not deleted or after != FIRST_RELEASE:
        page = await release_pages.forget_answered(releaser, 0, 2, after)
        deleted.append(page.deleted)
        after = page.next
    assert deleted == [1, 1, 1, 1]
    assert await world.budget_used(campaign) == 3


async def test_a_locked_release_is_left_to_the_next_pass(world: World) -> None:
    await world.start_campaign(2)
    await world.release()
    await world.run("DELETE FROM campaign_recipients")
    releaser = await world.releaser()
    async with world.another("claimer") as claimer, claimer.transaction():
        await claimer.execute("SELECT FROM releases ORDER BY recipient_id LIMIT 1 FOR UPDATE")
        assert (await release_pages.forget_answered(releaser, 0, 10)).deleted == 1
    assert (await release_pages.forget_answered(releaser, 0, 10)).deleted == 1
