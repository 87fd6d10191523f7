"""A reader sees every query of the dashboard over Postgres, and no table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr

from cli.confirmation import Consent
from cli.db import make_role
from runtime.process import EXIT_OK, EXIT_USAGE
from runtime.settings import read_settings
from tables import readers
from tables.readers import REPORTS, ReaderRefused, make_reader
from tests.support.paths import ROOT
from tests.support.world import World

DASHBOARD = json.loads((ROOT / "deploy/monitoring/dashboards/figures.json").read_text(encoding="utf-8"))
PASSWORD = "a-password-of-the-reader"


NUMBERS = {"int8", "int4", "numeric", "float8"}
"""The types that Grafana shows as numbers."""


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard by the title of its panel, as Grafana sends it but for its variables."""
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["label"], variable["query"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["rawSql"]


@pytest.fixture
async def role(world: World, topic_prefix: str) -> AsyncIterator[str]:
    """A name for a role of this test. Roles belong to the server, and not to the database."""
    name = f"reader_{topic_prefix[:-1]}"
    yield name
    if await world.run("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
        await world.run(f"DROP OWNED BY {name}")
        await world.run(f"DROP ROLE {name}")


def address_of(database_url: str, role: str, password: str) -> str:
    parts = urlsplit(database_url)
    return parts._replace(netloc=f"{role}:{password}@{parts.hostname}:{parts.port}").geturl()


def filled(query: str, campaign: object) -> str:
    """The query with the values that Grafana puts in place of its variables."""
    return query.replace("$campaign", str(campaign)).replace("$__timeFilter(minute)", "minute > now() - interval '1 h'")


async def test_the_reader_runs_every_query_of_the_dashboard_and_reads_no_table(
    world: World, database_url: str, role: str
) -> None:
    campaign = await world.start_campaign(3)
    await world.run(
        "UPDATE campaign_recipients SET attempt = 1, failed_attempts = 2, failed_attempt = 1, failure_code = 131026,"
        " failed_at = now(), failure_text = 'x', failure_class = 'never'"
        " WHERE id = (SELECT id FROM campaign_recipients LIMIT 1)"
    )
    for password in ("another-password-before", PASSWORD):
        await make_reader(world.connection, role, password)
    with psycopg.connect(address_of(database_url, role, PASSWORD), autocommit=True) as reader:
        found = {title: reader.execute(filled(query, campaign).encode()).fetchall() for title, query in queries()}
        for panel in DASHBOARD["panels"]:
            check_columns(panel, reader.execute(filled(panel["targets"][0]["rawSql"], campaign).encode()))
        assert found["Sent"] == [(0,)]
        assert found["Failures by code"] == [("131026", 1)]
        assert campaign in [row[1] for row in found["Campaign"]]
        for title, query in queries():
            assert reader.execute(filled(query, "").encode()).fetchall() is not None, title
        for table in await world.run(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"SELECT FROM {table[0]}".encode())
        assert reader.execute("SHOW statement_timeout").fetchone() == ("30s",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader.execute("CREATE TABLE own (n integer)")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(address_of(database_url, role, "another-password-before"))


def check_columns(panel: dict[str, Any], found: psycopg.Cursor[Any]) -> None:
    """The columns are those that Grafana needs for this kind of panel, and its settings name no other one."""
    columns = {each.name: psycopg.adapters.types[each.type_code].name for each in found.description or ()}
    target = panel["targets"][0]
    match panel["type"]:
        case "timeseries":
            assert target["format"] == "time_series"
            assert columns.pop("time") == "timestamptz"
            assert set(columns.values()) <= NUMBERS
        case "stat":
            assert (target["format"], found.rowcount, len(columns)) == ("table", 1, 1), panel["title"]
            assert set(columns.values()) <= NUMBERS
        case "table":
            assert target["format"] == "table"
            assert NUMBERS & set(columns.values()), panel["title"]
        case other:
            raise AssertionError(f"a panel of the kind {other} is not known here")
    named = [
        each["matcher"]["options"] for each in panel["fieldConfig"]["overrides"] if each["matcher"]["id"] == "byName"
    ]
    assert set(named) <= columns.keys(), panel["title"]


async def test_the_reports_are_all_views_but_the_one_behind_them(world: World) -> None:
    views = await world.run("SELECT viewname FROM pg_views WHERE schemaname = 'public' AND viewname LIKE 'report%%'")
    assert {each[0] for each in views} - {"report_counters"} == set(REPORTS)


async def test_a_reader_has_a_password_of_its_own(world: World, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReaderRefused, match="needs 16 characters"):
        await make_reader(world.connection, role, "short")
    monkeypatch.setattr(readers, "PASSWORD_CHARACTERS_MIN", 1)
    with pytest.raises(ReaderRefused, match="one of the owner"):
        await make_reader(world.connection, role, world.connection.info.password)
    assert await world.run("SELECT 1 FROM pg_roles WHERE rolname = %s", role) == []


async def test_no_role_that_may_do_more_is_changed(world: World) -> None:
    [(owner,)] = await world.run("SELECT current_user")
    with pytest.raises(ReaderRefused, match="Name another role"):
        await make_reader(world.connection, owner, PASSWORD)


async def test_the_command_states_the_change_and_makes_the_role(
    world: World, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    unset = read_settings({"CAMPAIGNS_KAFKA_BOOTSTRAP_SERVERS": "k:1", "CAMPAIGNS_DATABASE_URL": "postgresql://x"})
    settings = unset.model_copy(update={"reader_password": SecretStr(PASSWORD)})
    assert await make_role(unset, world.connection, role, Consent(is_given=True)) == EXIT_USAGE
    assert "CAMPAIGNS_READER_PASSWORD is not set" in capsys.readouterr().err
    assert await make_role(settings, world.connection, role, Consent(is_dry=True)) == EXIT_OK
    assert f"This would create the role {role}, which reads report_campaigns" in capsys.readouterr().err
    assert await make_role(settings, world.connection, role, Consent(is_given=True)) == EXIT_OK
    assert PASSWORD not in capsys.readouterr().err
    assert await make_role(settings, world.connection, role, Consent(is_dry=True)) == EXIT_OK
    assert "anew" in capsys.readouterr().err
