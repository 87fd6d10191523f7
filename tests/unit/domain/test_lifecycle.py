import itertools
import re
from importlib.resources import files

import pytest

from domain.lifecycle import ACTIONS, Action, ActionNotAllowed, CampaignStatus, after


@pytest.mark.parametrize(("action", "status"), list(itertools.product(Action, CampaignStatus)))
def test_every_action_in_every_state_is_decided(action: Action, status: CampaignStatus) -> None:
    allowed, target = ACTIONS[action]
    if status in allowed:
        assert after(action, status) is target
    else:
        with pytest.raises(ActionNotAllowed) as refused:
            after(action, status)
        assert refused.value.status is status


def test_a_cancelled_campaign_stays_cancelled() -> None:
    assert all(CampaignStatus.CANCELLED not in allowed for allowed, _ in ACTIONS.values())


def test_the_schema_has_the_same_states() -> None:
    schema = files("tables").joinpath("sql", "schema.sql").read_text(encoding="utf-8")
    listed = re.search(r"CHECK \(status IN \(('draft'[^)]*)\)\)", schema)
    assert listed is not None
    assert re.findall(r"'(\w+)'", listed[1]) == [status.value for status in CampaignStatus]
