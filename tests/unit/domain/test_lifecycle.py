import itertools
import re
from importlib.resources import files

import pytest

from domain.lifecycle import ACTIONS, Action, ActionNotAllowed, CampaignStatus, EmptyCampaign, after


@pytest.mark.parametrize(("action", "status"), list(itertools.product(Action, CampaignStatus)))
def test_every_action_in_every_state_is_decided(action: Action, status: CampaignStatus) -> None:
    allowed, target = ACTIONS[action]
    if status in allowed:
        assert after(action, status) is target
    else:
        with pytest.raises(ActionNotAllowed) as refused:
            after(action, status)
        assert refused.value.status is status


def test_only_the_activation_needs_recipients() -> None:
    for action, (allowed, target) in ACTIONS.items():
        for status in allowed:
            if action is Action.ACTIVATE:
                with pytest.raises(EmptyCampaign, match="add at least one"):
                    after(action, status, is_empty=True)
            else:
                assert after(action, status, is_empty=True) is target


def test_a_refusal_of_an_empty_campaign_says_what_to_do() -> None:
    with pytest.raises(EmptyCampaign) as refused:
        after(Action.ACTIVATE, CampaignStatus.DRAFT, is_empty=True)
    assert str(refused.value) == "the campaign has no recipients: add at least one, and then activate it"
    assert refused.value.status is CampaignStatus.DRAFT


def test_the_state_is_judged_before_the_recipients() -> None:
    with pytest.raises(ActionNotAllowed, match="already active"):
        after(Action.ACTIVATE, CampaignStatus.ACTIVE, is_empty=True)


def test_a_refusal_names_the_state() -> None:
    with pytest.raises(ActionNotAllowed, match=r"^the campaign is already paused$"):
        after(Action.PAUSE, CampaignStatus.PAUSED)
    with pytest.raises(ActionNotAllowed, match=r"^the campaign is draft: cannot pause it$"):
        after(Action.PAUSE, CampaignStatus.DRAFT)


@pytest.mark.parametrize(
    ("action", "moves"),
    [
        (Action.ACTIVATE, {"draft": "active"}),
        (Action.PAUSE, {"active": "paused"}),
        (Action.RESUME, {"paused": "active"}),
        (Action.CANCEL, {"draft": "cancelled", "active": "cancelled", "paused": "cancelled"}),
    ],
)
def test_the_states_that_an_action_leads_from_and_to(action: Action, moves: dict[str, str]) -> None:
    allowed, target = ACTIONS[action]
    assert {status.value: target.value for status in allowed} == moves


def test_a_cancelled_campaign_stays_cancelled() -> None:
    assert all(CampaignStatus.CANCELLED not in allowed for allowed, _ in ACTIONS.values())


def test_the_schema_has_the_same_states() -> None:
    schema = files("tables").joinpath("sql", "schema.sql").read_text(encoding="utf-8")
    listed = re.search(r"CHECK \(status IN \(('draft'[^)]*)\)\)", schema)
    assert listed is not None
    assert re.findall(r"'(\w+)'", listed[1]) == [status.value for status in CampaignStatus]
