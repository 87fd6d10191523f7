"""A new campaign sends by day, unless it names a window or a simulator replaces WhatsApp."""

from __future__ import annotations

import pytest

from api.bodies import CampaignIn
from api.new_campaigns import UnknownNumber, chosen_number, new_campaign
from runtime.settings import Settings


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


def settings(default: str, *numbers: str) -> Settings:
    return Settings.model_validate({
        "database_url": "postgresql://localhost/x", "kafka_bootstrap_servers": "127.0.0.1:1",
        "whatsapp_phone_number_id": default, "whatsapp_numbers": [{"phone_number_id": each} for each in numbers],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("default", "numbers", "given", "chosen"),
    [
        ("1", (), None, "1"),
        ("1", (), "9", "9"),  # without a list every number may be used
        ("", (), "9", "9"),
        ("1", ("2", "3"), None, "1"),
        ("1", ("2", "3"), "1", "1"),
        ("1", ("2", "3"), "3", "3"),
    ],
)
def test_the_number_is_the_given_one_or_the_default(
    default: str, numbers: tuple[str, ...], given: str | None, chosen: str
) -> None:
    assert chosen_number(settings(default, *numbers), given) == chosen


@pytest.mark.parametrize(
    ("default", "numbers", "given", "words"),
    [
        ("", (), None, "phone_number_id is required"),
        ("", ("2", "3"), "9", "They name 2, 3."),
        ("1", ("2",), "9", "They name 1, 2."),
    ],
)
def test_a_missing_and_an_unknown_number_are_refused(
    default: str, numbers: tuple[str, ...], given: str | None, words: str
) -> None:
    with pytest.raises(UnknownNumber, match=words):
        chosen_number(settings(default, *numbers), given)
