"""The figures of a campaign from every place that shows them, at one moment that the test holds.

A share lock on the recipients holds their rows: every writer waits, and every reader goes on, also the stats publisher.
So all places can be compared at one version, while the processes run.
"""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from psycopg.rows import dict_row

from schemas.codec import decode
from schemas.stats import CampaignStats
from schemas.topics import Topic
from tests.faults.campaign import CAMPAIGNS
from tests.faults.world import World
from tests.support.kafka_topics import read_all
from tests.support.waiting import eventually
from verdict.rows import JudgeConnection

Figures = Mapping[str, Any]
"""The fields of `campaign.stats` by name, or those of them that a place shows."""

HOLD_DEADLINE_S = 60.0
ANSWER_DEADLINE_S = 30.0
_OTHERS = {"v", "producer", "as_of", "eta"}
"""Fields that are no figures."""
SETTLED = """
    SELECT count(*) FROM campaign_stats WHERE campaign_id = %s AND published_version = version
    AND NOT EXISTS (SELECT FROM campaign_counter_deltas AS d WHERE d.campaign_id = campaign_stats.campaign_id)
"""
"""Whether the stats publisher has folded and published every change of a campaign."""


@contextmanager
def held(world: World, campaign: str) -> Iterator[JudgeConnection]:
    """Hold the rows, and run the block once every change of the campaign is folded and published."""
    with world.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE campaign_recipients IN SHARE MODE")
        eventually(lambda: world.count(SETTLED, campaign), "every change is published", HOLD_DEADLINE_S)
        yield connection


def of_views(connection: JudgeConnection, campaign: str) -> Figures:
    """The figures of the views for SQL users."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute("SELECT * FROM report_campaigns WHERE campaign_id = %s", [campaign]).fetchone()
        assert row is not None
        failures = cursor.execute("SELECT code, recipients FROM report_failures WHERE campaign_id = %s", [campaign])
        row["failures"] = {each["code"]: each["recipients"] for each in failures.fetchall()}
        skips = cursor.execute("SELECT reason, recipients FROM report_skips WHERE campaign_id = %s", [campaign])
        row["skips"] = {each["reason"]: each["recipients"] for each in skips.fetchall()}
    row["campaign_id"] = str(row["campaign_id"])
    rates = ("progress_percentage", "delivery_rate", "read_rate")
    return _figures({**row, **{name: float(row[name]) for name in rates}})


def of_rest(world: World, campaign: str) -> Figures:
    """The figures of the REST API."""
    return _figures(_answered(lambda: world.api.stats(campaign)))


def of_command(world: World, campaign: str) -> Figures:
    """The figures of `campaigns stats`."""
    done = subprocess.run(
        [CAMPAIGNS, "stats", campaign, "--json"],
        env=world.environment, cwd=world.folder, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return _figures(json.loads(done.stdout))


def prices_of_views(connection: JudgeConnection, campaign: str) -> dict[str, int]:
    """The delivered messages of the view, by category and charge."""
    query = "SELECT category || '/' || charge, sum(messages)::int FROM report_prices WHERE campaign_id = %s GROUP BY 1"
    return dict(connection.execute(query, [campaign]).fetchall())


def prices_of_rest(world: World, campaign: str) -> dict[str, int]:
    """The same of the REST API. With those without a price they are all delivered messages."""
    address = f"{world.api.client.base_url}/api/marketing/campaigns/{campaign}/cost"
    found = _answered(lambda: httpx.get(address, timeout=10.0).raise_for_status().json())
    prices = {f"{each['category']}/{each['charge']}": each["messages"] for each in found["categories"]}
    assert sum(prices.values()) + found["without_price"] == found["delivered"]
    return prices


def of_topic(world: World, campaign: str, version: int) -> list[Figures]:
    """The figures of this version in `campaign.stats`: every record of it."""
    topic = world.settings.topic(Topic.CAMPAIGN_STATS)

    def published() -> list[Figures]:
        records = read_all(world.kafka.bootstrap_servers, topic)
        found = [decode(CampaignStats, value) for value in (each.value() for each in records) if value is not None]
        return [
            _figures(each.model_dump(mode="json"))
            for each in found
            if str(each.campaign_id) == campaign and each.version == version
        ]

    return eventually(published, "the version is published", ANSWER_DEADLINE_S)


def of_page(world: World, campaign: str) -> Figures:
    """The figures that the page of the campaign shows."""
    address = f"{world.api.client.base_url}/campaigns/{campaign}"
    return _shown(_answered(lambda: httpx.get(address, timeout=10.0).raise_for_status().text))


def of_stream(world: World, campaign: str, version: int) -> Figures:
    """The figures of this version that an open page gets."""
    address = f"{world.api.client.base_url}/live"

    def streamed() -> Figures | None:
        lines: list[str] = []
        with httpx.stream("GET", address, params={"campaign": campaign}, timeout=5.0) as stream:
            for line in stream.iter_lines():
                lines.append(line.removeprefix("data: "))
                if line:
                    continue
                if lines[0] == "event: figures" and f'data-version="{version}"' in "\n".join(lines):
                    return _shown("\n".join(lines))
                lines = []
        return None

    found: Figures = _answered(streamed)
    return found


def _answered(ask: Callable[[], Any]) -> Any:
    """The answer, also of an API that has just been killed."""

    def answer() -> Any:
        try:
            return ask()
        except httpx.HTTPError:
            return None

    return eventually(answer, "the API answers", ANSWER_DEADLINE_S, every_s=0.1)


def _figures(given: Mapping[str, Any]) -> Figures:
    return {name: given[name] for name in CampaignStats.model_fields if name not in _OTHERS}


_LEGEND = re.compile(r"</svg>([A-Z][A-Za-z, ]+) <b>([0-9,]+)</b>")
_FUNNEL = re.compile(r'<span class="step">([A-Za-z]+)</span>\s*<b class="count">([0-9,]+)</b>')


def _shown(text: str) -> Figures:
    """The figures in the part of the page that is live. A part of the bar that is zero may be left out."""
    found = {name.lower(): _number(count) for name, count in _FUNNEL.findall(text)}
    legend = {name: _number(count) for name, count in _LEGEND.findall(html.unescape(text))}
    [(handled, total)] = re.findall(r"<b>([0-9,]+)</b> of ([0-9,]+) handled", text)
    [version] = re.findall(r'data-version="([0-9]+)"', text)
    found |= {name.lower(): legend.get(name, 0) for name in ("Failed", "Skipped", "Unknown")}
    waiting = {"to_do": legend["To do"], "handled": _number(handled), "total_target": _number(total)}
    return {**found, **waiting, "version": int(version)}


def _number(text: str) -> int:
    return int(text.replace(",", ""))
