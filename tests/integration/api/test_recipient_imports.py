"""A file is imported over HTTP while it arrives: its lines are added in chunks, and each wrong one is reported."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, MutableMapping, Sequence
from typing import Any
from uuid import uuid4

import pytest

from api.imports import CHUNK_LINES, LISTED_MAX
from api.services import Services
from tests.support.api_client import CAMPAIGNS, Api, an_api

CSV = {"Content-Type": "text/csv"}
CONTENT = """Vorname;Telefon;Preis
Ana;0151 23456789;19,90
Bo;4,9E+11;5,00
Zoë;+4915123456780;#NV
Ana again;+4915123456789;1,00
"""
MAPPED = {"parameter": ["1=Vorname", "2=Preis"], "country": "DE"}


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with an_api(database_url, "127.0.0.1:1", "none-") as found:
        yield found


def path(campaign: str) -> str:
    return f"{CAMPAIGNS}/{campaign}/recipients/import"


async def people(api: Api) -> list[Any]:
    return await api.rows("SELECT phone_number, template_parameters FROM campaign_recipients ORDER BY 1")


async def test_a_file_is_added_and_its_wrong_lines_are_listed_and_given_back(api: Api) -> None:
    campaign = await api.campaign()
    done = await api.http.post(path(campaign), params=MAPPED, content=CONTENT.encode("cp1252"), headers=CSV)
    body = done.json()
    assert done.status_code == 200, done.text
    assert (body["lines"], body["added"], body["duplicates"], body["refused"]) == (4, 1, 1, 2)
    assert (body["encoding"], body["delimiter"], body["phone_column"]) == ("Windows-1252", ";", "Telefon")
    assert body["parameter_columns"] == {"1": "Vorname", "2": "Preis"}
    assert (body["unused_columns"], body["decimal_comma_columns"]) == ([], ["Preis"])
    assert [(each["line"], each["reason"]) for each in body["first_refused"]] == [
        (3, "lost_digits"), (4, "spreadsheet_error"),
    ]  # fmt: skip
    assert [(each["line"], each["reason"]) for each in body["first_duplicates"]] == [(5, "repeated_in_request")]
    assert await people(api) == [("4915123456789", ["Ana", "19,90"])]

    asked = {**MAPPED, "answer": "refused_lines"}
    done = await api.http.post(path(campaign), params=asked, content=CONTENT.encode("cp1252"), headers=CSV)
    assert (done.headers["content-type"], done.headers["import-added"]) == ("text/csv; charset=utf-8", "0")
    assert (done.headers["import-refused"], done.headers["import-duplicates"]) == ("2", "2")
    assert done.content.startswith(codecs.BOM_UTF8)
    assert "Zoë;+4915123456780;#NV;4;spreadsheet_error;" in done.text
    corrected = done.text.replace("4,9E+11", "0151 23456781").replace("#NV", "7,50")
    done = await api.http.post(path(campaign), params=MAPPED, content=corrected.encode(), headers=CSV)
    assert (done.json()["added"], done.json()["refused"]) == (2, 0)
    done = await api.http.post(path(campaign), params=asked, content=corrected.encode(), headers=CSV)
    assert len(done.text.splitlines()) == 1, "only the head"


async def test_a_body_in_pieces_is_added_in_chunks_and_a_broken_one_adds_no_cut_number(api: Api) -> None:
    campaign = await api.campaign()
    lines = [f"+4915{number:09d}\n".encode() for number in range(2 * CHUNK_LINES + 10)]
    content = b"".join(lines)
    pieces = [content[start : start + 20_000] for start in range(0, len(content), 20_000)]
    broken = [*pieces[:-1], pieces[-1][:-3], None]  # the last number is cut, and its start is a number too
    assert (await post(api, path(campaign), broken))["status"] == 400
    there = [row[0] for row in await people(api)]
    assert there == [line[1:-1].decode() for line in lines[: len(there)]]
    assert len(there) in (CHUNK_LINES, 2 * CHUNK_LINES)

    async def sent() -> AsyncIterator[bytes]:
        for each in pieces:
            yield each

    done = (await api.http.post(path(campaign), content=sent(), headers=CSV)).json()
    assert (done["added"], done["duplicates"]) == (len(lines) - len(there), len(there))
    assert len(done["first_duplicates"]) == LISTED_MAX
    stats = (await api.http.get(f"{CAMPAIGNS}/{campaign}/stats")).json()
    assert stats["total_target"] == len(lines)


async def post(api: Api, to: str, pieces: Sequence[bytes | None]) -> dict[str, Any]:
    """Post a body of these pieces as a server does; None is a broken connection. Returns the start of the answer."""
    waiting = list(pieces)
    answered: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = waiting.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": True}

    async def send(message: MutableMapping[str, Any]) -> None:
        answered.append(dict(message))

    scope = {
        "type": "http", "method": "POST", "path": to, "raw_path": to.encode(), "query_string": b"", "root_path": "",
        "scheme": "http", "http_version": "1.1", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        "headers": [(b"host", b"127.0.0.1:8000"), (b"content-type", b"text/csv")],
    }  # fmt: skip
    await api.app(scope, receive, send)
    return answered[0]


@pytest.mark.parametrize(
    ("content", "headers", "params", "status", "code"),
    [
        (b"", CSV, {}, 422, "unusable_file"),
        (b"name,town\nAna,Rome\n", CSV, {}, 422, "unusable_file"),
        (b"+4915123456789\n", {"Content-Type": "multipart/form-data; boundary=x"}, {}, 415, "unsupported_media_type"),
        (b"+4915123456789\n", {**CSV, "Content-Encoding": "gzip"}, {}, 415, "unsupported_media_type"),
        (b"+4915123456789\n", CSV, {"parameter": "name"}, 422, "invalid_field"),
        (b"+4915123456789\n", CSV, {"country": "XX"}, 422, "invalid_field"),
    ],
)
async def test_a_file_that_cannot_be_imported_is_refused(
    api: Api, content: bytes, headers: dict[str, str], params: dict[str, str], status: int, code: str
) -> None:
    refused = await api.http.post(path(await api.campaign()), content=content, headers=headers, params=params)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert await people(api) == []


async def test_the_campaign_must_take_recipients(api: Api) -> None:
    assert (await api.http.post(path(str(uuid4())), content=b"x", headers=CSV)).json()["code"] == "unknown_campaign"
    campaign = await api.campaign()
    await api.add(campaign, "+4915123456789")
    await api.act(campaign, "cancel")
    refused = await api.http.post(path(campaign), content=b"+4915123456780\n", headers=CSV)
    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")


async def test_a_third_import_waits_its_turn_and_a_stop_ends_a_running_one(api: Api) -> None:
    campaign = await api.campaign()
    services: Services = api.app.state.services
    started = asyncio.Event()

    async def open_end() -> AsyncIterator[bytes]:
        yield b"+4915123456789\n"
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(api.http.post(path(campaign), content=open_end(), headers=CSV))
    await started.wait()
    async with services.imports:
        busy = await api.http.post(path(campaign), content=b"+4915123456780\n", headers=CSV)
    assert (busy.status_code, busy.json()["code"]) == (503, "imports_busy")
    services.stopping.set()
    stopped = await running
    assert (stopped.status_code, stopped.json()["code"]) == (503, "unavailable")
    assert not services.imports.locked()


async def test_a_body_without_an_end_is_refused_at_the_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.access.IMPORT_BYTES_MAX", 100_000)
    campaign = await api.campaign()
    refused = await api.http.post(path(campaign), content=b"+4915123456789\n" * 10_000, headers=CSV)
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
