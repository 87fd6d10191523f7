"""Exclusions on a real Postgres: by person, at the release, as the pure rules judge."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from domain.exclusions import ExcludedRecipients, InvalidExclusion, is_excluded
from domain.lifecycle import Action
from domain.people import PersonKey
from domain.status import Status
from schemas.model import CampaignId
from tables import campaigns, drafts, editing, explanations, stats
from tables.exclusions import find_excluded
from tables.new_recipients import NewRecipient
from tables.person_links import link_keys
from tests.support.world import World

FACTS = {
    Status.PENDING: "attempt = 0",
    Status.QUEUED: "attempt = 1",
    Status.SKIPPED: "attempt = 1, skipped_attempt = 1, skip_reason = 'opted_out'",
    Status.UNKNOWN: "attempt = 1, unknown_attempt = 1",
    Status.FAILED: "attempt = 1, accepted_attempts = 2, failed_attempts = 2, failed_attempt = 1, failed_at = now(),"
    " failure_class = 'never', failure_backoff_s = 0",
    Status.SENT: "attempt = 1, accepted_attempts = 2",
    Status.DELIVERED: "attempt = 1, accepted_attempts = 2, sent_at = now(), delivered_at = now()",
    Status.READ: "attempt = 1, accepted_attempts = 2, sent_at = now(), delivered_at = now(), read_at = now()",
}


async def other_campaign(world: World) -> tuple[CampaignId, dict[str, Status]]:
    """A draft with a recipient of each status, and their numbers."""
    campaign = await world.create_campaign(len(FACTS))
    numbers = await world.run(
        "SELECT phone_number FROM campaign_recipients WHERE campaign_id = %s ORDER BY phone_number", campaign
    )
    found = {number: status for (number,), status in zip(numbers, FACTS, strict=True)}
    for number, status in found.items():
        await world.run(f"UPDATE campaign_recipients SET {FACTS[status]} WHERE phone_number = %s", number)
    return campaign, found


@pytest.mark.parametrize("recipients", ExcludedRecipients)
async def test_a_release_leaves_out_what_the_pure_rules_leave_out(world: World, recipients: ExcludedRecipients) -> None:
    other, statuses = await other_campaign(world)
    campaign = await world.create_campaign(1)
    await campaigns.add_recipients(world.connection, campaign, [NewRecipient(number) for number in statuses])
    changes = {"exclude_campaigns": (other, UUID(int=5)), "exclude_recipients": recipients}
    await editing.edit(world.connection, campaign, changes)
    await world.act(campaign, Action.ACTIVATE)
    step = await world.release()
    left = {number for number, status in statuses.items() if not is_excluded([status], recipients)}
    assert {job.phone_number for job in step.jobs} & statuses.keys() == left
    assert (len(step.jobs), step.skipped) == (len(left) + 1, len(statuses) - len(left))
    assert await stats.recount(world.connection, campaign) == []
    groups = {each.reason.value: each for each in (await explanations.read(world.connection, campaign)).reasons}
    assert (groups["excluded"].recipients, groups["excluded"].detail) == (step.skipped, "Test Campaign")


async def test_what_the_other_campaign_sends_meanwhile_counts_under_every_key(world: World) -> None:
    """Both run: the one that is excluded sends first, to the phone number of a person who has a user id here."""
    user = "US.13491208655302741918"
    other = await world.start_campaign(1)
    campaign = await world.create_campaign(0)
    await editing.edit(world.connection, campaign, {"exclude_campaigns": (other,)})
    await campaigns.add_recipients(world.connection, campaign, [NewRecipient(None, user_id=user)])
    await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, attempt = 1 WHERE campaign_id = %s", other)
    number = await world.value("SELECT person FROM campaign_recipients WHERE campaign_id = %s", other)
    await link_keys(world.connection, {(PersonKey(number), PersonKey(f"user:{user}")): True})
    await world.act(campaign, Action.ACTIVATE)
    assert (await world.release()).skipped == 1
    assert await world.run("SELECT skip_reason FROM campaign_recipients WHERE campaign_id = %s", campaign) == [
        ("excluded",)
    ]


async def test_campaigns_are_found_by_id_and_by_a_name_that_is_only_one(world: World) -> None:
    first, second = await world.create_campaign(0), await world.create_campaign(0)
    await editing.edit(world.connection, first, {"name": "Sale"})
    find = find_excluded
    assert await find(world.connection, []) == ()
    assert await find(world.connection, [str(second), "Sale", str(first)]) == (second, first)
    for text, why in ((str(uuid4()), "no campaign"), ("Nothing", "no campaign"), ("Test Campaign", "Several")):
        with pytest.raises(InvalidExclusion, match=why):
            await find(world.connection, ["Sale", text])


async def test_a_campaign_does_not_exclude_itself_and_a_clone_excludes_the_same(world: World) -> None:
    other, campaign = await world.create_campaign(0), await world.create_campaign(0)
    with pytest.raises(InvalidExclusion, match="its own"):
        await editing.edit(world.connection, campaign, {"exclude_campaigns": (other, campaign)})
    await editing.edit(world.connection, campaign, {"exclude_campaigns": (other,), "exclude_recipients": "read"})
    clone = await drafts.clone(world.connection, campaign, with_recipients=False)
    assert (clone.exclude_campaigns, clone.exclude_recipients) == ((other,), "read")
