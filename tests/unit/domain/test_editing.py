"""The table of editable settings decides every setting in every state."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.editing import EDITABLE, SETTINGS, SettingNotEditable, judge_edit
from domain.lifecycle import CampaignStatus
from tables.campaigns import NewCampaign


def test_every_state_is_in_the_table_and_a_draft_changes_in_all_that_creates_it() -> None:
    assert EDITABLE.keys() == set(CampaignStatus)
    assert EDITABLE[CampaignStatus.DRAFT] == SETTINGS == set(NewCampaign.__slots__)


@pytest.mark.parametrize(("status", "setting"), list(itertools.product(CampaignStatus, sorted(SETTINGS))))
def test_no_setting_of_a_message_changes_after_the_activation(status: CampaignStatus, setting: str) -> None:
    is_of_a_message = setting in {"template_name", "language_code", "phone_number_id", "time_zone", "window_zone"}
    if status is not CampaignStatus.DRAFT and is_of_a_message:
        with pytest.raises(SettingNotEditable, match=f"{setting} cannot change while the campaign is {status}"):
            judge_edit(status, {setting})


@given(st.sampled_from(CampaignStatus), st.sets(st.sampled_from(sorted(SETTINGS))))
def test_a_refusal_names_exactly_the_settings_that_cannot_change(status: CampaignStatus, changed: set[str]) -> None:
    refused = changed - EDITABLE[status]
    if not refused:
        judge_edit(status, changed)
        return
    with pytest.raises(SettingNotEditable) as raised:
        judge_edit(status, changed)
    assert set(raised.value.settings) == refused
    assert raised.value.status is status
