"""`campaigns frequency-cap`: shows, sets and removes the cap, with the consent of the operator only."""

from __future__ import annotations

import json

import pytest

from cli.confirmation import Consent
from cli.frequency_cap import remove_cap, set_cap, show_cap
from domain.frequency import FrequencyCap
from tables import frequency
from tables.database import Connection

CAP = FrequencyCap(messages=2, days=7)
SURE = Consent(is_given=True)


async def test_the_cap_is_set_shown_and_removed(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert await set_cap(connection, CAP, SURE) == 0
    assert await show_cap(connection, as_json=False) == 0
    assert await show_cap(connection, as_json=True) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "at most 2 message(s) to a person in 7 day(s)"
    assert json.loads(shown[1]) == {"messages": 2, "days": 7}
    assert await remove_cap(connection, SURE) == 0
    assert await show_cap(connection, as_json=False) == 0
    assert capsys.readouterr().out == "there is no frequency cap\n"
    assert await remove_cap(connection, Consent()) == 0, "there is nothing to consent to"


@pytest.mark.parametrize(("consent", "code"), [(Consent(), 64), (Consent(is_dry=True), 0)])
async def test_without_consent_nothing_changes(connection: Connection, consent: Consent, code: int) -> None:
    await frequency.write_cap(connection, CAP)
    assert await set_cap(connection, FrequencyCap(1, 1), consent) == code
    assert await remove_cap(connection, consent) == code
    assert await frequency.read_cap(connection) == CAP
