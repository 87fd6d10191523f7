"""`campaigns subscriptions`: what is exported can be imported, and an opt-out is never refused for an odd number."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO

import pytest

from cli.confirmation import Consent
from cli.subscription_acts import enter, named_people
from cli.subscriptions import export_opt_outs, import_opt_outs, list_statements
from domain.people import PersonKey
from domain.recipient_files.columns import Choices
from domain.subscriptions import StatedSubscription
from operations.options import InvalidOptions
from schemas.sources import Source
from tables.database import Connection
from tables.subscriptions import merge, read, state_by_operator, unpublished

ODD = "7"
SURE = Consent(is_given=True)
CONTENT = b"""Name;Telefon
Ana;0151 23456789
Bo;+49 151 23456789
Cy;7
Dora;user:US.13491208655302741918
Eve;nobody
Fay;0151 23456780 / 0151 23456781
Gus;
"""


async def run(connection: Connection, content: bytes, consent: Consent = SURE, country: str | None = "DE") -> int:
    source, choices = BytesIO(content), Choices("Telefon", None, country)
    return await import_opt_outs(connection, "crm.csv", source, choices, consent, as_json=True)


async def test_everybody_whom_a_file_names_is_opted_out_and_other_lines_are_reported(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(connection, CONTENT) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "lines": 7, "named": 4, "opted_out": 3, "doubtful": 1, "refused": 3, "dry_run": False,
    }  # fmt: skip
    assert all(f"line {number}:" in printed.err for number in (4, 6, 7, 8)), "7 in line 4 is out, but not valid"
    for person in ("4915123456789", ODD, "user:US.13491208655302741918"):
        assert (await read(connection, person)).out_by == (Source.OPERATOR,), person
    assert await run(connection, CONTENT) == 1
    assert json.loads(capsys.readouterr().out)["opted_out"] == 0, "nobody is opted out twice"
    assert len(await unpublished(connection, 10)) == 3, "other systems learn of each"


async def test_an_operator_opts_people_out_and_revokes_only_that(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    people = named_people(["0151 23456789", "+4915123456789", "user:US.1"], "DE")
    assert await enter(connection, people, Consent(is_dry=True), subscribed=False, as_json=False) == 0
    assert (await read(connection, "4915123456789")).subscribed
    await enter(connection, people, SURE, subscribed=False, as_json=False)
    assert (await read(connection, "4915123456789")).out_by == (Source.OPERATOR,)
    keyword = StatedSubscription(datetime(2026, 5, 5, tzinfo=UTC), subscribed=False)
    await merge(connection, {(PersonKey("user:US.1"), Source.KEYWORD): keyword})
    capsys.readouterr()
    await enter(connection, people, SURE, subscribed=True, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "4915123456789  subscribed", "user:US.1  opted out by keyword",
    ]  # fmt: skip
    with pytest.raises(InvalidOptions, match="nobody"):
        named_people(["+4915123456789", "nobody"], None)


async def test_a_dry_run_changes_nothing(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(connection, b"Telefon\n4915123456789\n", Consent(is_dry=True)) == 0
    assert json.loads(capsys.readouterr().out)["named"] == 1
    assert (await read(connection, "4915123456789")).subscribed


async def test_without_consent_nothing_is_done(connection: Connection) -> None:
    assert await run(connection, b"Telefon\n4915123456789\n", Consent()) == 64
    assert (await read(connection, "4915123456789")).subscribed


async def test_an_export_imports_into_another_installation(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    await state_by_operator(connection, "4915123456789", subscribed=False)
    await state_by_operator(connection, "user:US.1", subscribed=False)
    await state_by_operator(connection, "14694652751", subscribed=False)
    await state_by_operator(connection, "14694652751", subscribed=True)
    assert await export_opt_outs(connection, None) == 0
    exported = capsys.readouterr().out
    await connection.execute("TRUNCATE subscriptions")
    source, choices = BytesIO(exported.encode()), Choices(None, None, None)
    assert await import_opt_outs(connection, "opt-outs.csv", source, choices, SURE, as_json=False) == 0
    capsys.readouterr()
    assert await list_statements(connection, [Source.OPERATOR], None, 10, as_json=True) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(each["person"], each["subscribed"]) for each in listed["subscriptions"]] == [
        ("4915123456789", False), ("user:US.1", False),
    ]  # fmt: skip
    assert await list_statements(connection, None, True, 10, as_json=False) == 0
    assert "no opt-out or opt-in" in capsys.readouterr().err
