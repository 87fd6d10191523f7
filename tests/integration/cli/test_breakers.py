"""`campaigns breakers`: what an operator sees, opens and closes."""

from __future__ import annotations

import json

import pytest

from cli.breakers import close_breaker, list_breakers, open_breaker
from cli.confirmation import Consent
from domain.breakers import Scope
from runtime.process import EXIT_OK, EXIT_USAGE
from runtime.settings import Settings
from tests.support.world import NUMBER_ID, World

SURE = Consent(is_given=True)


@pytest.fixture
def settings(world: World) -> Settings:
    return Settings.model_validate({"kafka_bootstrap_servers": "unused:1", "database_url": world.url})


async def test_an_operator_opens_lists_and_closes(
    world: World, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.start_campaign(1)
    assert await list_breakers(settings, as_json=False) == EXIT_OK
    assert "no breaker is open" in capsys.readouterr().err
    assert await open_breaker(settings, Scope.NUMBER, NUMBER_ID, "maintenance", SURE) == EXIT_OK
    assert (await world.release()).jobs == ()
    capsys.readouterr()
    await list_breakers(settings, as_json=False)
    shown = capsys.readouterr().out
    assert "maintenance" in shown
    assert "waits for a human" in shown
    await list_breakers(settings, as_json=True)
    [document] = json.loads(capsys.readouterr().out)
    assert (document["scope"], document["key"], document["is_open"]) == ("number", NUMBER_ID, True)
    assert await close_breaker(settings, Scope.NUMBER, NUMBER_ID, SURE) == EXIT_OK
    assert len((await world.release()).jobs) == 1
    assert await close_breaker(settings, Scope.NUMBER, NUMBER_ID, SURE) == EXIT_OK
    assert "nothing to do" in capsys.readouterr().err


async def test_a_close_without_a_terminal_needs_yes_and_a_wrong_key_is_named(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert await close_breaker(settings, Scope.ACCOUNT, "", Consent()) == EXIT_USAGE
    assert "--yes" in capsys.readouterr().err
    assert await open_breaker(settings, Scope.TEMPLATE, "promo", "x", SURE) == EXIT_USAGE
    assert "my_template/en_US" in capsys.readouterr().err
