"""Publishing released jobs again on a real Postgres: those that no sender has claimed, and no others."""

from uuid import uuid4

from domain.lifecycle import Action
from tables import ledger, publications, release_pages
from tables.publications import Patience
from tests.support.world import World

SOON = Patience(grace_s=0, delay_s=0, delay_max_s=0)


async def test_a_release_whose_leader_died_is_published(world: World) -> None:
    await world.start_campaign(3)
    released = (await world.release()).jobs
    assert await publications.find_unclaimed(await world.releaser(), {}, Patience(grace_s=60), 10) == []
    assert set(await publications.find_unclaimed(await world.releaser(), {}, SOON, 10)) == set(released)


async def test_a_job_is_published_again_once_the_sender_is_past_it(world: World) -> None:
    await world.start_campaign(2)
    jobs = (await world.release()).jobs
    await publications.record_published(await world.releaser(), jobs, [(0, 5), (1, 7)])
    page = await release_pages.find_page(await world.releaser(), release_pages.FIRST_RELEASE, 10)
    assert set(page.partitions) == {0, 1}
    assert await publications.find_unclaimed(await world.releaser(), {}, SOON, 10) == []
    assert await publications.find_unclaimed(await world.releaser(), {0: 5, 1: 7}, SOON, 10) == [], (
        "not past, but at it"
    )
    assert await publications.find_unclaimed(await world.releaser(), {0: 6, 1: 7}, SOON, 10) == [jobs[0]]
    waiting = Patience(grace_s=0, delay_s=60)
    assert await publications.find_unclaimed(await world.releaser(), {0: 6, 1: 8}, waiting, 10) == []
    assert len(await publications.find_unclaimed(await world.releaser(), {}, Patience(lost_s=0), 10)) == 2


async def test_paused_and_claimed_ones_are_not_published_again(world: World) -> None:
    campaign = await world.start_campaign(2)
    jobs = (await world.release()).jobs
    await ledger.claim(world.connection, uuid4(), jobs[:1], 45)
    assert await publications.find_unclaimed(await world.releaser(), {}, SOON, 10) == [jobs[1]]
    await world.act(campaign, Action.PAUSE)
    assert await publications.find_unclaimed(await world.releaser(), {}, SOON, 10) == []
    await world.act(campaign, Action.RESUME)
    assert await publications.find_unclaimed(await world.releaser(), {}, SOON, 10) == [jobs[1]]


async def test_an_old_acceptance_that_fails_later_leaves_the_release_to_be_published(world: World) -> None:
    await world.start_campaign(1)
    await world.release()
    await world.run("UPDATE campaign_recipients SET attempt = 2, accepted_attempts = 2, sent_at = now()")
    await world.run("UPDATE releases SET attempt = 2")
    assert (await release_pages.forget_answered(await world.releaser(), 0, 10)).deleted == 0
    assert await publications.find_unclaimed(await world.releaser(), {}, SOON, 10) == []
    await world.run("UPDATE campaign_recipients SET failed_attempts = 2, failed_attempt = 1, failure_text = 'x'")
    assert len(await publications.find_unclaimed(await world.releaser(), {}, SOON, 10)) == 1


async def test_jobs_of_a_recreated_topic_are_published_again(world: World) -> None:
    await world.start_campaign(2)
    jobs, releaser = (await world.release()).jobs, await world.releaser()
    await publications.record_published(releaser, jobs, [(0, 5), (0, 6)], "old")
    assert await publications.find_unclaimed(releaser, {0: 0}, SOON, 10, "old") == []
    assert await publications.find_unclaimed(releaser, {0: 0}, SOON, 10, None) == [], "Kafka has not named the topic"
    assert len(await publications.find_unclaimed(releaser, {0: 0}, SOON, 10, "new")) == 2
    await publications.record_published(releaser, jobs, [(0, 0), (0, 1)], "new")
    assert await publications.find_unclaimed(releaser, {0: 0}, SOON, 10, "new") == []
