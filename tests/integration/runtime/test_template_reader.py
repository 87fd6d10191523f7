"""Templates are read page by page from the Cloud API, kept for a minute, and every failure is a sentence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from aiohttp import web
from pydantic import SecretStr

from runtime import template_reader
from runtime.settings import Settings
from runtime.template_reader import KEPT_S, TemplateReader, TemplatesUnreadable
from tests.support.simulated_account import SimulatedAccount, simulated_account, template_config
from tests.support.templates import body


def settings(**changed: Any) -> Settings:
    required = {"kafka_bootstrap_servers": "127.0.0.1:1", "database_url": SecretStr("postgresql://127.0.0.1:1/x")}
    return Settings(**{**required, **changed})


@pytest.fixture
async def account() -> AsyncIterator[SimulatedAccount]:
    named = [template_config(body(f"Hi {n}"), name=name) for n, name in enumerate(("a", "b", "c", "ab", "e"))]
    async with simulated_account(*named, template_config(body("Hallo"), name="a", language="de")) as found:
        yield found


async def test_all_pages_are_read(account: SimulatedAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_reader, "PAGE_LENGTH", 2)
    reader = TemplateReader(settings(**account.settings))
    found = await reader.read_all()
    assert [(each.name, each.language) for each in found] == [
        ("a", "en_US"), ("b", "en_US"), ("c", "en_US"), ("ab", "en_US"), ("e", "en_US"), ("a", "de"),
    ]  # fmt: skip
    assert (found[0].content.body, found[0].status, found[0].category) == ("Hi 0", "APPROVED", "MARKETING")
    monkeypatch.setattr(template_reader, "PAGES_MAX", 2)
    with pytest.raises(TemplatesUnreadable, match="more than 4"):
        await reader.read_all(fresh=True)


async def test_the_languages_of_one_name_are_read_and_kept_for_a_minute(account: SimulatedAccount) -> None:
    now = 1000.0
    reader = TemplateReader(settings(**account.settings), clock=lambda: now)
    assert [each.language for each in await reader.read_named("a")] == ["en_US", "de"]
    assert await reader.read_named("missing") == ()
    account.add(body("Changed"), name="a")
    assert {each.content.body for each in await reader.read_named("a")} == {"Hi 0", "Hallo"}, "kept"
    now += KEPT_S + 1
    assert {each.content.body for each in await reader.read_named("a")} == {"Changed", "Hallo"}
    account.add(body("Again"), name="a")
    now += 1
    assert {each.content.body for each in await reader.read_named("a", fresh=True)} == {"Again", "Hallo"}
    await reader.read_all(fresh=True)
    account.add(body("Later"), name="b")
    assert [each.content.body for each in await reader.read_named("b")] == ["Hi 1"], "from the list of all"


async def test_requests_at_the_same_time_share_one_read(
    account: SimulatedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = TemplateReader(settings(**account.settings))
    reads = []
    pages = reader._pages

    async def counted(client: httpx.AsyncClient, name: str | None) -> Any:
        reads.append(name)
        return await pages(client, name)

    monkeypatch.setattr(reader, "_pages", counted)
    await asyncio.gather(*(reader.read_named("a") for _ in range(5)))
    assert reads == ["a"]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"whatsapp_account_id": ""}, "CAMPAIGNS_WHATSAPP_ACCOUNT_ID is not set"),
        ({"whatsapp_access_token": SecretStr("")}, "CAMPAIGNS_WHATSAPP_ACCESS_TOKEN is not set"),
        ({"whatsapp_access_token": SecretStr("wrong-token")}, r"refused the read \(HTTP 401, code 190\)"),
        ({"whatsapp_api_url": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"whatsapp_api_version": "v1.0"}, "refused the read"),
    ],
)
async def test_each_failure_is_a_sentence(account: SimulatedAccount, changed: dict[str, Any], text: str) -> None:
    with pytest.raises(TemplatesUnreadable, match=text) as error:
        await TemplateReader(settings(**{**account.settings, **changed})).read_all()
    assert "wrong-token" not in str(error.value)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (web.Response(text="<html>"), "not one of the Cloud API"),
        (web.Response(text="[]"), "not one of the Cloud API"),
        (web.Response(text="{}"), "not one of the Cloud API"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:9"}), "HTTP 302"),
        (web.Response(text=" " * 2000), "too large"),
    ],
)
async def test_another_server_is_not_believed(answer: web.Response, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_reader, "PAGE_BYTES_MAX", 1000)

    async def handle(_request: web.BaseRequest) -> web.StreamResponse:
        return answer

    server = web.Server(handle)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        found = settings(
            whatsapp_api_url=f"http://{host}:{port}", whatsapp_account_id="1", whatsapp_access_token=SecretStr("t")
        )
        with pytest.raises(TemplatesUnreadable, match=text):
            await TemplateReader(found).read_all()
    finally:
        await runner.cleanup()
