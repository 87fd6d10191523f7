"""The Cloud API refuses everybody, hangs, or is another server: a campaign loses a few messages and then finishes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.faults.injections import answer_wrongly
from tests.faults.start_and_end import finish_exactly, start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import World

pytestmark = [pytest.mark.faults, pytest.mark.slow]
SECONDS = 15.0

HUMAN: Mapping[str, Mapping[str, object]] = {
    "a wrong token": {"code": 190},
    "a paused template": {"code": 132015},
    "a payment block": {"code": 131042},
    "a deregistered number": {"code": 133010},
}
"""Refusals after which Meta asks for a human."""
PASSING: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "a page of a proxy": ("foreign", {"http_status": 403, "content_type": "text/html", "body": "<html>denied</html>"}),
    "another server that accepts": ("foreign", {}),
    "a bad gateway": ("bad_gateway", {}),
    "no answers": ("hang", {}),
    "an outage at Meta": ("reject", {"code": 131000}),
}


@pytest.mark.parametrize("cause", HUMAN)
def test_a_refusal_that_needs_a_human_pauses_the_campaign_and_loses_nobody(
    world: World, crowd: Crowd, cause: str
) -> None:
    campaign = start_under_load(world, crowd, cause)
    fault = answer_wrongly(world, campaign, "reject", HUMAN[cause], SECONDS)
    changes = "SELECT count(*) FROM breaker_changes WHERE change = %s AND code = %s"
    assert world.count(changes, "opened", HUMAN[cause]["code"]) >= 1
    assert world.count(changes, "campaign_paused", HUMAN[cause]["code"]) >= 1
    result = finish_exactly(campaign, fault)
    assert result.unknown_ever == 0
    failed = "SELECT count(*) FROM campaign_recipients WHERE campaign_id = %s AND failure_code = %s"
    assert world.count(failed, campaign.id, HUMAN[cause]["code"]) == 0


@pytest.mark.parametrize("cause", PASSING)
def test_a_trouble_that_passes_costs_a_few_messages(world: World, crowd: Crowd, cause: str) -> None:
    outcome, settings = PASSING[cause]
    campaign = start_under_load(world, crowd, cause)
    finish_exactly(campaign, answer_wrongly(world, campaign, outcome, settings, SECONDS))
