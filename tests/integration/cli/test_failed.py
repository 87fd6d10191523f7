"""`campaigns failed`: counts by code, and a retry that asks first."""

from __future__ import annotations

import json

import pytest

from cli.confirmation import Consent
from cli.failed import list_failed, retry
from cli.lifecycle import EXIT_NOT_ALL
from cli.resume import resume_campaigns
from domain.error_codes import ErrorClass
from runtime.process import EXIT_OK, EXIT_USAGE
from runtime.settings import Settings
from schemas.events import EventKind, Failure, RetryClass
from tests.support.world import World


async def fail_all(world: World, count: int) -> None:
    failure = Failure(code=132000, reason="x", retry_class=RetryClass.NEVER, backoff_s=0)
    people = await world.add_recipients(count)
    await world.apply(*(world.event(each, EventKind.REJECTED, wamid=None, failure=failure) for each in people))


@pytest.mark.usefixtures("topics")
async def test_failures_are_counted_and_sent_again(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await fail_all(world, 2)
    capsys.readouterr()
    assert await list_failed(settings, str(world.campaign), as_json=True) == EXIT_OK
    assert json.loads(capsys.readouterr().out) == [{"code": "132000", "class": "request", "recipients": 2}]

    async def run(consent: Consent) -> int:
        return await retry(settings, str(world.campaign), (), (ErrorClass.REQUEST,), consent, as_json=True)

    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert await run(Consent()) == EXIT_USAGE
    assert "--yes" in capsys.readouterr().err
    assert await run(Consent(is_dry=True)) == EXIT_OK
    assert json.loads(capsys.readouterr().out)["retried"] == 2
    assert await run(Consent(is_given=True)) == EXIT_OK
    async with world.running_sinks():
        await world.wait_for_value(2, "SELECT count(*) FROM campaign_recipients WHERE next_attempt_at <= now()")


async def test_an_order_must_name_failures(settings: Settings, world: World) -> None:
    assert await retry(settings, str(world.campaign), (), (), Consent(is_given=True), as_json=False) == EXIT_USAGE


@pytest.mark.usefixtures("topics")
async def test_a_resume_sends_to_the_failed_again_in_one_act(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await fail_all(world, 2)
    await world.set_campaign_status("paused")
    capsys.readouterr()

    async def resume(consent: Consent) -> int:
        return await resume_campaigns(
            settings, world.connection, [str(world.campaign)], consent, as_json=False, retry_failed=True
        )

    assert await resume(Consent(is_dry=True)) == EXIT_OK
    assert "2 failed recipients are sent to again" in capsys.readouterr().err
    assert await world.value("SELECT status FROM marketing_campaigns") == "paused"
    assert await resume(Consent(is_given=True)) == EXIT_OK
    assert await world.value("SELECT status FROM marketing_campaigns") == "active"
    async with world.running_sinks():
        await world.wait_for_value(2, "SELECT count(*) FROM campaign_recipients WHERE next_attempt_at <= now()")
    capsys.readouterr()
    assert await resume(Consent(is_given=True)) == EXIT_NOT_ALL, "it is active"
    assert "sent to again" not in capsys.readouterr().err
