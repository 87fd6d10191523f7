"""Faults that are switched on and off while it runs: foreign answers, codes by scope, refused connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import ClientConnectorError, ClientSession, ServerDisconnectedError

from simulator.client import SimulatorClient
from tests.contract.simulator_client import Bench, bench, quick

LOGIN_PAGE = "<html><body><form>Log in</form></body></html>"


@pytest.fixture(autouse=True, params=["", "?by=general"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends are served by the simulator's own connections, or by aiohttp's server."""
    monkeypatch.setattr(Bench, "query", request.param)


async def controlled(it: Bench, act: Callable[[SimulatorClient], object]) -> object:
    """Use the blocking client beside the simulator."""

    def call() -> object:
        with SimulatorClient(it.url) as client:
            return act(client)

    return await asyncio.to_thread(call)


@pytest.mark.parametrize("http_status", [200, 302, 403, 502])
async def test_a_server_that_is_not_the_cloud_api_answers(http_status: int) -> None:
    async with bench(quick()) as it:
        await controlled(
            it,
            lambda client: client.add_rule(
                "foreign", http_status=http_status, content_type="text/html", body=LOGIN_PAGE, name="proxy"
            ),
        )
        async with it.send("4915112345678", "1.a") as answer:
            assert (answer.status, answer.content_type) == (http_status, "text/html")
            assert await answer.text() == LOGIN_PAGE
        await controlled(it, lambda client: client.remove_rules("proxy"))
        assert (await it.sent("4915112345678"))[0] == 200
        await it.quiet()
        assert [entry["accepted"] for entry in await it.ledger()] == [False, True]


async def test_an_answer_of_200_without_messages_accepts_nothing() -> None:
    async with bench(quick()) as it:
        await controlled(it, lambda client: client.add_rule("foreign"))
        assert await it.sent("4915112345678") == (200, {"status": "ok"})
        await it.quiet()
        assert [entry["accepted"] for entry in await it.ledger()] == [False]
        assert it.receiver.bodies == []


async def test_a_code_can_be_for_a_template_for_a_number_or_for_all() -> None:
    async with bench(quick()) as it:
        rules: tuple[dict[str, object], ...] = (
            {"code": 132015, "template": "promo"},
            {"code": 131042, "phone_number_ids": ["1"]},
            {"code": 190},
        )
        codes = []
        for rule in rules:
            await it.control("rules", outcome="reject", **rule)
            codes.append((await it.sent("4915112345678"))[1].get("error", {}).get("code"))
            async with it.http.delete(f"{it.url}/_simulator/rules"):
                pass
        assert codes == [132015, None, 190]


async def test_connections_are_refused_until_the_time_is_over_and_open_ones_are_cut() -> None:
    async with bench(quick()) as it:
        await it.control("outage", side="api", kind="refuse", seconds=60)
        async with ClientSession() as newcomer:
            with pytest.raises(ClientConnectorError):
                await newcomer.get(f"{it.url}/v25.0/1")
        await it.control("outage", side="api", seconds=0)
        assert (await it.sent("4915112345678"))[0] == 200
        await it.control("outage", side="api", kind="refuse", seconds=60)
        with pytest.raises((ServerDisconnectedError, ConnectionError, ClientConnectorError)):
            await it.sent("4915112345678")
        assert [entry.accepted for entry in it.simulator.ledger.entries] == [True, False]


async def test_refused_connections_end_by_themselves() -> None:
    async with bench(quick()) as it:
        await it.control("outage", side="api", kind="refuse", seconds=0.05)
        async with asyncio.timeout(10), ClientSession() as newcomer:
            refused = 0
            while True:
                try:
                    async with newcomer.get(f"{it.url}/_simulator/state") as answer:
                        assert answer.status == 200
                        break
                except ClientConnectorError:
                    refused += 1
                    await asyncio.sleep(0.01)
        assert (await it.sent("4915112345678"))[0] == 200


async def test_the_client_calls_every_control_endpoint() -> None:
    def act(client: SimulatorClient) -> dict[str, object]:
        client.pause_webhooks(60)
        sent = client.send_event("message", number="4915112345678", text="STOP")
        assert client.state()["quiet"] is False
        client.pause_webhooks(0)
        client.start_outage("503", 60)
        client.end_outage()
        client.hold(60)
        client.release()
        assert (client.unanswered(), list(client.ledger())) == ([], [])
        return sent

    async with bench(quick()) as it:
        sent = await controlled(it, act)
        await it.quiet()
        (change,) = it.changes()
        assert isinstance(sent, dict)
        assert sent == {"id": change["value"]["messages"][0]["id"], "is_sent": True}
        assert change["value"]["messages"][0]["text"] == {"body": "STOP"}
