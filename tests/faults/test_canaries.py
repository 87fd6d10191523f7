"""Bad campaigns spend their canary and no more, healthy ones finish beside them, and stops hold within two seconds."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from cli.demo.people import Person
from tests.faults.campaign import CAMPAIGNS, PROOF_DEADLINE_S, InjectedFault
from tests.faults.judging import posts_of
from tests.faults.start_and_end import finish_exactly, start_under_load
from tests.faults.steady_load import Crowd
from tests.faults.world import World
from tests.support.waiting import eventually
from verdict.truth import Post

pytestmark = [pytest.mark.faults, pytest.mark.slow]
PAUSED_DEADLINE_S, DONE_DEADLINE_S = 60.0, 180.0
ROUTE = "/api/marketing/campaigns"
CANARY, AUDIENCE = 100, 1000
"""People of a canary. In any hundred of them, 40 % of failures are surely above the limit of 15 %."""
HEALTHY, HEALTHY_PEOPLE = 20, 100
PATIENT = 1440
"""Webhooks come before the judgement: the world shortens ten minutes to three seconds, and they take as long."""


@dataclass(frozen=True)
class Scenario:
    """A campaign with a template of its own, by which the rules of the simulator find it."""

    id: str
    template: str
    people: tuple[Person, ...]

    def posts(self, world: World) -> list[Post]:
        """What the simulator received of it, in order."""
        return posts_of(world.settings, self.id, world.simulator.ledger())[0]


def begin(world: World, crowd: Crowd, template: str, people: int = AUDIENCE, **settings: object) -> Scenario:
    """Create a campaign with people, and leave it a draft, so that its rules come before its first message."""
    body = {"name": template, "template_name": template, "language_code": "en_US", "canary_min": CANARY, **settings}
    scenario = Scenario(str(world.api.call("POST", ROUTE, body)["id"]), template, tuple(crowd.take(people)))
    world.api.add(scenario.id, scenario.people)
    return scenario


def wait_for(world: World, scenario: Scenario, status: str, deadline_s: float) -> str:
    """Wait for a status. Returns the reason of a pause."""

    def read() -> Mapping[str, object] | None:
        found: Mapping[str, object] = world.api.call("GET", f"{ROUTE}/{scenario.id}")
        return found if found["status"] == status else None

    found = eventually(read, f"{scenario.template} is {status}", deadline_s)
    return str(found["pause_reason"])


def verify(world: World, scenario: Scenario) -> None:
    done = subprocess.run(
        [CAMPAIGNS, "verify", "--campaign", scenario.id, "--json"],
        env=world.environment, cwd=world.folder, capture_output=True, text=True, timeout=PROOF_DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{scenario.template}: {done.stdout[:2000]} {done.stderr[-1000:]}"


def test_bad_campaigns_spend_their_canary_while_healthy_ones_finish(world: World, crowd: Crowd) -> None:
    wrong = begin(world, crowd, "wrong_template")
    world.simulator.add_rule("reject", code=132001, template=wrong.template)
    parameters = begin(world, crowd, "wrong_parameters")
    world.simulator.add_rule("reject", code=132000, template=parameters.template)
    dead = begin(world, crowd, "dead_numbers", canary_wait_minutes=PATIENT)
    world.simulator.add_rule("fail", code=131026, template=dead.template)
    blocked = begin(world, crowd, "held_back", canary_wait_minutes=PATIENT)
    numbers = [person.number for person in blocked.people[: AUDIENCE * 4 // 10]]
    world.simulator.add_rule("fail", code=131049, template=blocked.template, numbers=numbers)
    unwanted = begin(world, crowd, "unwanted", canary_wait_minutes=PATIENT)
    slow = begin(world, crowd, "slow_delivery", HEALTHY_PEOPLE, canary_min=10)
    world.simulator.add_rule("accept", template=slow.template, statuses=[])
    settings = {"canary_min": 10, "failure_limit_percent": 40}  # a few transient failures belong to the simulator
    healthy = [begin(world, crowd, f"healthy_{n}", HEALTHY_PEOPLE, **settings) for n in range(HEALTHY)]
    bad = {
        wrong: "132001", dead: "too_many_failures", blocked: "too_many_blocks", unwanted: "too_many_opt_outs"
    }  # fmt: skip
    for scenario in (*bad, parameters, slow, *healthy):
        world.api.activate(scenario.id)
    eventually(lambda: len(unwanted.posts(world)) >= CANARY, "the canary is sent", PAUSED_DEADLINE_S)
    for post in unwanted.posts(world)[: CANARY * 12 // 100]:
        world.simulator.send_event("message", number=post.number, text="STOP")
    reasons = {each.template: wait_for(world, each, "paused", PAUSED_DEADLINE_S) for each in bad}
    print(json.dumps(reasons))
    opened = "SELECT count(*) FROM breaker_changes WHERE change = 'opened' AND key = 'wrong_parameters/en_US'"
    eventually(lambda: world.count(opened), "a breaker holds the wrong parameters", PAUSED_DEADLINE_S)
    assert all(code in reasons[each.template] for each, code in bad.items())
    spent = {each.template: len({post.number for post in each.posts(world)}) for each in bad}
    assert max(spent.values()) <= CANARY, spent
    for scenario in (slow, *healthy):
        eventually(
            lambda each=scenario: len({post.number for post in each.posts(world)}) == HEALTHY_PEOPLE,  # type: ignore[misc]
            f"{scenario.template} is sent", DONE_DEADLINE_S,
        )  # fmt: skip
    assert {each.template: len({post.number for post in each.posts(world)}) for each in bad} == spent
    assert len({post.number for post in parameters.posts(world)}) <= CANARY  # a breaker holds it, and probes
    for scenario in (*bad, slow, healthy[0]):
        verify(world, scenario)
    world.simulator.remove_rules()
    for scenario in (*bad, parameters):
        world.api.call("POST", f"{ROUTE}/{scenario.id}/cancel")


@pytest.mark.parametrize("act", ["pause", "cancel"])
def test_a_stop_holds_within_two_seconds_of_its_answer(world: World, crowd: Crowd, act: str) -> None:
    """The posts are those of the simulator, which shares the clock of this machine."""
    campaign = start_under_load(world, crowd, act)
    in_flight = campaign.accepted_unfinished()
    before = len(campaign.posted())
    eventually(lambda: len(campaign.posted()) > before, "messages are sent", 10.0)
    world.api.call("POST", f"{ROUTE}/{campaign.id}/{act}")
    stopped_at = time.time()
    eventually(lambda: time.time() > stopped_at + 4, "time passes", 10.0)
    posts = posts_of(world.settings, campaign.id, world.simulator.ledger())[0]
    assert max(post.received_at for post in posts) <= stopped_at + 2
    if act == "pause":
        world.api.call("POST", f"{ROUTE}/{campaign.id}/resume")
        resumed_at = time.time()
        count = len(posts)
        eventually(
            lambda: len(posts_of(world.settings, campaign.id, world.simulator.ledger())[0]) > count,
            "messages are sent again", 2.0,
        )  # fmt: skip
        finish_exactly(campaign, InjectedFault(resumed_at, max(1, in_flight)))


TEMPLATE = {"message_template_id": 7, "message_template_name": "demo_offer", "message_template_language": "en_US"}
STATUS = "message_template_status_update"
REPORTS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "paused the template": (STATUS, {**TEMPLATE, "event": "PAUSED", "reason": "NONE"}),
    "disabled the template": (STATUS, {**TEMPLATE, "event": "DISABLED", "reason": "NONE"}),
    "rejected the template": (STATUS, {**TEMPLATE, "event": "REJECTED", "reason": "NONE"}),
    "rates the quality": ("message_template_quality_update", {**TEMPLATE, "new_quality_score": "RED"}),
    "The template was edited": ("message_template_components_update", {**TEMPLATE, "message_template_element": "Hi"}),
    "flagged the number": ("phone_number_quality_update", {"display_phone_number": "15550783881", "event": "FLAGGED"}),
    "restricted the account": ("account_update", {"event": "ACCOUNT_RESTRICTION"}),
    "disabled the account": ("account_update", {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": "DISABLE"}}),
    "PAYMENT_FAILED": ("account_alerts", {"alert_info": {"alert_type": "PAYMENT_FAILED", "alert_status": "ACTIVE"}}),
}
"""They are sent as raw webhooks: the simulator then goes on accepting messages, so no breaker is faster."""


def test_each_report_of_meta_pauses_a_running_campaign_and_a_resume_stands(world: World, crowd: Crowd) -> None:
    campaign = start_under_load(world, crowd, "reports")
    in_flight = campaign.accepted_unfinished()
    scenario = Scenario(campaign.id, "demo_offer", ())
    for words, (field, value) in REPORTS.items():
        world.simulator.send_event("raw", field=field, value=value, timestamp=int(time.time()))
        reason = wait_for(world, scenario, "paused", PAUSED_DEADLINE_S)
        assert words in reason
        world.api.call("POST", f"{ROUTE}/{campaign.id}/resume")
    finish_exactly(campaign, InjectedFault(time.time(), max(1, in_flight)))
