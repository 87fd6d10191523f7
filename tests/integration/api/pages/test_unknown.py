"""Messages with an unknown outcome are decided on the page: by event, once, and after their answers may have come."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from schemas.events import EventKind
from tests.support.api_client import Api, an_api
from tests.support.page_forms import OWN, submit
from tests.support.unknown_sends import unknown_sends
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("topics")


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


async def test_all_of_a_campaign_are_sent_again_after_a_warning(api: Api, world: World) -> None:
    jobs = await unknown_sends(world, 2, minutes=60)
    path = f"/campaigns/{jobs[0].campaign_id}"
    question = await api.http.get(f"{path}/unknown", params={"choice": "retry"})
    assert "<b>2 messages</b>" in question.text
    assert "a second time" in question.text
    assert await world.read_events() == [], "a question decides nothing"
    assert (await submit(api, question)).headers["location"] == f"{path}?done=unknown-retry"
    assert "are sent again" in (await api.http.get(f"{path}?done=unknown-retry")).text
    events = await world.read_events()
    assert {(each.kind, each.recipient_id) for each in events} == {(EventKind.RETRY, job.recipient_id) for job in jobs}


async def test_one_message_counts_as_sent(api: Api, world: World) -> None:
    one, other = await unknown_sends(world, 2, minutes=0)
    path = f"/campaigns/{one.campaign_id}"
    story = (await api.http.get(f"{path}/people/{one.recipient_id}")).text
    link = f"{path}/unknown?recipient={one.recipient_id}&amp;choice=assume-sent"
    assert link in story
    question = await api.http.get(link.replace("&amp;", "&"))
    assert "never sent this message again" in question.text
    assert (await submit(api, question)).status_code == 303
    assert [(each.kind, each.recipient_id) for each in await world.read_events()] == [
        (EventKind.ASSUMED_SENT, one.recipient_id)
    ]
    await world.run("UPDATE campaign_recipients SET accepted_attempts = 2, sent_at = now()")
    known = await api.http.get(f"{path}/unknown", params={"choice": "retry", "recipient": str(other.recipient_id)})
    assert "nothing to decide" in known.text


async def test_a_young_one_is_refused_and_then_forced(api: Api, world: World) -> None:
    [job] = await unknown_sends(world, 1, minutes=1)
    path = f"/campaigns/{job.campaign_id}/unknown"
    refused = await submit(api, await api.http.get(path, params={"choice": "retry"}))
    assert refused.status_code == 409
    assert "unknown for less than 15 minutes" in refused.text
    assert await world.read_events() == []
    assert (await submit(api, refused)).status_code == 303
    assert len(await world.read_events()) == 1


@pytest.mark.parametrize("fields", [{}, {"choice": "delete"}, {"choice": "retry", "recipient": "x"}])
async def test_a_form_that_names_no_decision_does_nothing(api: Api, world: World, fields: dict[str, str]) -> None:
    [job] = await unknown_sends(world, 1, minutes=60)
    path = f"/campaigns/{job.campaign_id}/unknown"
    question = await api.http.get(path, params={"choice": "retry"})
    [token] = re.findall(r'name="form_token" value="([0-9a-f]+)"', question.text)[:1]
    wrong = await api.http.post(path, data={"form_token": token, **fields}, headers=OWN)
    assert wrong.status_code == 422
    foreign = await api.http.post(path, data={"choice": "retry"}, headers=OWN)
    assert foreign.status_code == 403
    assert await world.read_events() == []


async def test_a_cancelled_campaign_sends_nothing_again(api: Api, world: World) -> None:
    [job] = await unknown_sends(world, 1, minutes=60)
    await world.set_campaign_status("cancelled")
    question = await api.http.get(f"/campaigns/{job.campaign_id}/unknown", params={"choice": "retry"})
    assert "sends nothing again" in question.text
    assert "<form" not in question.text.partition("<main")[2]
