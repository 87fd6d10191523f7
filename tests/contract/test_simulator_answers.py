"""The simulator over real HTTP: its answers, and the requests without an answer."""

import asyncio

import pytest
from aiohttp import ClientError, ClientPayloadError, ServerDisconnectedError

from simulator.cloud_errors import ROWS, CloudError
from simulator.config import AnswerConfig, Delay, Rule, SimulatorConfig, rules_for_all_codes
from simulator.presets import realistic
from tests.contract.simulator_client import Bench, bench, json_of, quick, until

SLOW = SimulatorConfig(port=0, answers=AnswerConfig(latency=Delay(median_s=30.0, p99_s=30.0)))


@pytest.fixture(autouse=True, params=["", "?by=general"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends are served by the simulator's own connections, or by aiohttp's server."""
    monkeypatch.setattr(Bench, "query", request.param)


def only(outcome: str, **more: object) -> SimulatorConfig:
    return quick(rules=(Rule.model_validate({"outcome": outcome, **more}),))


async def test_an_accepted_send_is_answered_as_by_the_cloud_api() -> None:
    async with bench(quick()) as it:
        status, body = await it.sent("+1 604 555 1234", "1.a")
        assert status == 200
        assert body["messaging_product"] == "whatsapp"
        assert body["contacts"] == [{"input": "+1 604 555 1234", "wa_id": "16045551234"}]
        assert body["messages"][0]["message_status"] == "accepted"
        (entry,) = await it.ledger()
        assert entry["wamid"] == body["messages"][0]["id"]
        assert (entry["callback_data"], entry["template"], entry["accepted"]) == ("1.a", "promo", True)
        assert (entry["outcome"], entry["fully_written"]) == ("answered", True)


@pytest.mark.parametrize("way", ["reject", "fail"])
async def test_a_rule_can_force_every_code_of_the_reference(way: str) -> None:
    rules = tuple(Rule(suffix=f"{row.code:07d}", outcome=way, code=row.code) for row in ROWS)
    async with bench(quick(rules=rules)) as it:
        for row in ROWS:
            status, body = await it.sent(f"1555{row.code:07d}", str(row.code))
            assert_answer(row, way, status, body)
        await it.quiet()
        failed = {int(s["biz_opaque_callback_data"]): s for s in it.receiver.statuses() if s["status"] == "failed"}
        assert {code: s["errors"][0]["code"] for code, s in failed.items()} == (
            {} if way == "reject" else {row.code: row.code for row in ROWS}
        )
        entries = await it.ledger()
        assert [entry["accepted"] for entry in entries] == [way == "fail"] * len(ROWS)


def assert_answer(row: CloudError, way: str, status: int, body: dict[str, object]) -> None:
    if way == "fail":
        assert (status, "messages" in body) == (200, True)
        return
    error = body["error"]
    assert isinstance(error, dict)
    assert (status, error["code"]) == (row.http_status, row.code)
    assert error["message"] == f"(#{row.code}) {row.title}"
    assert error["type"] == "OAuthException"
    assert len(error["fbtrace_id"]) == 23


async def test_the_ending_of_a_number_can_force_a_code() -> None:
    async with bench(quick(rules=rules_for_all_codes())) as it:
        assert (await it.sent("15550131026"))[1]["error"]["code"] == 131026
        assert (await it.sent("15550131049"))[0] == 200
        assert (await it.sent("15550000999"))[0] == 200
        await it.quiet()
        assert [s["errors"][0]["code"] for s in it.receiver.statuses() if "errors" in s] == [131049]


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_an_invalid_or_missing_token_is_code_190(token: str) -> None:
    async with bench(quick(access_token="right")) as it:
        async with it.send("16045551234", token=token) as response:
            assert response.status == 401
            assert (await json_of(response))["error"]["code"] == 190
        async with it.send("16045551234", token="right") as response:
            assert response.status == 200


async def test_an_unknown_sending_number_is_code_100_subcode_33() -> None:
    async with bench(quick(phone_number_ids={"1"})) as it:
        status, body = await it.sent("16045551234")
        assert (status, body["error"]["code"], body["error"]["error_subcode"]) == (400, 100, 33)


async def test_a_malformed_body_is_refused_and_still_in_the_ledger() -> None:
    async with bench(quick()) as it:
        status, body = await it.sent("16045551234", "1.a", template={})
        assert (status, body["error"]["code"]) == (400, 131008)
        (entry,) = await it.ledger()
        assert (entry["callback_data"], entry["code"], entry["accepted"]) == ("1.a", 131008, False)


async def test_a_rate_above_the_limit_is_throttled() -> None:
    async with bench(quick(mps=5)) as it:
        answers = await asyncio.gather(*[it.sent(f"1604555{n:04d}") for n in range(20)])
        codes = [body["error"]["code"] for _, body in answers if "error" in body]
        assert set(codes) == {130429}
        assert 1 <= len(codes) <= 15


@pytest.mark.parametrize(
    ("outcome", "raised", "accepted", "ended"),
    [
        ("cut_before", ServerDisconnectedError, False, "cut"),
        ("cut_after", ServerDisconnectedError, True, "cut"),
        ("cut_in_answer", ClientPayloadError, True, "cut_in_answer"),
    ],
)
async def test_cut_connections(outcome: str, raised: type[ClientError], accepted: bool, ended: str) -> None:
    async with bench(only(outcome)) as it:
        with pytest.raises((raised, ConnectionResetError)):
            await it.sent("16045551234", "1.a")
        await it.quiet()
        (entry,) = await it.ledger()
        assert (entry["accepted"], entry["outcome"], entry["fully_written"]) == (accepted, ended, False)
        assert [s["status"] for s in it.receiver.statuses()] == (["sent", "delivered", "read"] if accepted else [])


async def test_sends_that_are_held_have_no_wamid_or_get_a_bad_gateway_are_accepted() -> None:
    rules = [Rule(suffix=str(n), outcome=o) for n, o in enumerate(("held", "no_wamid", "bad_gateway"))]
    async with bench(quick(rules=rules)) as it:
        assert (await it.sent("16045551230"))[1]["messages"][0]["message_status"] == "held_for_quality_assessment"
        assert "id" not in (await it.sent("16045551231"))[1]["messages"][0]
        async with it.send("16045551232") as response:
            assert (response.status, response.content_type) == (502, "text/html")
        assert [entry["accepted"] for entry in await it.ledger()] == [True] * 3


async def test_a_rule_for_the_first_posts_lets_a_retry_through() -> None:
    rules = [Rule(outcome="reject", code=131000, posts=2)]
    async with bench(quick(rules=rules)) as it:
        answered = [(await it.sent("16045551234", callback))[0] for callback in ("a", "a", "a", "b")]
        assert answered == [500, 500, 200, 500]


async def test_rules_can_be_added_and_removed_while_it_runs() -> None:
    async with bench(quick()) as it:
        await it.control("rules", outcome="reject", code=131026)
        assert (await it.sent("16045551234"))[0] == 400
        async with it.http.delete(f"{it.url}/_simulator/rules") as response:
            assert response.status == 200
        assert (await it.sent("16045551234"))[0] == 200
        async with it.http.post(f"{it.url}/_simulator/rules", json={"outcome": "explode"}) as response:
            assert response.status == 400


async def unanswered(it: Bench) -> list[str]:
    async with it.http.get(f"{it.url}/_simulator/unanswered") as response:
        return [entry["callback_data"] for entry in (await json_of(response))["unanswered"]]


@pytest.mark.parametrize("lost", [False, True])
async def test_a_hanging_request_is_listed_until_its_client_disconnects(lost: bool) -> None:
    config = only("hang").model_copy(
        update={"answers": AnswerConfig(latency=Delay(median_s=0, p99_s=0), lost_share=float(lost))}
    )
    async with bench(config) as it:
        sending = asyncio.create_task(it.sent("16045551234", "1.a"))
        await until(lambda: bool(it.simulator.ledger.unanswered))
        assert await unanswered(it) == ["1.a"]
        assert (await it.state())["unanswered_now"] == 1
        sending.cancel()
        await it.quiet()
        assert await unanswered(it) == []
        (entry,) = await it.ledger()
        assert (entry["outcome"], entry["accepted"]) == ("hung", not lost)
        assert [s["biz_opaque_callback_data"] for s in it.receiver.statuses()] == ([] if lost else ["1.a"] * 3)


async def test_a_request_of_a_killed_client_is_still_accepted() -> None:
    config = SLOW.model_copy(update={"statuses": quick().statuses})
    async with bench(config) as it:
        sending = asyncio.create_task(it.sent("16045551234", "1.a"))
        await until(lambda: bool(it.simulator.ledger.unanswered))
        sending.cancel()
        await it.quiet()
        (entry,) = await it.ledger()
        assert (entry["outcome"], entry["accepted"], entry["fully_written"]) == ("abandoned", True, False)
        assert [s["status"] for s in it.receiver.statuses()] == ["sent", "delivered", "read"]


async def test_answers_are_held_until_released() -> None:
    async with bench(quick()) as it:
        await it.control("hold", seconds=60, share=1.0)
        sending = [asyncio.create_task(it.sent("16045551234", str(n))) for n in range(3)]
        await until(lambda: len(it.simulator.ledger.unanswered) == 3)
        assert it.receiver.bodies == []
        await it.control("release")
        assert [status for status, _ in await asyncio.gather(*sending)] == [200, 200, 200]
        assert (await it.sent("16045551234", "later"))[0] == 200


async def test_a_hold_ends_automatically() -> None:
    async with bench(quick()) as it:
        await it.control("hold", seconds=0.05)
        assert (await it.sent("16045551234"))[0] == 200


async def test_the_api_can_be_down() -> None:
    async with bench(quick()) as it:
        await it.control("outage", side="api", seconds=60, kind="503")
        async with it.send("16045551234") as response:
            assert response.status == 503
        await it.control("outage", side="api", seconds=60, kind="abort")
        with pytest.raises((ServerDisconnectedError, ConnectionResetError)):
            await it.sent("16045551234")
        await it.control("outage", side="api", seconds=0)
        assert (await it.sent("16045551234"))[0] == 200
        assert [entry["accepted"] for entry in await it.ledger()] == [False, False, True]


async def test_an_unknown_path_gets_the_answer_of_the_graph_api() -> None:
    async with bench(quick()) as it, it.http.get(f"{it.url}/v25.0/nonsense") as response:
        assert response.status == 400
        assert (await json_of(response))["error"]["code"] == 2500


async def test_two_runs_with_one_seed_give_the_same_decisions_in_any_order() -> None:
    runs: list[dict[str, object]] = []
    for order in (1, -1):
        config = realistic().model_copy(update={"port": 0, "time_scale": 200.0})
        async with bench(config) as it:
            numbers = [f"1604555{n:04d}" for n in range(150)][::order]
            await asyncio.gather(*[it.sent(number, f"{order}.{number}") for number in numbers], return_exceptions=True)
            await it.quiet()
            runs.append({entry["to"]: decisions(entry) for entry in await it.ledger()})
    assert runs[0] == runs[1]
    assert len({str(decided) for decided in runs[0].values()}) > 10


def decisions(entry: dict[str, object]) -> object:
    statuses = entry["statuses"]
    assert isinstance(statuses, list)
    sent = [(one["status"], one["code"], one["with_callback"], one["times_planned"]) for one in statuses]
    return entry["outcome"], entry["http_status"], entry["code"], entry["accepted"], sent
