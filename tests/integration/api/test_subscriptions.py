"""The list of subscriptions: sources apart, filters, pages and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.people import PersonKey
from domain.subscriptions import StatedSubscription
from schemas.sources import Source
from tables import subscription_pages
from tables.database import Connection
from tables.subscriptions import merge
from tests.support.api_client import Api, an_api

PATH = "/api/marketing/subscriptions"
NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
PEOPLE = [f"1555000000{digit}" for digit in range(5)]


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with an_api(database_url, "127.0.0.1:1", "none-") as found:
        yield found


@pytest.fixture
async def rows(connection: Connection) -> list[dict[str, object]]:
    """Five people: each opted out by a keyword, and in on the platform; the first also out by an operator."""
    stated = {(PersonKey(p), Source.KEYWORD): StatedSubscription(NOON, subscribed=False) for p in PEOPLE}
    stated |= {(PersonKey(p), Source.PLATFORM): StatedSubscription(NOON, subscribed=True) for p in PEOPLE}
    stated[PersonKey(PEOPLE[0]), Source.OPERATOR] = StatedSubscription(NOON, subscribed=False)
    await merge(connection, stated)
    return [
        {"person": person, "source": source.value, "subscribed": last.subscribed, "occurred_at": "2026-05-05T12:00:00Z"}
        for (person, source), last in sorted(stated.items())
    ]


@pytest.mark.parametrize(
    ("query", "words"),
    [("limt=2", "Did you mean limit?"), ("subscribe=false", "Did you mean subscribed?"), ("x=1&y=2", "y: There is no")],
)
async def test_a_parameter_that_is_not_known_is_refused(api: Api, query: str, words: str) -> None:
    answer = await api.http.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
    assert words in answer.json()["detail"]


async def pages(api: Api, **query: Any) -> list[list[dict[str, object]]]:
    """All pages of a list, by following `next`."""
    found, after = [], ""
    while True:
        answer = (await api.http.get(PATH, params={**query, "after": after})).json()
        found.append(answer["subscriptions"])
        if answer["next"] is None:
            return found
        after = answer["next"]


async def test_every_statement_is_listed_once_over_the_pages(api: Api, rows: list[dict[str, object]]) -> None:
    found = await pages(api, limit=2)
    assert [len(page) for page in found] == [2, 2, 2, 2, 2, 1]
    assert [each for page in found for each in page] == rows


@pytest.mark.parametrize("window", [1, 20_000])
async def test_filters_choose_by_source_and_by_kind(
    api: Api, rows: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(subscription_pages, "WINDOW_ROWS", window)
    cases: list[tuple[dict[str, Any], Callable[[dict[str, object]], bool]]] = [
        ({"source": ["operator", "platform"]}, lambda each: each["source"] != "keyword"),
        ({"subscribed": "false"}, lambda each: not each["subscribed"]),
        ({"subscribed": "true", "source": "keyword"}, lambda _: False),
    ]
    for query, fits in cases:
        found = await pages(api, **query, limit=2)
        assert [each for page in found for each in page] == [each for each in rows if fits(each)]


async def test_the_csv_has_all_rows(api: Api, rows: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.subscriptions.PAGE_ROWS", 2)
    answer = await api.http.get(PATH, params={"format": "csv", "subscribed": "false"})
    assert answer.headers["content-type"].startswith("text/csv")
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(each["person"], each["source"], each["subscribed"]) for each in found] == [
        (each["person"], each["source"], "false") for each in rows if not each["subscribed"]
    ]


@pytest.mark.parametrize("after", ["x", "15550000000/nobody", "\0/keyword"])
async def test_a_place_that_no_page_has_given_is_refused(api: Api, after: str) -> None:
    answer = await api.http.get(PATH, params={"after": after})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")
