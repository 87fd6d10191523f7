"""A new campaign sends by day, unless it names a window or a simulator replaces WhatsApp."""

from __future__ import annotations

import pytest

from api.bodies import CampaignIn
from api.new_campaigns import new_campaign


@pytest.mark.parametrize(
    ("by_day", "given", "expected"),
    [
        (True, {}, ("09:00", "20:00")),
        (False, {}, ("00:00", "24:00")),
        (True, {"window_from": "10:00"}, ("10:00", "20:00")),
        (True, {"window_to": "21:30"}, ("09:00", "21:30")),
        (True, {"window_from": "00:00", "window_to": "24:00"}, ("00:00", "24:00")),
        (False, {"window_from": "10:00"}, ("10:00", "24:00")),
    ],
)
def test_the_default_window(by_day: bool, given: dict[str, str], expected: tuple[str, str]) -> None:
    body = CampaignIn.model_validate({"name": "Spring", "template_name": "offer", "language_code": "en", **given})
    new = new_campaign(body, "1", by_day=by_day, excluded=())
    assert (new.window_from, new.window_to) == expected
    assert (new.phone_number_id, new.stale_after_hours, len(new.window_days)) == ("1", 24, 7)
