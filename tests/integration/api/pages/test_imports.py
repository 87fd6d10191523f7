"""A file is shown before it is imported, and its refused lines come back behind the part of the page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

from api.pages.imports import PAGE_BYTES
from tests.support.api_client import CAMPAIGNS, Api, an_api
from tests.support.page_forms import OWN

CONTENT = "Vorname;Telefon;Preis\nAna;0151 23456789;19,90\nZoë;+4915123456780;5,00\nBo;12;5\n".encode("cp1252")
MAPPED: dict[str, Any] = {"parameter": ["1=Vorname", "2=Preis"], "country": "DE"}


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with an_api(database_url, "127.0.0.1:1", "none-") as found:
        yield found


async def post(api: Api, path: str, content: bytes, token: str | None = None, **query: Any) -> httpx.Response:
    shown = (await api.http.get(path.removesuffix("/preview"))).text
    [own] = re.findall(r'data-token="([0-9a-f]{64})"', shown)
    headers = {**OWN, "X-Form-Token": own if token is None else token, "Content-Type": "application/octet-stream"}
    return await api.http.post(path, content=content, params=query, headers=headers)


async def total(api: Api, campaign: str) -> int:
    return int((await api.http.get(f"{CAMPAIGNS}/{campaign}/stats")).json()["total_target"])


async def test_the_preview_shows_the_file_and_adds_nobody(api: Api) -> None:
    campaign = await api.campaign()
    path = f"/campaigns/{campaign}/import/preview"
    shown = (await post(api, path, CONTENT, is_whole=True, **MAPPED)).text
    assert "CSV, separated by semicolon, Windows-1252" in shown
    assert '<option value="Telefon" selected>' in shown
    assert '<option value="Vorname" selected>' in shown
    assert "Zoë · 5,00" in shown
    assert "decimal comma are sent as they are written: Preis" in shown
    assert "Line 4, <code>12</code>" in shown
    assert await total(api, campaign) == 0

    cut = (await post(api, path, b"number\n" + b"14694652751\n" * 20_000)).text
    assert f"The first {1000:,} lines can be added" in cut
    lines = (await post(api, path, b'{"phone_number": "+14694652751"}\n', is_whole=True)).text
    assert "JSON lines" in lines
    assert "The line can be added" in lines


async def test_a_file_that_cannot_be_read_can_be_corrected(api: Api) -> None:
    campaign = await api.campaign()
    path = f"/campaigns/{campaign}/import/preview"
    two = b"mobile;mobile number\n+14694652751;+19453083188\n"
    unclear = await post(api, path, two, is_whole=True)
    assert unclear.status_code == 422
    assert 'name="phone_column"' in unclear.text
    assert "+19453083188" in (await post(api, path, two, is_whole=True, phone_column="2")).text
    assert "Excel workbook" in (await post(api, path, b"PK\x03\x04" + bytes(99), is_whole=True)).text


async def test_an_import_adds_people_and_gives_the_refused_lines(api: Api) -> None:
    campaign = await api.campaign()
    done = await post(api, f"/campaigns/{campaign}/import", CONTENT, **MAPPED)
    assert done.status_code == 200, done.text
    size = int(done.headers[PAGE_BYTES])
    part, refused = done.content[:size].decode(), done.content[size:].decode("utf-8-sig")
    assert "2 added" in part
    assert "1 refused" in part
    assert [line.split(";")[:4] for line in refused.splitlines()] == [
        ["Vorname", "Telefon", "Preis", "refused_line"], ["Bo", "12", "5", "4"]
    ]  # fmt: skip
    assert await total(api, campaign) == 2
    again = (await post(api, f"/campaigns/{campaign}/import", CONTENT, **MAPPED)).content.decode("utf-8", "replace")
    assert "2 were in the campaign already" in again


@pytest.mark.parametrize("headers", [{}, {"X-Form-Token": "0" * 64}])
async def test_an_upload_without_the_token_of_the_session_is_refused(api: Api, headers: Mapping[str, str]) -> None:
    campaign = await api.campaign()
    for path in ("import", "import/preview"):
        given = {**OWN, **headers, "Content-Type": "application/octet-stream"}
        refused = await api.http.post(f"/campaigns/{campaign}/{path}", content=CONTENT, headers=given)
        assert refused.status_code == 403
        foreign = {**given, "Origin": "http://evil.example"}
        assert (await api.http.post(f"/campaigns/{campaign}/{path}", content=b"", headers=foreign)).status_code == 403
    assert await total(api, campaign) == 0


async def test_nobody_is_added_to_a_cancelled_campaign(api: Api) -> None:
    campaign = await api.campaign()
    await api.act(campaign, "cancel")
    assert "nobody can be added" in (await api.http.get(f"/campaigns/{campaign}/import")).text
