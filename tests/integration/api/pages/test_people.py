"""The people of a campaign: found by number and status, page by page, as CSV, and each with its history."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from api.pages import people
from tests.support.api_client import Api, an_api


@pytest.fixture
async def api(database_url: str, kafka: str, topic_prefix: str) -> AsyncIterator[Api]:
    async with an_api(database_url, kafka, topic_prefix) as found:
        yield found


def _numbers(text: str) -> list[str]:
    return re.findall(r'<a href="/campaigns/[0-9a-f-]+/people/[0-9a-f-]+">([^<]+)</a>', text)


async def test_people_are_listed_page_by_page_and_masked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "PAGE_ROWS", 2)
    campaign = await api.campaign()
    await api.add(campaign, *(str(14694652750 + n) for n in range(3)))
    path = f"/campaigns/{campaign}/people"
    first = (await api.http.get(path)).text
    assert "14694652751" not in first
    [following] = re.findall(r'href="(\?[^"]+after=[^"]+)"', first)
    second = (await api.http.get(path + following.replace("&amp;", "&"))).text
    assert sorted(_numbers(first) + _numbers(second)) == [f"+1469 ••••• 5{n}" for n in range(3)]
    assert "Next" not in second


async def test_people_are_found_by_number_and_by_status(api: Api) -> None:
    campaign = await api.campaign()
    await api.add(campaign, "14694652751", "19453083188")
    await api.rows("UPDATE campaign_recipients SET attempt = 1, unknown_attempt = 1 WHERE phone_number = '19453083188'")
    path = f"/campaigns/{campaign}/people"
    assert _numbers((await api.http.get(path, params={"q": "+1 (469) 465-2751"})).text) == ["+1469 ••••• 51"]
    unknown = (await api.http.get(path, params={"status": "unknown"})).text
    assert _numbers(unknown) == ["+1945 ••••• 88"]
    assert f"/campaigns/{campaign}/unknown?choice=retry" in unknown
    assert "Nobody has this status" in (await api.http.get(path, params={"status": "read"})).text
    assert "nobody whose number" in (await api.http.get(path, params={"q": "+1 469 465 2799"})).text
    wrong = await api.http.get(path, params={"q": "<b>nobody"})
    assert wrong.status_code == 422
    assert "&lt;b&gt;nobody" in wrong.text
    rows = (await api.http.get(f"{path}.csv", params={"status": "unknown"})).text.splitlines()
    assert len(rows) == 2
    assert "19453083188" in rows[1]


async def test_a_search_covers_all_people_of_the_campaign(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "PAGE_ROWS", 2)
    campaign, other = await api.campaign(), await api.campaign()
    await api.add(campaign, *(str(14694652750 + n) for n in range(4)), "+52 55 1234 5678", {"user_id": "US.13491208"})
    await api.add(other, "19453083188")
    path = f"/campaigns/{campaign}/people"
    [recipient] = await api.rows("SELECT id FROM campaign_recipients WHERE user_id = 'US.13491208'")

    async def numbers(q: str, status: str = "") -> list[str]:
        return _numbers((await api.http.get(path, params={"q": q, "status": status})).text)

    assert await numbers("(469) 4") == []
    assert await numbers("+1 469 465 2753") == ["+1469 ••••• 53"]
    assert await numbers("+52 55 12") == await numbers("0052 55") == ["+5255 ••••• 78"]
    assert await numbers("US.1349") == await numbers(str(recipient[0])) == ["user:US.13491208"]
    await api.rows(
        "INSERT INTO person_links VALUES ('14694652750', 'user:US.13491208'), ('user:US.13491208', '14694652750')"
    )
    both = ["+1469 ••••• 50", "user:US.13491208"]  # two rows that turned out to be one human
    assert sorted(await numbers("US.13491208")) == sorted(await numbers("14694652750")) == both
    assert await numbers("US.1349", "sent") == await numbers(str(recipient[0]), "sent") == []
    assert await numbers("+1945") == [], "they are in another campaign"
    cut = (await api.http.get(path, params={"q": "1469"})).text
    assert len(_numbers(cut)) == 2
    assert "Type more of the number" in cut
    assert "people.csv" not in cut


async def test_a_filter_goes_on_over_empty_parts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tables.recipient_pages.WINDOW_ROWS", 1)
    monkeypatch.setattr(people, "PAGE_ROWS", 1)
    campaign = await api.campaign()
    await api.add(campaign, *(str(14694652750 + n) for n in range(9)))
    await api.rows(
        "UPDATE campaign_recipients SET attempt = 1 WHERE id = (SELECT max(id::text)::uuid FROM campaign_recipients)"
    )
    found = (await api.http.get(f"/campaigns/{campaign}/people", params={"status": "queued"})).text
    assert len(_numbers(found)) == 1


async def test_one_message_has_a_history(api: Api) -> None:
    campaign = await api.campaign(name="<i>Sale</i>")
    await api.add(campaign, "14694652751")
    [(recipient,)] = await api.rows("SELECT id FROM campaign_recipients")
    shown = await api.http.get(f"/campaigns/{campaign}/people/{recipient}")
    assert shown.status_code == 200
    assert "Added to the campaign" in shown.text
    assert "<i>" not in shown.text
    other = await api.campaign()
    for path in (f"/campaigns/{other}/people/{recipient}", f"/campaigns/{campaign}/people/{uuid4()}"):
        missing = await api.http.get(path)
        assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_the_plot_is_a_table_too(api: Api) -> None:
    campaign = await api.campaign()
    assert "begins with the first message" in (await api.http.get(f"/campaigns/{campaign}/timeline")).text
    await api.rows(
        "INSERT INTO campaign_timeline VALUES (%s, date_trunc('minute', now()), 1234, 1000, 900, 5)", campaign
    )
    shown = (await api.http.get(f"/campaigns/{campaign}")).text
    assert 'data-values="1234 1000 900 5"' in shown
    assert '<td class="num">1,234</td>' in shown
